"""One dbt invocation of a run: what it is told, and what the UI is told of it."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DbtCliResource

from platform_shared.dbt.lineage import LINEAGE_METADATA_KEY, column_lineage
from platform_shared.dbt.running import dbt_environment, keep_parsed
from platform_shared.environ import environment_variables

BUILD = ("build", "--exclude-resource-type", "unit_test")
"""Unit tests are about made-up rows: they belong to a change of code, not to each build."""


def dbt_build(context: dg.AssetExecutionContext, dbt: DbtCliResource, *arguments: str) -> Iterator[object]:
    """Builds and tests the run's models, when it is dbt's turn; the run's period is in their environment."""
    with dbt_environment(Path(dbt.project_dir).name) as folder, environment_variables(period_variables(context)):
        invocation = dbt.cli([*BUILD, *arguments], context=context)
        for event in invocation.stream():
            if isinstance(event, dg.Output):
                yield event.with_metadata({**event.metadata, **_lineage(invocation, event)})
            else:
                yield event
        keep_parsed(folder, invocation.target_path)


def period_variables(context: dg.AssetExecutionContext) -> dict[str, str]:
    """The first and the last business day of the run's partitions; nothing for a run without partitions.

    dbt's models read them as `dbt_metadata_envs`. Other values of `--vars` would make dbt parse the project anew.
    """
    if not context.has_partition_key and not context.has_partition_key_range:
        return {}
    window = context.partition_time_window
    last_day = (window.end - timedelta(days=1)).date()
    return {
        "DBT_ENV_CUSTOM_ENV_FIRST_DAY": window.start.date().isoformat(),
        "DBT_ENV_CUSTOM_ENV_LAST_DAY": last_day.isoformat(),
    }


def _lineage(invocation: Any, event: dg.Output[Any]) -> dict[str, Any]:
    unique_id = str(event.metadata["unique_id"].value)
    node = invocation.manifest["nodes"][unique_id]
    compiled = invocation.target_path / "compiled" / node["package_name"] / node["original_file_path"]
    if node["resource_type"] != "model" or not compiled.is_file():
        return {}
    lineage = column_lineage(invocation.manifest, unique_id, compiled.read_text())
    return {LINEAGE_METADATA_KEY: lineage} if lineage else {}
