"""A Python asset of one location waits for dbt's checks of another one's mart: real dbt, the real daemon loop."""

from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from platform_shared.contracts import COUPON_USAGE, RAW_HOUSEHOLDS, RAW_ORDER_LINES, RAW_PRODUCTS, RAW_PROMOTIONS
from platform_shared.warehouse import TableName, Warehouse, create_table

pytestmark = pytest.mark.timeout(900)

NOW = datetime(2026, 3, 4, 15, 0, tzinfo=UTC)
DAY = "2026-03-03"
REPORT = dg.AssetKey(["reports", "coupon_report"])
CHECK = "coupon_usage_is_not_negative"


@pytest.fixture
def platform(daemon_harness, platform_home):
    """Both locations, with their raw tables empty."""
    daemon = daemon_harness({"analytics": "analytics.definitions", "batch": "batch.definitions"}, NOW)
    warehouse = Warehouse.of(platform_home)
    periods = {
        RAW_ORDER_LINES: "business_date",
        RAW_HOUSEHOLDS: None,
        RAW_PROMOTIONS: "business_week",
        RAW_PRODUCTS: None,
    }
    with warehouse.connect() as lake:
        for contract, period in periods.items():
            types = {**contract.types, **({period: "DATE"} if period else {})}
            create_table(warehouse, lake, TableName(contract.schema, contract.table), types)
    return daemon


def one_line_arrives(platform, coupon):
    """The day's delivery: one line, with a coupon of this value, instead of what was there."""
    row = f"1, 367, 42, 7, 1, 5.00, 0, {coupon}, 0, 10, TIMESTAMPTZ '{DAY} 18:00:00Z', DATE '{DAY}'"
    with Warehouse.of(platform.home).connect() as lake:
        lake.execute(f"DELETE FROM lake.raw.order_lines; INSERT INTO lake.raw.order_lines VALUES ({row})")
    platform.report(RAW_ORDER_LINES.key, DAY)


def settle(platform, **may_fail):
    return platform.run_until_quiet(idle=timedelta(seconds=61), **may_fail)


def test_a_red_dbt_check_of_a_mart_holds_the_report_of_another_location_until_it_is_green(platform, platform_home):
    one_line_arrives(platform, coupon="-1.00")
    red = settle(platform, may_fail=True)
    assert [run.status.value for run in red].count("FAILURE") == 3
    check = platform.check(COUPON_USAGE.key, CHECK)
    assert (check.passed, check.blocking) == (False, True)
    # The mart is there, and its other input is, too: only the check keeps the report back.
    assert platform.materialized(COUPON_USAGE.key)
    assert platform.materialized(REPORT) == []

    one_line_arrives(platform, coupon="1.00")
    settle(platform)
    assert platform.check(COUPON_USAGE.key, CHECK).passed
    assert platform.materialized(REPORT) == [None]
    lines = (platform_home.reports / "coupon_report.csv").read_text().splitlines()
    assert lines[1:] == ["2026-03-02,1,1,1.00,0.00"]
