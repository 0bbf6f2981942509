"""What stock `eager()` leaves undone, on the asset that shows it, beside the same asset with `on_input_change`."""

from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from batch.defs.sales_by_store_eager import sales_by_store_eager
from platform_shared.automation import on_input_change
from platform_shared.contracts import DAILY_SALES
from platform_shared.testing.simulation import Simulation
from platform_shared.warehouse import TableName, Warehouse, create_table
from platform_shared.workspace import SHOWS_TAG

NOW = datetime(2026, 3, 2, 12, 0, 1, tzinfo=UTC)
KEY = sales_by_store_eager.key
NAME = "reports/sales_by_store_eager"
TODAY, YESTERDAY = "2026-03-02", "2026-03-01"
CONDITIONS = {"stock": sales_by_store_eager.get_asset_spec().automation_condition, "ours": on_input_change()}


def asset(condition, body=lambda: None):
    """The asset as it is, with this condition and, since there is no lake here, with this body."""
    spec = sales_by_store_eager.get_asset_spec().replace_attributes(automation_condition=CONDITIONS[condition])

    @dg.multi_asset(specs=[spec])
    def made():
        body()
        yield dg.MaterializeResult(KEY)

    return made


@pytest.fixture
def simulation():
    with Simulation(DAILY_SALES.reference(), asset("stock"), now=NOW) as simulation:
        yield simulation


def test_its_condition_is_the_one_of_dagster():
    assert CONDITIONS["stock"] == dg.AutomationCondition.eager()
    assert SHOWS_TAG in sales_by_store_eager.get_asset_spec().tags


@pytest.mark.parametrize(
    ("condition", "asked"), [("stock", set()), ("ours", {f"{NAME} {YESTERDAY}", f"{NAME} {TODAY}"})]
)
def test_days_that_are_there_at_the_first_look(simulation, condition, asked):
    simulation.load(DAILY_SALES.reference(), asset(condition))
    for day in (YESTERDAY, TODAY):
        simulation.report(DAILY_SALES.key, day)
    assert simulation.tick() == asked


@pytest.mark.parametrize(("condition", "asked"), [("stock", set()), ("ours", {f"{NAME} {YESTERDAY}"})])
def test_a_late_file_of_yesterday(simulation, condition, asked):
    simulation.load(DAILY_SALES.reference(), asset(condition))
    simulation.tick()
    simulation.report(DAILY_SALES.key, YESTERDAY)
    assert simulation.tick() == asked


@pytest.mark.parametrize(("condition", "asked"), [("stock", set()), ("ours", {f"{NAME} {TODAY}"})])
def test_an_update_while_it_is_built(simulation, condition, asked):
    def updated_meanwhile():
        simulation.report(DAILY_SALES.key, TODAY)
        assert simulation.tick() == set()

    simulation.load(DAILY_SALES.reference(), asset(condition, updated_meanwhile))
    simulation.tick()
    simulation.report(DAILY_SALES.key, TODAY)
    assert simulation.tick() == {f"{NAME} {TODAY}"}
    simulation.run(KEY, partition=TODAY)
    assert simulation.tick() == asked


def test_an_update_of_today_is_what_it_does_follow(daemon_harness, platform_home):
    @dg.asset(key=DAILY_SALES.key, partitions_def=DAILY_SALES.partitions)
    def mart(): ...

    harness = daemon_harness({"batch": "batch.definitions", "analytics": dg.Definitions([mart])}, NOW)
    warehouse = Warehouse.of()
    with warehouse.connect() as connection:
        table = TableName(DAILY_SALES.schema, DAILY_SALES.table)
        create_table(warehouse, connection, table, DAILY_SALES.types)
        for store, sales in ((367, "12.50"), (406, "99.00")):
            connection.execute(f"INSERT INTO {table.sql} VALUES (DATE '{TODAY}', {store}, 3, 2, 5, {sales})")
    harness.tick_automation()
    harness.report(DAILY_SALES.key, TODAY)
    harness.advance(timedelta(seconds=30))
    asked = {tick.name: tick.targets for tick in harness.tick_automation()}
    assert asked == {"batch_automation_sensor": set(), "default_automation_condition_sensor": {(KEY, TODAY)}}
    (run,) = harness.execute_runs()
    assert run.tags["platform/location"] == "batch"
    written = platform_home.reports / "sales_by_store" / f"{TODAY}.csv"
    assert written.read_text() == "store_id,baskets,sales_value\n406,2,99.00\n367,2,12.50\n"
