"""Where the dbt project is, and its manifest and its command."""

from pathlib import Path

from dagster_dbt import DbtCliResource, DbtProject

from platform_shared.dbt.executable import dbt_executable
from platform_shared.dbt.manifest import checked_manifest

DBT_PROJECT_DIR = Path(__file__).parents[4] / "dbt_project"


def dbt_project() -> DbtProject:
    """The project with its prepared manifest. Raises StaleManifestError if that is not of the present files."""
    checked_manifest(DBT_PROJECT_DIR)
    return DbtProject(project_dir=DBT_PROJECT_DIR, profiles_dir=DBT_PROJECT_DIR)


def dbt_cli(project: DbtProject) -> DbtCliResource:
    """dbt on this project."""
    return DbtCliResource(project_dir=project, dbt_executable=dbt_executable())
