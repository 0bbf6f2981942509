"""Where the dbt project is, and its manifest and its command."""

import sys
from pathlib import Path

from dagster_dbt import DbtCliResource, DbtProject

from platform_shared.dbt.manifest import checked_manifest

DBT_PROJECT_DIR = Path(__file__).parents[4] / "dbt_project"


def dbt_project() -> DbtProject:
    """The project with its prepared manifest. Raises StaleManifestError if that is not of the present files."""
    checked_manifest(DBT_PROJECT_DIR)
    return DbtProject(project_dir=DBT_PROJECT_DIR, profiles_dir=DBT_PROJECT_DIR)


def dbt_cli(project: DbtProject) -> DbtCliResource:
    """The dbt of this environment, also where its `bin` is not on PATH."""
    return DbtCliResource(project_dir=project, dbt_executable=str(Path(sys.executable).with_name("dbt")))
