"""The dbt project's models as assets: those by business day, and the rest."""

import json
from collections.abc import Iterator

import dagster as dg
from dagster_dbt import DbtCliResource, dbt_assets

from analytics.dbt_project import dbt_cli, dbt_project
from platform_shared.automation import EVERY_MINUTE, on_any_input_partition, on_input_change
from platform_shared.contracts import RAW_ORDER_LINES
from platform_shared.dbt.running import dbt_environment
from platform_shared.dbt.translator import PlatformDbtTranslator
from platform_shared.partitions import BUSINESS_DAYS

DBT_POOL = "dbt_retailer"
"""One dbt process at a time writes the project's schemas (rule R3); the instance's pools have one slot."""


@dg.definitions
def dbt_models() -> dg.Definitions:
    project = dbt_project()

    @dbt_assets(
        name="dbt_models_by_day",
        manifest=project.manifest_path,
        project=project,
        select="tag:daily",
        partitions_def=BUSINESS_DAYS,
        backfill_policy=dg.BackfillPolicy.single_run(),
        dagster_dbt_translator=PlatformDbtTranslator(on_input_change(at_most_every=EVERY_MINUTE)),
        pool=DBT_POOL,
    )
    def dbt_models_by_day(context: dg.AssetExecutionContext, dbt: DbtCliResource) -> Iterator[object]:
        keys = context.partition_keys
        days = json.dumps({"first_day": keys[0], "last_day": keys[-1]})
        with dbt_environment():
            yield from dbt.cli(["build", "--vars", days], context=context).stream()

    @dbt_assets(
        name="dbt_models",
        manifest=project.manifest_path,
        project=project,
        exclude="tag:daily",
        dagster_dbt_translator=PlatformDbtTranslator(on_any_input_partition(at_most_every=EVERY_MINUTE)),
        pool=DBT_POOL,
    )
    def dbt_models(context: dg.AssetExecutionContext, dbt: DbtCliResource) -> Iterator[object]:
        with dbt_environment():
            yield from dbt.cli(["build"], context=context).stream()

    return dg.Definitions(
        assets=[dbt_models_by_day, dbt_models, RAW_ORDER_LINES.reference()],
        resources={"dbt": dbt_cli(project)},
    )
