"""The week that is over, beside the one before: a page for people, on Monday twenty past midnight."""

import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import dagster as dg

from batch.reporting import GAP_RUN_TAGS, report_file, report_spec, write_report
from batch.series import WEEKLY_REPORT
from batch.weekly_page import picture, render_html, thumbnail
from batch.weekly_report import Week, read_weeks, to_markdown
from platform_shared.contracts import COUPON_USAGE, DAILY_SALES, HOUSEHOLD_DAYS, PROMOTION_LIFT, Contract
from platform_shared.files import write_atomically
from platform_shared.resources import PlatformFolders, WarehouseResource
from platform_shared.schedules import ONLY_DUE_TAGS, build_partitions


def _of_two_weeks(contract: Contract) -> dg.AssetDep:
    with warnings.catch_warnings():
        # Beta in 1.13: the first week has none before it. A test of the report holds what it does.
        warnings.simplefilter("ignore", dg.BetaWarning)
        mapping = dg.TimeWindowPartitionMapping(start_offset=-1, allow_nonexistent_upstream_partitions=True)
    return dg.AssetDep(contract.key, partition_mapping=mapping)


def _copy_newest(folder: Path) -> None:
    """Keeps `latest.html` the page of the newest week with sales, which is one that has a picture."""
    latest = folder / "latest.html"
    pages = (plot.with_suffix(".html") for plot in folder.glob("*.png"))
    newest = max((page for page in pages if page.exists()), default=None)
    if newest:
        write_atomically(latest, newest.read_bytes())
    else:
        latest.unlink(missing_ok=True)


@dg.multi_asset(
    name="weekly_report",
    specs=[
        report_spec(
            WEEKLY_REPORT,
            "Each week that is over beside the week before: sales by day and store, coupons, promotions, households, "
            "as one HTML file with plots that needs no server, and sales by day as a PNG picture beside it. The newest "
            "week with sales is latest.html too; of two weeks without sales the second has no file.",
            *(_of_two_weeks(contract) for contract in (DAILY_SALES, COUPON_USAGE, HOUSEHOLD_DAYS)),
            PROMOTION_LIFT,
            suffix="html",
        )
    ],
    backfill_policy=dg.BackfillPolicy.single_run(),
    pool="batch_weekly_report",
)
def weekly_report(
    context: dg.AssetExecutionContext, warehouse: WarehouseResource, folders: PlatformFolders
) -> Iterator[Any]:
    def read(weeks: Sequence[str]) -> dict[str, Week]:
        with warehouse.read() as connection:
            return read_weeks(connection, weeks)

    def write(monday: str, week: Week) -> dict[str, Any]:
        page, plot = (report_file(folders, WEEKLY_REPORT, monday, suffix) for suffix in ("html", "png"))
        shown: dict[str, Any] = {}
        if week.now.trading_days or week.before.trading_days:
            shown = write_report(folders, WEEKLY_REPORT, monday, render_html(week), "html")
        else:
            page.unlink(missing_ok=True)
        if week.now.trading_days:
            write_atomically(plot, picture(week))
            shown["plot"] = dg.MetadataValue.md(thumbnail(week))
            shown["days"] = dg.MetadataValue.md(to_markdown(week))
        else:
            plot.unlink(missing_ok=True)
        _copy_newest(page.parent)
        return {
            "sales_value": float(week.now.sales_value),
            "baskets": week.now.baskets,
            "trading_days": week.now.trading_days,
            **shown,
        }

    yield from build_partitions(context, WEEKLY_REPORT, read, write)


weekly_report_job = dg.define_asset_job(
    WEEKLY_REPORT.job,
    [weekly_report],
    description="Builds the page of a week, or of a range of weeks in one run.",
    tags=GAP_RUN_TAGS,
)

weekly_report_schedule = dg.build_schedule_from_partitioned_job(
    weekly_report_job,
    name="weekly_report_schedule",
    description="Twenty past midnight on Monday in New York, for the week that has just ended.",
    hour_of_day=0,
    minute_of_hour=20,
    tags=dict(ONLY_DUE_TAGS),
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
