"""`platform check` on small workspaces that are really loaded: one that is clean, and one that breaks each rule."""

import json
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from platform_shared.cli.main import main
from platform_shared.workspace import loading
from platform_shared.workspace.model import Snapshot, from_json, to_json
from platform_shared.workspace.projects import projects


class SmallWorkspace:
    """A workspace in `root`; each location is a package with one module of definitions."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        self._names: list[str] = []
        self._monkeypatch = monkeypatch
        monkeypatch.chdir(root)

    def location(self, name: str, code: str) -> "SmallWorkspace":
        project = self.root / "projects" / name
        package = project / "src" / name
        package.mkdir(parents=True)
        (project / "pyproject.toml").write_text(
            f'[tool.dg.project]\nroot_module = "{name}"\ncode_location_name = "{name}"\n'
        )
        (package / "__init__.py").touch()
        (package / "definitions.py").write_text("import dagster as dg\n" + dedent(code))
        self._names.append(name)
        sources = [str(self.root / "projects" / name / "src") for name in self._names]
        self._monkeypatch.setenv("PYTHONPATH", ":".join(sources))
        return self._list(self._names)

    def _list(self, names: list[str]) -> "SmallWorkspace":
        entries = [{"python_module": {"location_name": n, "module_name": f"{n}.definitions"}} for n in names]
        (self.root / "workspace.yaml").write_text(json.dumps({"load_from": entries}))
        paths = ", ".join(f'{{ path = "projects/{name}" }}' for name in names)
        (self.root / "pyproject.toml").write_text(f"[tool.dg.workspace]\nprojects = [{paths}]\n")
        return self

    def snapshot(self) -> Snapshot:
        (project,) = projects(self.root)
        return loading.load_snapshot(self.root, project)


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SmallWorkspace:
    return SmallWorkspace(tmp_path, monkeypatch)


def found(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """The findings of `platform check --json`."""
    exit_code = main(["check", "--json"])
    findings: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["findings"]
    assert exit_code == (1 if findings else 0)
    return findings


PRODUCER = """
    @dg.asset(key=["raw", "orders"], deps=[["landing", "orders"]])
    def orders(): ...

    @dg.schedule(
        target=orders,
        cron_schedule="0 3 * * *",
        execution_timezone="America/New_York",
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )
    def orders_daily_schedule(): ...

    defs = dg.Definitions(assets=[orders, dg.AssetSpec(["landing", "orders"])], schedules=[orders_daily_schedule])
"""


def test_a_clean_workspace_passes_with_a_line_for_each_location(
    workspace: SmallWorkspace, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace.location("producer", PRODUCER).location(
        "consumer",
        """
        print("noise of a library", flush=True)

        condition = dg.AutomationCondition.eager()

        @dg.asset(key=["reports", "orders"], deps=[["raw", "orders"]], automation_condition=condition)
        def report(): ...

        automation = dg.AutomationConditionSensorDefinition(
            "consumer_automation_sensor",
            target=dg.AssetSelection.assets(["reports", "orders"]),
            default_status=dg.DefaultSensorStatus.RUNNING,
        )

        @dg.definitions
        def defs():
            return dg.Definitions(assets=[report, dg.AssetSpec(["raw", "orders"])], sensors=[automation])
        """,
    )
    assert main(["check"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines if line] == [["OK", "consumer"], ["OK", "producer"], ["No", "findings."]]


def test_findings_are_told_by_rule_with_what_to_do(
    workspace: SmallWorkspace, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two locations that each break rules about the other, and a list that misses one of them."""
    workspace.location("producer", PRODUCER).location(
        "consumer",
        """
        @dg.asset(key=["raw", "orders"])
        def orders(): ...

        @dg.asset(deps=[["raw", "order"]])
        def report(): ...

        defs = dg.Definitions(assets=[orders, report])
        """,
    )
    (workspace.root / "workspace.yaml").write_text(
        "load_from: [{python_module: {location_name: consumer, module_name: consumer.definitions}}]"
    )
    assert main(["check"]) == 1
    text = capsys.readouterr().out
    order = [
        "A list of locations that disagrees with projects/*",
        "workspace.yaml: producer is not listed.",
        "-> Add `- python_module: {location_name: producer, module_name: producer.definitions}`.",
        "An asset key that two locations materialize",
        "consumer, producer: raw/orders",
        "A dependency that no location owns",
        "consumer: raw/order is materialized by no location; named by report. Did you mean raw/orders?",
        "3 to correct.",
    ]
    assert sorted(order, key=text.index) == order


