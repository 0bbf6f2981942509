"""The customer segments for people's own tools: written when new ones are published."""

import dagster as dg

from analytics.segments import read_segments
from platform_shared.automation import EVERY_MINUTE, on_input_change
from platform_shared.files import write_atomically
from platform_shared.resources import PlatformFolders, WarehouseResource


@dg.asset(
    key=["reports", "segment_export"],
    deps=[dg.AssetKey(["marts", "customer_segments"])],
    group_name="reports",
    owners=["team:analytics"],
    kinds={"python", "csv"},
    automation_condition=on_input_change(at_most_every=EVERY_MINUTE),
)
def segment_export(warehouse: WarehouseResource, folders: PlatformFolders) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Customer segments as a CSV file. Segments that fail their audit are never published, so never exported."""
    with warehouse.read() as connection:
        segments = read_segments(connection)
    name = "customer_segments.csv"
    write_atomically(folders.home().reports / name, segments.csv())
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": len(segments.rows),
            "households": segments.households,
            "sales_value": float(segments.sales_value),
            "file": dg.MetadataValue.text(f"reports/{name} in the platform's home folder"),
        }
    )
