"""The environment of the children: the person's, the .env files, and one home for all."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from dotenv import dotenv_values

from platform_shared.settings import Home
from platform_shared.workspace.projects import PROJECTS


def working_folder(root: Path) -> Path:
    """Where the children run: in the workspace, but where there is no .env.

    Dagster's commands let the .env of the current folder overrule their environment: they would leave a home that the
    person chose, and a project's own variables.
    """
    return root / PROJECTS


def child_environment(
    environ: Mapping[str, str],
    home: Home,
    root: Path,
    project: Path | None = None,
    provided: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, str]:
    """What a child gets: the root's .env, over it the project's, over both what the person set otherwise.

    What is `provided` is for where none of these says anything.
    `make` exports the root's .env, so a variable that is as the file has it was not set by the person.
    """
    of_root = _read(root)
    of_person = {name: value for name, value in environ.items() if of_root.get(name) != value}
    of_project = _read(project) if project else {}
    return {
        **provided,
        **of_root,
        **of_project,
        **of_person,
        "PLATFORM_HOME": str(home.root),
        "DAGSTER_HOME": str(home.dagster),
        "PYTHONUNBUFFERED": "1",
        "DAGSTER_DISABLE_TELEMETRY": "1",
    }


def _read(folder: Path) -> dict[str, str]:
    return {name: value for name, value in dotenv_values(folder / ".env").items() if value is not None}
