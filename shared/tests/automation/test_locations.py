"""Conditions over the border of a location."""

from collections.abc import Callable
from datetime import UTC, datetime

import dagster as dg

from platform_shared.automation import automation_sensor, on_input_change
from platform_shared.testing.daemon import DaemonHarness

NOW = datetime(2026, 3, 4, 15, 0, tzinfo=UTC)
SOURCE, TABLE, REPORT = (dg.AssetKey(name) for name in ("source", "table", "report"))


@dg.asset(key=TABLE, deps=[SOURCE], automation_condition=on_input_change())
def table() -> None: ...


@dg.asset(key=REPORT, deps=[TABLE], automation_condition=on_input_change())
def report() -> None: ...


def test_an_asset_follows_its_parent_of_another_location(daemon_harness: Callable[..., DaemonHarness]) -> None:
    producer = dg.Definitions([dg.AssetSpec(SOURCE), table], sensors=[automation_sensor("producer")])
    consumer = dg.Definitions([dg.AssetSpec(TABLE), report], sensors=[automation_sensor("consumer")])
    platform = daemon_harness({"producer": producer, "consumer": consumer}, NOW)
    platform.report(SOURCE)
    assert [tick.targets for tick in platform.tick_automation()] == [set(), {(TABLE, None)}]
    platform.execute_runs()
    assert [tick.targets for tick in platform.tick_automation()] == [{(REPORT, None)}, set()]
    platform.run_until_quiet()
    assert platform.materialized(TABLE) == platform.materialized(REPORT) == [None]


def test_runs_carry_their_location_and_the_tries_that_the_instance_grants(
    daemon_harness: Callable[..., DaemonHarness],
) -> None:
    producer = dg.Definitions([dg.AssetSpec(SOURCE), table], sensors=[automation_sensor("producer")])
    platform = daemon_harness({"producer": producer}, NOW)
    platform.report(SOURCE)
    platform.tick_automation()
    (run,) = platform.runs()
    assert run.tags["platform/location"] == "producer"
    assert run.tags["dagster/max_retries"] == "2"
