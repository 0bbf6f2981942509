"""What promotions did in each week that is over, on Monday ten minutes past midnight."""

from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg

from batch.promotion_lift import Placement, read_weeks, to_csv, to_markdown
from batch.reporting import GAP_RUN_TAGS, report_spec, write_report
from batch.series import WEEKLY_PROMOTION_LIFT
from platform_shared.contracts import PROMOTION_LIFT
from platform_shared.resources import PlatformFolders, WarehouseResource
from platform_shared.schedules import ONLY_DUE_TAGS, build_partitions


@dg.multi_asset(
    name="weekly_promotion_lift",
    specs=[
        report_spec(
            WEEKLY_PROMOTION_LIFT,
            "Units and lift of promotions by placement, for each week that is over, as CSV.",
            PROMOTION_LIFT,
        )
    ],
    backfill_policy=dg.BackfillPolicy.single_run(),
    pool="batch_weekly_promotion_lift",
)
def weekly_promotion_lift(
    context: dg.AssetExecutionContext, warehouse: WarehouseResource, folders: PlatformFolders
) -> Iterator[Any]:
    def read(weeks: Sequence[str]) -> dict[str, list[Placement]]:
        with warehouse.read() as connection:
            return read_weeks(connection, weeks)

    def write(week: str, placements: list[Placement]) -> dict[str, Any]:
        return {
            "units": sum(each.quantity for each in placements),
            "extra_units": round(sum(each.extra_units for each in placements), 1),
            "sales_value": float(sum(each.sales_value for each in placements)),
            "placements": dg.MetadataValue.md(to_markdown(placements)),
            **write_report(folders, WEEKLY_PROMOTION_LIFT, week, to_csv(placements)),
        }

    yield from build_partitions(context, WEEKLY_PROMOTION_LIFT, read, write)


promotion_lift_job = dg.define_asset_job(
    WEEKLY_PROMOTION_LIFT.job,
    [weekly_promotion_lift],
    description="Builds the promotion lift of a week, or of a range of weeks in one run.",
    tags=GAP_RUN_TAGS,
)

promotion_lift_weekly_schedule = dg.build_schedule_from_partitioned_job(
    promotion_lift_job,
    name="promotion_lift_weekly_schedule",
    description="Ten minutes into Monday in New York, for the week that has just ended.",
    hour_of_day=0,
    minute_of_hour=10,
    tags=dict(ONLY_DUE_TAGS),
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
