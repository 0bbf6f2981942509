"""The household report: rebuilt when both the households and what they bought have changed since the last time."""

import dagster as dg

from batch.household_report import read_sizes, to_csv, to_markdown
from platform_shared.automation import Condition
from platform_shared.automation.parts import free, inputs_ready, missing
from platform_shared.contracts import HOUSEHOLD_SPEND, RAW_HOUSEHOLDS
from platform_shared.files import write_atomically
from platform_shared.resources import PlatformFolders, WarehouseResource

KEY = dg.AssetKey(["reports", "household_report"])


def on_all_inputs_change(asset: dg.AssetKey) -> Condition:
    """Builds this asset when each of its inputs has changed since it was asked for last, and when it is missing.

    Of each input it is kept whether the asset was asked for after its last change; a change in the same look wins.
    """
    ac = dg.AutomationCondition
    asked = ac.asset_matches(asset, ac.newly_requested()).since(ac.newly_updated())
    changed = ac.all_deps_match(~asked).with_label("each input changed since it was last asked for")
    wanted = (changed | missing()).with_label("wanted")
    return (wanted & inputs_ready() & free()).with_label("on_all_inputs_change").resolve_through_virtual()


@dg.asset(
    key=KEY,
    deps=[RAW_HOUSEHOLDS.key, HOUSEHOLD_SPEND.key],
    group_name="reports",
    owners=["team:batch"],
    kinds={"python", "csv"},
    automation_condition=on_all_inputs_change(KEY),
    description="What households of each size spend, as CSV. New demographics or purchases alone do not rebuild it.",
)
def household_report(warehouse: WarehouseResource, folders: PlatformFolders) -> dg.MaterializeResult:  # type: ignore[type-arg]
    with warehouse.read() as connection:
        sizes = read_sizes(connection)
    name = "household_report.csv"
    write_atomically(folders.home().reports / name, to_csv(sizes))
    return dg.MaterializeResult(
        metadata={
            "households": sum(size.households for size in sizes),
            "sales_value": float(sum(size.sales_value for size in sizes)),
            "sizes": dg.MetadataValue.md(to_markdown(sizes)),
            "file": dg.MetadataValue.text(f"reports/{name} in the platform's home folder"),
        }
    )
