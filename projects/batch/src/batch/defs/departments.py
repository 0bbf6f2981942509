"""Sales by day and part of the day, filled as gaps are, and a profile of each part: two dimensions and one of them."""

from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg

from batch.dayparts import StoreDaypart, profile, profile_csv, profile_markdown, read_dayparts, read_days, to_csv
from batch.partitions import BY_DAY_AND_DAYPART, BY_DAYPART, along
from batch.reporting import GAP_RUN_TAGS
from platform_shared.automation import EVERY_MINUTE, on_input_change
from platform_shared.contracts import RAW_ORDER_LINES
from platform_shared.files import write_atomically
from platform_shared.resources import PlatformFolders, WarehouseResource
from platform_shared.schedules import Input, Series, build_partitions, gap_healing_sensor

DAYPART_SALES = Series(
    dg.AssetKey(["reports", "daypart_sales"]),
    "daypart_sales_job",
    BY_DAY_AND_DAYPART,
    (Input(RAW_ORDER_LINES.key, lambda key: key.split("|")[:1]),),
    # Dagster's own backfill would take a run for each part of the day.
    row=lambda key: key.split("|")[0],
)
DAYPART_PROFILES = Series(dg.AssetKey(["reports", "daypart_profiles"]), "daypart_profiles_job", BY_DAYPART)


@dg.multi_asset(
    name="daypart_sales",
    specs=[
        dg.AssetSpec(
            DAYPART_SALES.key,
            deps=[dg.AssetDep(RAW_ORDER_LINES.key, partition_mapping=along("day"))],
            description="Sales of each store in each part of each day that is over, as CSV.",
            group_name="reports",
            owners=["team:batch"],
            kinds={"python", "csv"},
            partitions_def=BY_DAY_AND_DAYPART,
            skippable=True,
        )
    ],
    backfill_policy=dg.BackfillPolicy.single_run(),
    pool="batch_daypart_sales",
)
def daypart_sales(
    context: dg.AssetExecutionContext, warehouse: WarehouseResource, folders: PlatformFolders
) -> Iterator[Any]:
    def read(keys: Sequence[str]) -> dict[str, list[StoreDaypart]]:
        days = sorted({key.split("|")[0] for key in keys})
        with warehouse.read() as connection:
            return {f"{day}|{part}": stores for (day, part), stores in read_dayparts(connection, days).items()}

    def write(key: str, stores: list[StoreDaypart]) -> dict[str, Any]:
        name = f"daypart_sales/{key.replace('|', '/')}.csv"
        write_atomically(folders.home().reports / name, to_csv(stores))
        return {
            "stores": len(stores),
            "baskets": sum(store.baskets for store in stores),
            "sales_value": float(sum(store.sales_value for store in stores)),
            "file": dg.MetadataValue.text(f"reports/{name} in the platform's home folder"),
        }

    yield from build_partitions(context, DAYPART_SALES, read, write)


daypart_sales_job = dg.define_asset_job(
    DAYPART_SALES.job,
    [daypart_sales],
    description="Builds the sales by part of the day of a day, or of a range of days in one run.",
    tags=GAP_RUN_TAGS,
)

daypart_sales_gap_sensor = gap_healing_sensor("batch", DAYPART_SALES)


@dg.multi_asset(
    name="daypart_profiles",
    specs=[
        dg.AssetSpec(
            DAYPART_PROFILES.key,
            deps=[dg.AssetDep(DAYPART_SALES.key, partition_mapping=along("daypart"))],
            description="What each part of the day brings on each weekday, as CSV.",
            group_name="reports",
            owners=["team:batch"],
            kinds={"python", "csv"},
            partitions_def=BY_DAYPART,
            skippable=True,
            automation_condition=on_input_change(at_most_every=EVERY_MINUTE),
        )
    ],
    backfill_policy=dg.BackfillPolicy.single_run(),
    pool="batch_daypart_profiles",
)
def daypart_profiles(context: dg.AssetExecutionContext, folders: PlatformFolders) -> Iterator[Any]:
    reports = folders.home().reports

    def write(part: str, _: None) -> dict[str, Any]:
        profiles = profile(read_days(reports.glob(f"daypart_sales/*/{part}.csv")))
        name = f"daypart_profiles/{part}.csv"
        write_atomically(reports / name, profile_csv(profiles))
        return {
            "weekdays": dg.MetadataValue.md(profile_markdown(profiles)),
            "file": dg.MetadataValue.text(f"reports/{name} in the platform's home folder"),
        }

    yield from build_partitions(context, DAYPART_PROFILES, dict.fromkeys, write)
