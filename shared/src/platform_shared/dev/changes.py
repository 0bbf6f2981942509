"""Which locations an edit touches: pure decisions about paths."""

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from platform_shared.settings import SettingsError
from platform_shared.workspace.projects import PROJECTS, PYPROJECT, Project

SHARED_SOURCES = Path("shared", "src")
DBT_PROJECT_FILE = "dbt_project.yml"

_DBT_OUTPUT = frozenset({"target", "logs", "dbt_packages"})
_SPARE_COPIES = ("~", ".tmp", ".pyc")


@dataclass(frozen=True)
class Watched:
    """Each location's sources, those of the library, and other folders with the locations that depend on them."""

    sources: Mapping[str, Path]
    shared: Path
    others: Mapping[Path, frozenset[str]]

    @property
    def folders(self) -> tuple[Path, ...]:
        return (*self.sources.values(), self.shared, *self.others)


@dataclass(frozen=True)
class Reload:
    """What an edit asks for: dbt projects to parse again first, then locations to load."""

    locations: frozenset[str] = frozenset()
    dbt_projects: frozenset[Path] = frozenset()

    def __or__(self, other: "Reload") -> "Reload":
        return Reload(self.locations | other.locations, self.dbt_projects | other.dbt_projects)

    def __bool__(self) -> bool:
        return bool(self.locations)


def watched(root: Path, projects: Sequence[Project]) -> Watched:
    """Sources are in `projects/*/src`; `[tool.platform] watches = ["dbt_project"]` in a pyproject.toml adds folders."""
    others: dict[Path, frozenset[str]] = {}
    for project in projects:
        for folder in _also_watched(project):
            path = root / folder
            others[path] = others.get(path, frozenset()) | {project.location_name}
    return Watched(
        sources={project.location_name: project.path / "src" for project in projects},
        shared=root / SHARED_SOURCES,
        others=others,
    )


def is_source(path: Path, watched: Watched) -> bool:
    """Whether the file is written by people: no bytecode, no dbt output, nothing hidden, no editor's spare copy."""
    base = next((folder for folder in watched.folders if path.is_relative_to(folder)), None)
    if base is None:
        return False
    parts = path.relative_to(base).parts
    if not parts or parts[-1].endswith(_SPARE_COPIES):
        return False
    if base in watched.others and parts[0] in _DBT_OUTPUT:
        return False
    return not any(part.startswith(".") or part == "__pycache__" for part in parts)


def reload(paths: Iterable[Path], watched: Watched) -> Reload:
    """What to load again after edits of these files."""
    locations: set[str] = set()
    dbt_projects: set[Path] = set()
    for path in paths:
        locations.update(name for name, folder in watched.sources.items() if path.is_relative_to(folder))
        if path.is_relative_to(watched.shared):
            locations.update(watched.sources)
        for folder, names in watched.others.items():
            if path.is_relative_to(folder):
                locations.update(names)
                if (folder / DBT_PROJECT_FILE).is_file():
                    dbt_projects.add(folder)
    return Reload(frozenset(locations), frozenset(dbt_projects))


def dbt_projects_of(location: str, watched: Watched) -> frozenset[Path]:
    """The dbt projects that a location is built from."""
    return frozenset(
        folder
        for folder, names in watched.others.items()
        if location in names and (folder / DBT_PROJECT_FILE).is_file()
    )


def new_projects(paths: Iterable[Path], root: Path, known: Iterable[str]) -> list[str]:
    """Folders that appeared in `projects/` and that no running server serves."""
    names = {path.name for path in paths if path.parent == root / PROJECTS and path.is_dir()}
    return sorted(name for name in names - set(known) if not name.startswith((".", "_")))


def _also_watched(project: Project) -> list[str]:
    table = tomllib.loads((project.path / PYPROJECT).read_text()).get("tool", {}).get("platform", {})
    folders = table.get("watches", [])
    if not isinstance(folders, list) or not all(isinstance(folder, str) for folder in folders):
        raise SettingsError(
            f"{project.path / PYPROJECT}: [tool.platform] watches must be a list of folders, relative to the root."
        )
    return folders
