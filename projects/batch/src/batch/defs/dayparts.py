"""Sales by day and part of the day (two dimensions), and a profile of each part (one of the two): by conditions."""

from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg

from batch.dayparts import StoreDaypart, profile, profile_csv, profile_markdown, read_dayparts, read_days, to_csv
from batch.partitions import BY_DAY_AND_DAYPART, BY_DAYPART, along
from platform_shared.automation import on_input_change
from platform_shared.contracts import RAW_ORDER_LINES
from platform_shared.files import write_atomically
from platform_shared.resources import PlatformFolders, WarehouseResource
from platform_shared.schedules import Input, Series, build_partitions

EVERY_FIVE_MINUTES = "*/5 * * * *"

DAYPART_SALES = Series(
    dg.AssetKey(["reports", "daypart_sales"]),
    "daypart_sales_job",
    BY_DAY_AND_DAYPART,
    (Input(RAW_ORDER_LINES.key, lambda key: key.split("|")[:1]),),
)
DAYPART_PROFILES = Series(dg.AssetKey(["reports", "daypart_profiles"]), "daypart_sales_job", BY_DAYPART)


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
            automation_condition=on_input_change(at_most_every=EVERY_FIVE_MINUTES),
        )
    ],
    backfill_policy=dg.BackfillPolicy.single_run(),
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
            automation_condition=on_input_change(at_most_every=EVERY_FIVE_MINUTES),
        )
    ],
    backfill_policy=dg.BackfillPolicy.single_run(),
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
