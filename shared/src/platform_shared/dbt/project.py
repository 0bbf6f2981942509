"""A dbt project with its prepared manifest, and dbt on it."""

from pathlib import Path

from dagster_dbt import DbtCliResource, DbtProject

from platform_shared.dbt.executable import dbt_executable
from platform_shared.dbt.manifest import checked_manifest


def dbt_project(folder: Path) -> DbtProject:
    """The project in `folder`. Raises StaleManifestError if its manifest is not of its present files."""
    checked_manifest(folder)
    return DbtProject(project_dir=folder, profiles_dir=folder)


def dbt_cli(project: DbtProject) -> DbtCliResource:
    """dbt on this project."""
    return DbtCliResource(project_dir=project, dbt_executable=dbt_executable())


def dbt_pool(project_name: str) -> str:
    """The pool of a project's runs: one dbt process at a time writes its schemas (docs/adr/0002, rule R3)."""
    return f"dbt_{project_name}"
