"""Sales of a day by store, kept up by Dagster's stock `eager()`: the contrast to the platform's conditions."""

import dagster as dg

from batch.defs.automation import STOCK_EAGER
from batch.sales_by_store import read_stores, to_csv
from platform_shared.contracts import DAILY_SALES
from platform_shared.files import write_atomically
from platform_shared.resources import PlatformFolders, WarehouseResource
from platform_shared.workspace import SHOWS_TAG


@dg.multi_asset(
    name="sales_by_store_eager",
    specs=[
        dg.AssetSpec(
            ["reports", "sales_by_store_eager"],
            deps=[DAILY_SALES.key],
            description="Sales of a business day by store, largest first, as CSV. Gaps and old days are what it is "
            "here to show: `eager()` builds no day that was there before its first look, no day but the latest, and "
            "misses what comes while it is building. With `on_input_change()` in its place every day is there and up "
            "to date.",
            partitions_def=DAILY_SALES.partitions,
            group_name="reports",
            owners=["team:batch"],
            kinds={"python", "csv"},
            tags={SHOWS_TAG: STOCK_EAGER},
            automation_condition=dg.AutomationCondition.eager(),
        )
    ],
    # A day that fails takes the others of its run with it: of a year, a month at most.
    backfill_policy=dg.BackfillPolicy.multi_run(30),
)
def sales_by_store_eager(
    context: dg.AssetExecutionContext, warehouse: WarehouseResource, folders: PlatformFolders
) -> dg.MaterializeResult:  # type: ignore[type-arg]
    with warehouse.read() as connection:
        days = read_stores(connection, context.partition_keys)
    for day, stores in days.items():
        write_atomically(folders.home().reports / f"sales_by_store/{day}.csv", to_csv(stores))
    # Of all days of the run; Dagster shows it with each.
    return dg.MaterializeResult(
        metadata={
            "days": len(days),
            "sales_value": float(sum(store.sales_value for stores in days.values() for store in stores)),
            "files": dg.MetadataValue.text("reports/sales_by_store in the platform's home folder"),
        }
    )