def test_instigators_that_leave_status_or_time_zone_to_dagster(
    workspace: SmallWorkspace, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace.location(
        "batch",
        """
        @dg.asset(automation_condition=dg.AutomationCondition.eager())
        def automated(): ...

        @dg.sensor(target=automated)
        def undecided_sensor(): ...

        @dg.sensor(target=automated, metadata={"platform/off": "started by hand after an outage"})
        def repair_sensor(): ...

        @dg.schedule(target=automated, cron_schedule="@daily", default_status=dg.DefaultScheduleStatus.RUNNING)
        def zoneless_schedule(): ...

        defs = dg.Definitions(
            assets=[automated], sensors=[undecided_sensor, repair_sensor], schedules=[zoneless_schedule]
        )
        """,
    )
    findings = found(capsys)
    assert {finding["rule"] for finding in findings} == {"INSTIGATOR"}
    assert [finding["where"] for finding in findings] == [
        "batch, schedule zoneless_schedule",
        "batch, sensor default_automation_condition_sensor",
        "batch, sensor undecided_sensor",
    ]


def test_warnings_count_if_our_code_causes_them(workspace: SmallWorkspace, capsys: pytest.CaptureFixture[str]) -> None:
    workspace.location(
        "batch",
        """
        import warnings
        import third_party

        third_party.quiet()
        third_party.loud()
        warnings.warn("our own", UserWarning)

        @dg.observable_source_asset
        def source(): ...

        @dg.multi_asset_sensor(monitored_assets=[], default_status=dg.DefaultSensorStatus.RUNNING, job_name="x")
        def many_sensor(): ...

        defs = dg.Definitions()
        """,
    )
    (workspace.root / "projects" / "batch" / "src" / "third_party.py").write_text(
        dedent(
            """
            import warnings
            import json

            warnings.warn("my own import", DeprecationWarning)

            def quiet(): json.JSONDecoder(object_hook=warner).decode("{}")
            def warner(_): warnings.warn("deep inside", DeprecationWarning)
            def loud(): warnings.warn("you call me", DeprecationWarning)
            """
        )
    )
    findings = found(capsys)
    assert {finding["rule"] for finding in findings} == {"WARNING"}
    told = sorted(finding["what"] for finding in findings)
    assert [text[:40] for text in told] == [
        "BetaWarning: Function `observable_source",
        "DeprecationWarning: you call me",
        "SupersessionWarning: Class `MultiAssetSe",
        "UserWarning: our own",
    ]


def test_a_location_that_does_not_load_is_told_with_its_error(
    workspace: SmallWorkspace, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "x")
    workspace.location("needy", 'import os\nTOKEN = os.environ["SECRET_TOKEN"]').location(
        "silent", "import os\nos._exit(3)"
    )
    needy, silent = found(capsys)
    assert (needy["rule"], needy["where"], silent["where"]) == ("LOAD", "needy", "silent")
    cause = "projects/needy/src/needy/definitions.py:3: KeyError: 'SECRET_TOKEN'"
    assert needy["what"].startswith(cause + "\n\nTraceback (most recent call last):")
    assert "exit code 3 and no snapshot" in silent["what"]


def test_a_location_that_never_ends_loading_is_given_up(
    workspace: SmallWorkspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "TIMEOUT_SECONDS", 0.1)
    workspace.location("slow", "import time\ntime.sleep(60)")
    assert workspace.snapshot().load_error == "It did not load within 0.1 s."


def test_a_snapshot_describes_what_a_location_defines(workspace: SmallWorkspace) -> None:
    workspace.location(
        "batch",
        """
        days = dg.DailyPartitionsDefinition("2025-01-06", timezone="America/New_York", end_offset=1)

        @dg.asset(
            key=["reports", "day"],
            deps=[["raw", "orders"]],
            group_name="reports",
            kinds={"python"},
            owners=["team:batch"],
            tags={"tier": "gold"},
            code_version="2",
            pool="warehouse",
            partitions_def=days,
            automation_condition=dg.AutomationCondition.eager(),
            check_specs=[dg.AssetCheckSpec("rows", asset=["reports", "day"], blocking=True)],
        )
        def day():
            "One day."

        @dg.asset_check(asset=day)
        def total(): ...

        day_job = dg.define_asset_job("day_job", selection=[day])
        defs = dg.Definitions(
            assets=[day, dg.AssetSpec(["landing", "orders"])],
            asset_checks=[total],
            jobs=[day_job],
            schedules=[dg.build_schedule_from_partitioned_job(day_job)],
            resources={"io_manager": dg.FilesystemIOManager()},
        )
        """,
    )
    snapshot = workspace.snapshot()
    assert snapshot.load_error is None
    assert from_json(to_json(snapshot)) == snapshot
    described = json.loads(to_json(snapshot))
    assert described["assets"] == [
        {
            "automation_condition": None,
            "code_version": None,
            "deps": [],
            "description": None,
            "group": "default",
            "has_backfill_policy": False,
            "is_executable": False,
            "is_materializable": False,
            "key": "landing/orders",
            "kinds": [],
            "owners": [],
            "partitions": None,
            "pools": [],
            "tags": {},
        },
        {
            "automation_condition": "eager",
            "code_version": "2",
            "deps": ["raw/orders"],
            "description": "One day.",
            "group": "reports",
            "has_backfill_policy": False,
            "is_executable": True,
            "is_materializable": True,
            "key": "reports/day",
            "kinds": ["python"],
            "owners": ["team:batch"],
            "partitions": "Daily, starting 2025-01-06 America/New_York. End offsetted by 1 partition.",
            "pools": ["warehouse"],
            "tags": {"tier": "gold"},
        },
    ]
    assert described["asset_checks"] == [
        {"asset": "reports/day", "blocking": True, "name": "rows"},
        {"asset": "reports/day", "blocking": False, "name": "total"},
    ]
    assert described["jobs"] == ["day_job"]
    assert described["schedules"] == [
        {
            "cron": ["0 0 * * *"],
            "default_status": "STOPPED",
            "name": "day_job_schedule",
            "off_reason": None,
            "timezone": "America/New_York",
        }
    ]
    assert described["sensors"] == [
        {
            "default_status": "STOPPED",
            "minimum_interval": 30,
            "name": "default_automation_condition_sensor",
            "off_reason": None,
            "type": "AutomationConditionSensorDefinition",
        }
    ]
    assert described["resources"] == [{"key": "io_manager", "type": "FilesystemIOManager"}]


def test_outside_of_a_workspace_the_command_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["check"]) == 1
    assert "platform check: No folder at or above" in capsys.readouterr().err
