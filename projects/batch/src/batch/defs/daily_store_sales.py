"""Sales by store of each day that is over: by a schedule made from the partitions, five minutes past midnight."""

import csv
from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Any

import dagster as dg

from batch.reporting import GAP_RUN_TAGS, report_file, report_spec, write_report
from batch.sales_by_store import StoreDay, last_day_of_trade, read_stores, to_csv
from batch.series import DAILY_STORE_SALES
from platform_shared import clock
from platform_shared.contracts import DAILY_SALES
from platform_shared.resources import PlatformFolders, WarehouseResource
from platform_shared.schedules import ONLY_DUE_TAGS, build_partitions, slots

ADDS_UP = "adds_up_to_the_mart"
FEW_STORES = "most_stores_reported"


@dg.multi_asset(
    name="daily_store_sales",
    specs=[report_spec(DAILY_STORE_SALES, "Sales of each store on each day that is over, as CSV.", DAILY_SALES)],
    check_specs=[
        dg.AssetCheckSpec(
            ADDS_UP,
            asset=DAILY_STORE_SALES.key,
            blocking=True,
            description="The files of the run's days hold what `marts/daily_sales` held when they were made, to the "
            "cent; those that the run left alone, what it holds now.",
        ),
        dg.AssetCheckSpec(
            FEW_STORES,
            asset=DAILY_STORE_SALES.key,
            description="Warns if fewer than half as many stores reported on a day as on the day of trade before it.",
        ),
    ],
    backfill_policy=dg.BackfillPolicy.single_run(),
    pool="batch_daily_store_sales",
)
def daily_store_sales(
    context: dg.AssetExecutionContext, warehouse: WarehouseResource, folders: PlatformFolders
) -> Iterator[dg.AssetCheckResult]:
    held: dict[str, Decimal] = {}

    def read(days: Sequence[str]) -> dict[str, list[StoreDay]]:
        with warehouse.read() as connection:
            found = read_stores(connection, days)
        held.update({day: sum((store.sales_value for store in stores), Decimal(0)) for day, stores in found.items()})
        return found

    def write(day: str, stores: list[StoreDay]) -> dict[str, Any]:
        return {
            "stores": len(stores),
            "baskets": sum(store.baskets for store in stores),
            "sales_value": float(sum(store.sales_value for store in stores)),
            **write_report(folders, DAILY_STORE_SALES, day, to_csv(stores)),
        }

    yield from build_partitions(context, DAILY_STORE_SALES, read, write)
    days = [day for day in context.partition_keys if report_file(folders, DAILY_STORE_SALES, day).is_file()]
    told = {day: _told(folders, day) for day in days}
    left_alone = [day for day in days if day not in held]
    if left_alone:
        read(left_alone)
    differ = [day for day in days if sum(told[day]) != held[day]]
    doubtful = [day for day in differ if day in left_alone]
    # A late file is no error of the report: its days are due again.
    late = {day for day in doubtful if slots(context.instance, DAILY_STORE_SALES, clock.utc_now(), [day])[0].is_due}
    with warehouse.read() as connection:
        before = last_day_of_trade(connection, min(context.partition_keys))
    yield _result(ADDS_UP, [day for day in differ if day not in late], dg.AssetCheckSeverity.ERROR)
    stores = {**before, **{day: len(told[day]) for day in days}}
    yield _result(FEW_STORES, few_stores(stores), dg.AssetCheckSeverity.WARN)


def _told(folders: PlatformFolders, day: str) -> list[Decimal]:
    """What the file of a day says of each store."""
    with report_file(folders, DAILY_STORE_SALES, day).open(encoding="utf-8", newline="") as file:
        return [Decimal(row["sales_value"]) for row in csv.DictReader(file)]


def few_stores(stores: dict[str, int]) -> list[str]:
    """Days on which fewer than half as many stores reported as on the day of trade before; closed days do not count."""
    days = [(day, number) for day, number in stores.items() if number]
    return [day for (_, before), (day, number) in pairwise(days) if number * 2 < before]


def _result(name: str, days: Sequence[str], severity: dg.AssetCheckSeverity) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name=name,
        asset_key=DAILY_STORE_SALES.key,
        passed=not days,
        severity=severity,
        metadata={"days": ", ".join(days[:20]) or "none"},
    )


store_sales_job = dg.define_asset_job(
    DAILY_STORE_SALES.job,
    [daily_store_sales],
    description="Builds the daily store sales of a day, or of a range of days in one run.",
    tags=GAP_RUN_TAGS,
)

store_sales_daily_schedule = dg.build_schedule_from_partitioned_job(
    store_sales_job,
    name="store_sales_daily_schedule",
    description="Five minutes past midnight in New York, for the day that has just ended.",
    hour_of_day=0,
    minute_of_hour=5,
    tags=dict(ONLY_DUE_TAGS),
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
