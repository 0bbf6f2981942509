"""Where the dbt project is."""

from pathlib import Path

DBT_PROJECT_DIR = Path(__file__).parents[4] / "dbt_project"
