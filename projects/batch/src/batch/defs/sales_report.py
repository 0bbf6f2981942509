"""The sales report: rebuilt whenever a mart that it reads has changed."""

import dagster as dg

from batch.sales_report import read_figures, render_html, sparkline, summary_table
from platform_shared.automation import EVERY_MINUTE, on_any_input_partition
from platform_shared.contracts import DAILY_SALES, HOUSEHOLD_SPEND
from platform_shared.files import write_atomically
from platform_shared.resources import PlatformFolders, WarehouseResource


@dg.asset(
    key=["reports", "sales_report"],
    deps=[DAILY_SALES.key, HOUSEHOLD_SPEND.key],
    group_name="reports",
    owners=["team:batch"],
    kinds={"python", "html"},
    automation_condition=on_any_input_partition(at_most_every=EVERY_MINUTE),
)
def sales_report(
    context: dg.AssetExecutionContext, warehouse: WarehouseResource, folders: PlatformFolders
) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Sales by day and store and the best households: tables and a plot in one HTML file that needs no server."""
    with warehouse.read() as connection:
        figures = read_figures(connection)
    name = "sales_report.html"
    write_atomically(folders.home().reports / name, render_html(figures))
    context.log.info(f"{name}: {figures.days} days, {figures.sales_value} dollars")
    return dg.MaterializeResult(
        metadata={
            "sales_value": float(figures.sales_value),
            "order_lines": figures.order_lines,
            "business_days": figures.days,
            "households": figures.households,
            "file": dg.MetadataValue.text(f"reports/{name} in the platform's home folder"),
            "sales_by_day": dg.MetadataValue.md(sparkline(figures.by_day)),
            "last_days": dg.MetadataValue.md(summary_table(figures.by_day)),
        }
    )
