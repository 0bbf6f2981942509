"""The dbt project's models by business day and by week: what a component in YAML has no partitions for."""

from collections.abc import Iterator

import dagster as dg
from dagster_dbt import DbtCliResource, dbt_assets

from analytics.dbt_project import DBT_PROJECT_DIR
from platform_shared.contracts import RAW_HOUSEHOLDS, RAW_ORDER_LINES, RAW_PRODUCTS, RAW_PROMOTIONS
from platform_shared.dbt.building import dbt_build
from platform_shared.dbt.project import dbt_cli, dbt_pool, dbt_project
from platform_shared.dbt.translator import PlatformDbtTranslator
from platform_shared.partitions import BUSINESS_DAYS, COMPLETE_WEEKS


@dg.definitions
def dbt_models_by_period() -> dg.Definitions:
    project = dbt_project(DBT_PROJECT_DIR)

    @dbt_assets(
        name="dbt_models_by_day",
        manifest=project.manifest_path,
        project=project,
        select="tag:daily",
        partitions_def=BUSINESS_DAYS,
        backfill_policy=dg.BackfillPolicy.single_run(),
        dagster_dbt_translator=PlatformDbtTranslator(partitioned=True),
        pool=dbt_pool(project.name),
    )
    def dbt_models_by_day(context: dg.AssetExecutionContext, dbt: DbtCliResource) -> Iterator[object]:
        yield from dbt_build(context, dbt)

    @dbt_assets(
        name="dbt_models_by_week",
        manifest=project.manifest_path,
        project=project,
        select="tag:weekly",
        partitions_def=COMPLETE_WEEKS,
        backfill_policy=dg.BackfillPolicy.single_run(),
        dagster_dbt_translator=PlatformDbtTranslator(partitioned=True),
        pool=dbt_pool(project.name),
    )
    def dbt_models_by_week(context: dg.AssetExecutionContext, dbt: DbtCliResource) -> Iterator[object]:
        yield from dbt_build(context, dbt)

    sources = (RAW_ORDER_LINES, RAW_HOUSEHOLDS, RAW_PROMOTIONS, RAW_PRODUCTS)
    return dg.Definitions(
        assets=[dbt_models_by_day, dbt_models_by_week, *(source.reference() for source in sources)],
        resources={"dbt": dbt_cli(project)},
    )
