"""The coupon report: rebuilt when coupon usage has changed and dbt's checks on it have passed."""

import dagster as dg

from batch.coupon_report import as_table, read_weeks, to_csv
from platform_shared.automation import EVERY_MINUTE, on_any_input_partition
from platform_shared.contracts import COUPON_USAGE
from platform_shared.files import write_atomically
from platform_shared.resources import PlatformFolders, WarehouseResource


@dg.asset(
    key=["reports", "coupon_report"],
    deps=[COUPON_USAGE.key],
    group_name="reports",
    owners=["team:batch"],
    kinds={"python", "csv"},
    automation_condition=on_any_input_partition(at_most_every=EVERY_MINUTE),
)
def coupon_report(warehouse: WarehouseResource, folders: PlatformFolders) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Baskets with coupons and what they were worth, week by week, as a CSV file."""
    with warehouse.read() as connection:
        weeks = read_weeks(connection)
    name = "coupon_report.csv"
    write_atomically(folders.home().reports / name, to_csv(weeks))
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": len(weeks),
            "coupon_disc": float(sum(week.coupon_disc for week in weeks)),
            "file": dg.MetadataValue.text(f"reports/{name} in the platform's home folder"),
            "last_weeks": dg.MetadataValue.md(as_table(weeks)),
        }
    )
