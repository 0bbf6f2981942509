"""Where and with what a location is loaded, without loading one."""

import sys
from pathlib import Path

from platform_shared.workspace.loading import interpreter, load_environment
from platform_shared.workspace.projects import Project


def test_secrets_and_state_are_not_passed_on() -> None:
    environ = {"PATH": "/bin", "DAGSTER_HOME": "/home", "PLATFORM_POSTGRES_URL": "postgres://u:p@h/d", "TOKEN": "x"}
    assert load_environment(environ) == {"PATH": "/bin", "PYTHONHASHSEED": "0"}


def test_only_an_environment_of_its_own_replaces_the_interpreter(tmp_path: Path) -> None:
    project = Project("batch", tmp_path / "projects" / "batch", "batch", "batch.definitions", "batch")
    project.path.mkdir(parents=True)
    assert interpreter(tmp_path, project) == Path(sys.executable)

    for environment in (tmp_path / ".venv", tmp_path / "elsewhere"):
        (environment / "bin").mkdir(parents=True)
        (environment / "bin" / "python").touch()
    (project.path / ".venv").symlink_to(tmp_path / ".venv")
    assert interpreter(tmp_path, project) == Path(sys.executable)

    (project.path / ".venv").unlink()
    (project.path / ".venv").symlink_to(tmp_path / "elsewhere")
    assert interpreter(tmp_path, project) == project.path / ".venv" / "bin" / "python"
