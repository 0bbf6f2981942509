"""The report is built by itself when both marts are there, and again when one changes."""

from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from platform_shared.contracts import DAILY_SALES, HOUSEHOLD_SPEND, Contract
from platform_shared.warehouse import TableName, Warehouse, create_table

NOW = datetime(2026, 3, 2, 12, 0, 1, tzinfo=UTC)
REPORT = dg.AssetKey(["reports", "sales_report"])


def owner(*contracts: Contract) -> dg.Definitions:
    """A location that owns the marts; the tests report what it would build."""

    def asset(contract):
        @dg.asset(key=contract.key, partitions_def=contract.partitions)
        def mart():
            return None

        return mart

    return dg.Definitions(assets=[asset(contract) for contract in contracts])


@pytest.fixture
def harness(daemon_harness):
    harness = daemon_harness({"batch": "batch.definitions", "analytics": owner(DAILY_SALES, HOUSEHOLD_SPEND)}, NOW)
    warehouse = Warehouse.of()
    with warehouse.connect() as connection:
        for contract, row in (
            (DAILY_SALES, "DATE '2026-03-01', 367, 3, 2, 5, 12.50"),
            (HOUSEHOLD_SPEND, "900, DATE '2026-03-01', DATE '2026-03-01', 2, 12.50"),
        ):
            table = TableName(contract.schema, contract.table)
            create_table(warehouse, connection, table, contract.types)
            connection.execute(f"INSERT INTO {table.sql} VALUES ({row})")
    return harness


def in_a_minute(harness):
    """Runs of the report that the next minute brings."""
    runs = []
    for _ in range(6):
        harness.advance(timedelta(seconds=10))
        harness.tick_automation()
        runs += harness.execute_runs()
    return [run for run in runs if REPORT in run.asset_selection]


def test_the_report_waits_for_both_marts_and_then_comes_by_itself(harness, platform_home):
    assert in_a_minute(harness) == []
    harness.report(DAILY_SALES.key, "2026-03-01")
    assert in_a_minute(harness) == []
    harness.report(HOUSEHOLD_SPEND.key)
    assert len(in_a_minute(harness)) == 1
    assert in_a_minute(harness) == []
    page = (platform_home.reports / "sales_report.html").read_text()
    assert "$ 12.50" in page
    metadata = harness.materializations(REPORT)[-1].asset_materialization.metadata
    assert metadata["sales_value"].value == 12.50
    assert len(metadata["sales_by_day"].value) < 1000


def test_a_late_day_builds_it_once_more(harness):
    harness.report(DAILY_SALES.key, "2026-03-01")
    harness.report(HOUSEHOLD_SPEND.key)
    assert len(in_a_minute(harness)) == 1
    harness.report(DAILY_SALES.key, "2026-02-20")
    assert len(in_a_minute(harness)) == 1
    assert in_a_minute(harness) == []


def test_a_trickle_of_updates_builds_it_once_a_minute_at_most(harness):
    harness.report(HOUSEHOLD_SPEND.key)
    began, built = harness.now, 0
    for _ in range(30):
        harness.report(DAILY_SALES.key, "2026-03-01")
        harness.advance(timedelta(seconds=10))
        harness.tick_automation()
        built += len(harness.execute_runs())
    minutes = (harness.now - began) / timedelta(minutes=1)
    assert minutes - 1 <= built <= minutes + 2
