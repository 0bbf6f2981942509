"""One dbt at a time, whoever starts it, and what one has parsed spares the next one the parsing."""

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

from platform_shared.dbt.executable import dbt_executable
from platform_shared.dbt.running import KEEP_FAILED, PARSED, dbt_environment, dbt_turn, keep_parsed
from platform_shared.environ import environment_variables
from platform_shared.postgres import postgres
from platform_shared.settings import Home

WAITING = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"


def test_a_second_dbt_waits_for_its_turn(platform_home: Home) -> None:
    order: list[str] = []

    def second() -> None:
        with dbt_turn(platform_home):
            order.append("second")

    connection = postgres(platform_home).connect()
    connection.autocommit = True
    with dbt_turn(platform_home) as variables:
        assert variables["PLATFORM_LAKE_PATH"]
        thread = threading.Thread(target=second)
        thread.start()
        with connection.cursor() as cursor:
            cursor.execute(WAITING)
            while cursor.fetchone() is None:
                assert thread.is_alive()
                cursor.execute(WAITING)
        order.append("first")
    thread.join(30)
    connection.close()
    assert order == ["first", "second"]


def test_what_one_run_has_parsed_the_next_does_not_parse_again(platform_home: Home) -> None:
    project = Path(__file__).parents[3] / "dbt_project"
    logs = []
    for day in ("2026-03-01", "2026-03-02"):
        period = {"DBT_ENV_CUSTOM_ENV_FIRST_DAY": day, "DBT_ENV_CUSTOM_ENV_LAST_DAY": day}
        with dbt_environment(project.name) as folder, environment_variables(period):
            target = folder / f"run-of-{day}"
            target.mkdir()
            if (folder / PARSED).exists():
                # As dagster-dbt does for each invocation.
                shutil.copy(folder / PARSED, target / PARSED)
            paths = {"DBT_TARGET_PATH": str(target), "DBT_LOG_PATH": str(target)}
            command = [dbt_executable(), "parse", "--project-dir", str(project), "--profiles-dir", str(project)]
            subprocess.run(command, env={**os.environ, **paths}, check=True, capture_output=True)
            logs.append((target / "dbt.log").read_text())
            keep_parsed(folder, target)
    assert "Starting full parse" in logs[0]
    assert "no changes found, skipping parsing" in logs[1]
    assert [path.name for path in (platform_home.dbt / project.name).iterdir()] == [PARSED]


def test_output_of_failed_runs_is_kept_for_a_while(tmp_path: Path) -> None:
    for name in ("succeeded", "failed lately", "failed long ago"):
        (tmp_path / name).mkdir()
    long_ago = (tmp_path / "failed lately").stat().st_mtime - KEEP_FAILED.total_seconds() - 60
    os.utime(tmp_path / "failed long ago", (long_ago, long_ago))
    keep_parsed(tmp_path, tmp_path / "succeeded")
    assert [path.name for path in tmp_path.iterdir()] == ["failed lately"]


def test_the_version_is_told_without_importing_dbt() -> None:
    said = subprocess.run([dbt_executable(), "--version"], capture_output=True, text=True, check=True).stdout
    assert said.startswith("Core:\n  - installed: 1.")
    command = [sys.executable, "-X", "importtime", dbt_executable(), "--version"]
    imported = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    assert "importlib" in imported
    assert "dbt.cli" not in imported
