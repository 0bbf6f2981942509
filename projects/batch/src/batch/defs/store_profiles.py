"""A partition a store: a sensor adds those that sell for the first time, and retires those that have closed."""

from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg

from batch.partitions import STORES, STORES_NAME
from batch.reporting import RUN_TAGS, report_spec, write_report
from batch.store_profiles import StoreProfile, changes, read_last_sales, read_profiles, to_csv
from platform_shared import clock
from platform_shared.contracts import DAILY_SALES
from platform_shared.partitions import BUSINESS_TIME_ZONE, business_date
from platform_shared.resources import PlatformFolders, WarehouseResource
from platform_shared.schedules import (
    Limits,
    Overlap,
    Series,
    build_partitions,
    gap_healing_sensor,
    range_request,
    why_not_now,
)
from platform_shared.sensors import materializations_after

# Without inputs: a store is built when it is new, and with all others weekly; not with every day that it sells.
STORE_PROFILES = Series(
    dg.AssetKey(["reports", "store_profiles"]), "store_profiles_job", STORES, limits=Limits(per_run=500)
)


@dg.multi_asset(
    name="store_profiles",
    specs=[
        report_spec(
            STORE_PROFILES,
            "First and last day, baskets and sales of each store, as CSV.",
            dg.AssetDep(DAILY_SALES.key, partition_mapping=dg.AllPartitionMapping()),
        )
    ],
    backfill_policy=dg.BackfillPolicy.single_run(),
    pool="batch_store_profiles",
)
def store_profiles(
    context: dg.AssetExecutionContext, warehouse: WarehouseResource, folders: PlatformFolders
) -> Iterator[Any]:
    def read(stores: Sequence[str]) -> dict[str, StoreProfile | None]:
        with warehouse.read() as connection:
            return read_profiles(connection, stores)

    def write(store: str, profile: StoreProfile | None) -> dict[str, Any]:
        figures = {"days": profile.days, "sales_value": float(profile.sales_value)} if profile else {"days": 0}
        return {**figures, **write_report(folders, STORE_PROFILES, store, to_csv(profile))}

    yield from build_partitions(context, STORE_PROFILES, read, write)


store_profiles_job = dg.define_asset_job(
    STORE_PROFILES.job,
    [store_profiles],
    description="Builds the profile of a store, or of many stores in one run.",
    # The weekly run renews what is there: what fails of it is no gap.
    tags=RUN_TAGS,
)

store_profiles_gap_sensor = gap_healing_sensor("batch", STORE_PROFILES)


@dg.sensor(
    name="daily_sales_stores_sensor",
    target=[store_profiles],
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="After each change of the daily sales: adds new stores as partitions, and retires those that closed. "
    "What is missing then is built as a gap.",
)
def daily_sales_stores_sensor(
    context: dg.SensorEvaluationContext, warehouse: WarehouseResource
) -> dg.SensorResult | dg.SkipReason:
    after = int(context.cursor) if context.cursor else None
    changed = materializations_after(context.instance, DAILY_SALES.key, after)
    if not changed:
        return dg.SkipReason("The daily sales have not changed.")
    with warehouse.read() as connection:
        last_sales = read_last_sales(connection)
    known = context.instance.get_dynamic_partitions(STORES_NAME)
    found = changes(last_sales, known, business_date(clock.utc_now()))
    requests: list[dg.AddDynamicPartitionsRequest | dg.DeleteDynamicPartitionsRequest] = []
    if found.new:
        requests.append(dg.AddDynamicPartitionsRequest(STORES_NAME, list(found.new)))
    if found.retired:
        requests.append(dg.DeleteDynamicPartitionsRequest(STORES_NAME, list(found.retired)))
    return dg.SensorResult(
        skip_reason=f"{len(found.new)} stores are new, {len(found.retired)} have closed.",
        dynamic_partitions_requests=requests,
        cursor=str(changed[-1].storage_id),
    )


@dg.schedule(
    name="store_profiles_weekly_schedule",
    job=store_profiles_job,
    cron_schedule="0 6 * * 1",
    execution_timezone=BUSINESS_TIME_ZONE,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="All stores on Mondays at six in New York, in one run.",
)
def store_profiles_weekly_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    stores = context.instance.get_dynamic_partitions(STORES_NAME)
    if not stores:
        return dg.SkipReason("There is no store yet.")
    why_not = why_not_now(context.instance, STORE_PROFILES.job, Overlap.QUEUE_ONE)
    return dg.SkipReason(why_not) if why_not else range_request(stores)
