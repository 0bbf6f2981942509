"""Which households came back in each month that is over, on the first a quarter past midnight."""

from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg

from batch.cohorts import Cohort, read_months, to_csv, to_markdown
from batch.reporting import GAP_RUN_TAGS, report_spec, write_report
from batch.series import MONTHLY_COHORT_RETENTION
from platform_shared.contracts import HOUSEHOLD_DAYS
from platform_shared.resources import PlatformFolders, WarehouseResource
from platform_shared.schedules import ONLY_DUE_TAGS, build_partitions


@dg.multi_asset(
    name="monthly_cohort_retention",
    specs=[
        report_spec(
            MONTHLY_COHORT_RETENTION,
            "Of the households that first bought in each month, those that came back, by month, as CSV.",
            HOUSEHOLD_DAYS,
        )
    ],
    backfill_policy=dg.BackfillPolicy.single_run(),
    pool="batch_monthly_cohort_retention",
)
def monthly_cohort_retention(
    context: dg.AssetExecutionContext, warehouse: WarehouseResource, folders: PlatformFolders
) -> Iterator[Any]:
    def read(months: Sequence[str]) -> dict[str, list[Cohort]]:
        with warehouse.read() as connection:
            return read_months(connection, months)

    def write(month: str, cohorts: list[Cohort]) -> dict[str, Any]:
        return {
            "active_households": sum(each.active for each in cohorts),
            "new_households": sum(each.households for each in cohorts if each.cohort.isoformat() == month),
            "sales_value": float(sum(each.sales_value for each in cohorts)),
            "cohorts": dg.MetadataValue.md(to_markdown(cohorts)),
            **write_report(folders, MONTHLY_COHORT_RETENTION, month, to_csv(cohorts)),
        }

    yield from build_partitions(context, MONTHLY_COHORT_RETENTION, read, write)


cohort_retention_job = dg.define_asset_job(
    MONTHLY_COHORT_RETENTION.job,
    [monthly_cohort_retention],
    description="Builds the cohorts of a month, or of a range of months in one run.",
    tags=GAP_RUN_TAGS,
)

cohort_retention_monthly_schedule = dg.build_schedule_from_partitioned_job(
    cohort_retention_job,
    name="cohort_retention_monthly_schedule",
    description="A quarter past midnight on the first in New York, for the month that has just ended.",
    hour_of_day=0,
    minute_of_hour=15,
    tags=dict(ONLY_DUE_TAGS),
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
