"""A location with the daily store sales as the batch location builds them, once a backfill policy: `batch.py`."""

from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg

from batch.reporting import write_report
from batch.sales_by_store import StoreDay, read_stores, to_csv
from platform_shared.contracts import DAILY_SALES
from platform_shared.partitions import COMPLETE_DAYS
from platform_shared.resources import PlatformFolders, WarehouseResource
from platform_shared.schedules import Input, Series, build_partitions, same_day

POLICIES = {
    "single_run": dg.BackfillPolicy.single_run(),
    "multi_run_30": dg.BackfillPolicy.multi_run(30),
    "run_a_day": dg.BackfillPolicy.multi_run(1),
}


def report(name: str, policy: dg.BackfillPolicy) -> dg.AssetsDefinition:
    """Without a pool, so that the runs of a backfill go on two at once, as the instance lets them."""
    series = Series(dg.AssetKey(["reports", name]), f"{name}_job", COMPLETE_DAYS, (Input(DAILY_SALES.key, same_day),))
    spec = dg.AssetSpec(series.key, deps=[DAILY_SALES.key], partitions_def=COMPLETE_DAYS, skippable=True)

    @dg.multi_asset(name=name, specs=[spec], backfill_policy=policy)
    def made(
        context: dg.AssetExecutionContext, warehouse: WarehouseResource, folders: PlatformFolders
    ) -> Iterator[Any]:
        def read(days: Sequence[str]) -> dict[str, list[StoreDay]]:
            with warehouse.read() as connection:
                return read_stores(connection, days)

        def write(day: str, stores: list[StoreDay]) -> dict[str, Any]:
            return {"stores": len(stores), **write_report(folders, series, day, to_csv(stores))}

        yield from build_partitions(context, series, read, write)

    return made


defs = dg.Definitions(
    [DAILY_SALES.reference(), *(report(name, policy) for name, policy in POLICIES.items())],
    resources={"warehouse": WarehouseResource(), "folders": PlatformFolders()},
    executor=dg.in_process_executor,
)
