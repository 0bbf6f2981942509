"""Coupons by hour: an hourly schedule, and a sensor that follows new order lines, ask for the same work."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from batch.coupon_hours import CouponHour, read_hours, to_csv
from batch.reporting import GAP_RUN_TAGS, report_spec, write_report
from batch.series import COUPON_HOURS
from platform_shared import clock
from platform_shared.contracts import RAW_ORDER_LINES
from platform_shared.partitions import BUSINESS_TIME_ZONE, COMPLETE_HOURS
from platform_shared.resources import PlatformFolders, WarehouseResource
from platform_shared.schedules import ONLY_DUE_TAGS, State, build_partitions, plan_once, range_request, slots
from platform_shared.sensors import Gathered, Threshold, materializations_after

WITHIN_WORTH = "no_match_beyond_the_coupon"
WORTH_A_RUN = Threshold(amount=5_000, max_wait=timedelta(minutes=10))
"""New order lines, and how long fewer of them wait."""


@dg.multi_asset(
    name="coupon_hours",
    specs=[report_spec(COUPON_HOURS, "Coupons that each store took in each hour, as CSV.", RAW_ORDER_LINES)],
    check_specs=[
        dg.AssetCheckSpec(
            WITHIN_WORTH,
            asset=COUPON_HOURS.key,
            description="Warns of lines on which a store matched a coupon with more than it was worth; the source has "
            "four in a year.",
        )
    ],
    backfill_policy=dg.BackfillPolicy.single_run(),
    pool="batch_coupon_hours",
)
def coupon_hours(
    context: dg.AssetExecutionContext, warehouse: WarehouseResource, folders: PlatformFolders
) -> Iterator[dg.AssetCheckResult]:
    def read(hours: Sequence[str]) -> dict[str, list[CouponHour]]:
        windows = {hour: COMPLETE_HOURS.time_window_for_partition_key(hour) for hour in hours}
        with warehouse.read() as connection:
            return read_hours(connection, {hour: (window.start, window.end) for hour, window in windows.items()})

    def write(hour: str, stores: list[CouponHour]) -> dict[str, Any]:
        return {
            "baskets": sum(store.baskets for store in stores),
            "baskets_with_coupon": sum(store.baskets_with_coupon for store in stores),
            "coupon_disc": float(sum(store.coupon_disc for store in stores)),
            **write_report(folders, COUPON_HOURS, hour, to_csv(stores)),
        }

    yield from build_partitions(context, COUPON_HOURS, read, write)
    excessive = {
        hour: lines
        for hour, stores in read(context.partition_keys).items()
        if (lines := sum(store.excessive for store in stores))
    }
    yield dg.AssetCheckResult(
        check_name=WITHIN_WORTH,
        asset_key=COUPON_HOURS.key,
        passed=not excessive,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"lines": sum(excessive.values()), "hours": ", ".join([*excessive][:20]) or "none"},
    )


coupon_hours_job = dg.define_asset_job(
    COUPON_HOURS.job,
    [coupon_hours],
    description="Builds the coupons of an hour, or of a range of hours in one run.",
    tags=GAP_RUN_TAGS,
)


@dg.schedule(
    name="coupon_hours_hourly_schedule",
    job=coupon_hours_job,
    cron_schedule="5 * * * *",
    execution_timezone=BUSINESS_TIME_ZONE,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Five minutes into each hour, for the hour that has just ended, unless the sensor was faster.",
)
def coupon_hours_hourly_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    now = context.scheduled_execution_time
    hours = COMPLETE_HOURS.get_partition_keys(current_time=now)
    if not hours:
        return dg.SkipReason("No hour is over yet.")
    hour = hours[-1]
    (slot,) = slots(context.instance, COUPON_HOURS, now, [hour])
    if slot.state is State.ACTIVE:
        return dg.SkipReason(f"A run builds {hour} already.")
    if not slot.is_due:
        return dg.SkipReason(f"{hour} is up to date, or there are no order lines of its day yet.")
    return dg.RunRequest(partition_key=hour, tags=ONLY_DUE_TAGS)


@dg.sensor(
    name="order_lines_threshold_sensor",
    job=coupon_hours_job,
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Follows every batch of order lines, and asks for the hours that are due when it is worth a run.",
)
def order_lines_threshold_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    now = clock.utc_now()
    gathered = gather(context.instance, Gathered.of(context.cursor))
    if why_not := gathered.why_closed(WORTH_A_RUN, now):
        return dg.SensorResult(skip_reason=why_not, cursor=gathered.cursor())
    # The hours that healing leaves alone: a day's worth. Those that failed are healing's, and no range spans them.
    hours = [
        replace(hour, reserved=False)
        for hour in slots(context.instance, COUPON_HOURS, now)
        if hour.reserved or hour.state is State.FAILED
    ]
    if any(hour.state is State.ACTIVE for hour in hours):
        return dg.SensorResult(skip_reason="Waits for the run that is under way.", cursor=gathered.cursor())
    runs = plan_once(hours, COUPON_HOURS.limits)
    asked = runs[: COUPON_HOURS.limits.in_flight]
    return dg.SensorResult(
        [range_request(run, tags=ONLY_DUE_TAGS) for run in asked],
        skip_reason=None if asked else "No hour is due.",
        cursor=(gathered.emptied() if asked == runs else gathered).cursor(),
    )


def gather(instance: dg.DagsterInstance, gathered: Gathered) -> Gathered:
    """With the batches since the last look, a page of them at most. A batch tells its lines with each of its days."""
    batches: set[object] = set()
    for record in materializations_after(instance, RAW_ORDER_LINES.key, gathered.after):
        event = record.asset_materialization
        metadata = {name: value.value for name, value in event.metadata.items()} if event else {}
        batch = metadata.get("batch")
        lines = metadata.get("batch_rows") if batch not in batches else None
        batches.add(batch)
        amount = lines if isinstance(lines, int) else 0
        gathered = gathered.add(record.storage_id, amount, datetime.fromtimestamp(record.timestamp, UTC))
    return gathered
