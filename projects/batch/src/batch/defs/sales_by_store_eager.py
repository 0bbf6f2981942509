"""Sales of a day by store, kept up by Dagster's stock `eager()`: the contrast to the platform's conditions."""

import dagster as dg

from batch.defs.automation import STOCK_EAGER
from batch.sales_by_store import read_stores, to_csv
from platform_shared.contracts import DAILY_SALES
from platform_shared.files import write_atomically
from platform_shared.resources import PlatformFolders, WarehouseResource
from platform_shared.workspace import SHOWS_TAG


@dg.asset(
    key=["reports", "sales_by_store_eager"],
    deps=[DAILY_SALES.key],
    partitions_def=DAILY_SALES.partitions,
    group_name="reports",
    owners=["team:batch"],
    kinds={"python", "csv"},
    tags={SHOWS_TAG: STOCK_EAGER},
    automation_condition=dg.AutomationCondition.eager(),
)
def sales_by_store_eager(
    context: dg.AssetExecutionContext, warehouse: WarehouseResource, folders: PlatformFolders
) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Sales of one business day by store, largest first, as CSV. Gaps and old days are what it is here to show:
    `eager()` builds no day that was there before its first look, no day but the latest, and misses what comes while it
    is building. With `on_input_change()` in its place every day is there and up to date."""
    day = context.partition_key
    with warehouse.read() as connection:
        stores = read_stores(connection, [day])[day]
    name = f"sales_by_store/{day}.csv"
    write_atomically(folders.home().reports / name, to_csv(stores))
    return dg.MaterializeResult(
        metadata={
            "stores": len(stores),
            "sales_value": float(sum(store.sales_value for store in stores)),
            "file": dg.MetadataValue.text(f"reports/{name} in the platform's home folder"),
        }
    )
