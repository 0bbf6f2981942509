"""Which locations the workspace has (the folders `projects/*`), and what the other lists of them say."""

import tomllib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from platform_shared.settings import SettingsError

PROJECTS = "projects"
WORKSPACE_YAML = "workspace.yaml"
PYPROJECT = "pyproject.toml"


@dataclass(frozen=True)
class Project:
    """One location's project: `name` is its folder, the rest is what its pyproject.toml says."""

    name: str
    path: Path
    package: str
    definitions_module: str
    location_name: str


@dataclass(frozen=True)
class ListedLocation:
    """An entry of workspace.yaml; `module` is None if the entry is of another kind than python_module."""

    location_name: str
    module: str | None


@dataclass(frozen=True)
class WorkspaceLists:
    """The list of locations (`projects`) and the other places that repeat it."""

    projects: tuple[Project, ...]
    workspace_yaml: tuple[ListedLocation, ...]
    dg_workspace: tuple[str, ...]


def workspace_root(start: Path | None = None) -> Path:
    """The nearest folder at or above `start` (else the current one) that holds workspace.yaml and pyproject.toml."""
    origin = (start or Path.cwd()).resolve()
    for folder in (origin, *origin.parents):
        if (folder / WORKSPACE_YAML).is_file() and (folder / PYPROJECT).is_file():
            return folder
    raise SettingsError(
        f"No folder at or above {origin} holds both {WORKSPACE_YAML} and {PYPROJECT}. "
        "Run this in the repository's root or below it."
    )


def projects(root: Path) -> tuple[Project, ...]:
    """All projects, by name: a folder of `projects/` is one if it holds a pyproject.toml."""
    return tuple(_project(pyproject) for pyproject in sorted((root / PROJECTS).glob(f"*/{PYPROJECT}")))


def workspace_lists(root: Path) -> WorkspaceLists:
    """The projects and every list that must agree with them."""
    return WorkspaceLists(projects(root), _workspace_yaml(root / WORKSPACE_YAML), _dg_workspace(root / PYPROJECT))


def _project(pyproject: Path) -> Project:
    name = pyproject.parent.name
    settings = _table(pyproject, "tool", "dg", "project")
    package = settings.get("root_module")
    if not isinstance(package, str):
        raise SettingsError(f'{pyproject}: [tool.dg.project] has no root_module. Add `root_module = "{name}"`.')
    return Project(
        name=name,
        path=pyproject.parent,
        package=package,
        definitions_module=str(settings.get("code_location_target_module", f"{package}.definitions")),
        location_name=str(settings.get("code_location_name", name)),
    )


def _dg_workspace(pyproject: Path) -> tuple[str, ...]:
    entries = _table(pyproject, "tool", "dg", "workspace").get("projects", [])
    try:
        return tuple(PurePosixPath(entry["path"]).as_posix() for entry in entries)
    except (KeyError, TypeError):
        raise SettingsError(
            f'{pyproject}: each of [tool.dg.workspace] projects must be a table like {{ path = "{PROJECTS}/batch" }}.'
        ) from None


def _workspace_yaml(path: Path) -> tuple[ListedLocation, ...]:
    try:
        document = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise SettingsError(f"{path} is no valid YAML: {error}") from error
    entries = document.get("load_from") if isinstance(document, dict) else None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) and len(entry) == 1 for entry in entries):
        raise SettingsError(f"{path}: `load_from` must be a list of entries like `- python_module: {{…}}`.")
    return tuple(_listed(*next(iter(entry.items()))) for entry in entries)


def _listed(kind: str, value: Any) -> ListedLocation:
    settings = value if isinstance(value, dict) else {}
    module = str(settings.get("module_name", value)) if kind == "python_module" else None
    return ListedLocation(str(settings.get("location_name", module or kind)), module)


def _table(path: Path, *keys: str) -> dict[str, Any]:
    """The TOML table under `keys`, empty if there is none."""
    try:
        table: dict[str, Any] = tomllib.loads(path.read_text())
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path} is no valid TOML: {error}") from error
    for key in keys:
        value = table.get(key, {})
        if not isinstance(value, dict):
            raise SettingsError(f"{path}: [{'.'.join(keys)}] must be a table.")
        table = value
    return table
