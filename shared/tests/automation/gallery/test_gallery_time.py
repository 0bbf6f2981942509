"""Time: cron ticks and time windows."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from platform_shared.testing.simulation import LOOK_PAUSE, Simulation

AC = dg.AutomationCondition
Simulate = Callable[..., Simulation]

HOUR = timedelta(hours=1)
HOURLY = "0 * * * *"
DAYS = dg.DailyPartitionsDefinition("2026-03-01")


@pytest.mark.shows(
    "cron_tick_passed",
    form='cron_tick_passed(cron_schedule, cron_timezone="UTC")',
    true="a tick of the cron lies between the previous look and this one",
    false="there was none, or this is the first look of all. Ten ticks missed are one",
    mistake="To forget the time zone: it is UTC, not that of the asset's partitions or of the instance.",
)
def test_a_cron_tick_passes_once(simulate: Simulate) -> None:
    @dg.asset(automation_condition=AC.cron_tick_passed(HOURLY))
    def table() -> None: ...

    show = simulate(table)
    assert show.tick() == set(), "a tick just passed, but this is the first look"
    show.advance(HOUR)
    assert show.tick() == {"table"}
    assert show.tick() == set()
    show.advance(10 * HOUR)
    assert show.tick() == {"table"}
    assert show.tick() == set(), "the other nine are not made good"


@pytest.mark.shows("cron_tick_passed")
@pytest.mark.parametrize(("zone", "hour"), [("UTC", 9), ("America/New_York", 14)])
def test_nine_in_the_morning_is_of_a_time_zone(simulate: Simulate, zone: str, hour: int) -> None:
    @dg.asset(automation_condition=AC.cron_tick_passed("0 9 * * *", zone))
    def table() -> None: ...

    show = simulate(table, now=datetime(2026, 3, 4, 0, 30, tzinfo=UTC))
    asked_at = []
    for _ in range(24):
        if show.tick():
            asked_at.append(show.now.hour)
        show.advance(HOUR - LOOK_PAUSE)
    assert asked_at == [hour]


@pytest.mark.shows(
    "in_latest_time_window",
    form="in_latest_time_window(lookback_delta=None)",
    true="the partition is the last of the time windows that are closed, or lies within `lookback_delta` of its end. "
    "Without a time dimension all partitions are in it",
    false="it is older",
    mistake="It is what makes `eager()` and `on_cron()` forget a day that was missed: after three days without a "
    "daemon one day is built. Static partitions it does not bound at all.",
)
def test_the_latest_time_window_and_a_lookback(simulate: Simulate) -> None:
    @dg.asset(partitions_def=DAYS, automation_condition=AC.in_latest_time_window())
    def latest() -> None: ...

    @dg.asset(partitions_def=DAYS, automation_condition=AC.in_latest_time_window(timedelta(days=2)))
    def two_days() -> None: ...

    @dg.asset(
        partitions_def=dg.DailyPartitionsDefinition("2026-03-01", end_offset=1),
        automation_condition=AC.in_latest_time_window(),
    )
    def with_today() -> None: ...

    show = simulate(latest, two_days, with_today)
    assert show.tick() == {
        "latest 2026-03-03",
        "two_days 2026-03-02",
        "two_days 2026-03-03",
        "with_today 2026-03-04",
    }
    show.advance(timedelta(days=1))
    assert "latest 2026-03-04" in show.tick()


@pytest.mark.shows("in_latest_time_window")
def test_what_has_no_time_is_always_in_the_window(simulate: Simulate) -> None:
    many = dg.StaticPartitionsDefinition([f"store {number}" for number in range(300)])
    cities = dg.MultiPartitionsDefinition({"day": DAYS, "city": dg.StaticPartitionsDefinition(["Bern", "Ulm"])})

    @dg.asset(automation_condition=AC.in_latest_time_window())
    def plain() -> None: ...

    @dg.asset(partitions_def=many, automation_condition=AC.in_latest_time_window())
    def by_store() -> None: ...

    @dg.asset(partitions_def=cities, automation_condition=AC.in_latest_time_window())
    def by_city() -> None: ...

    said = simulate(plain, by_store, by_city).tick()
    assert "plain" in said
    assert len([each for each in said if each.startswith("by_store ")]) == 300
    assert {each for each in said if each.startswith("by_city")} == {
        "by_city Bern|2026-03-03",
        "by_city Ulm|2026-03-03",
    }


@pytest.mark.shows(
    "all_deps_updated_since_cron",
    form='all_deps_updated_since_cron(cron_schedule, cron_timezone="UTC")',
    true="every dependency was materialized after the latest tick of the cron, or will be requested with the asset",
    false="some dependency has not been since that tick. Before the first tick that was seen, any update counts",
    mistake="One dependency of a slower rhythm blocks it: a weekly parent lets a daily condition through once a week. "
    "`allow` or `ignore` it.",
)
def test_all_dependencies_updated_since_a_cron_tick(simulate: Simulate) -> None:
    @dg.asset(deps=["quick", "slow"], automation_condition=AC.all_deps_updated_since_cron(HOURLY))
    def table() -> None: ...

    show = simulate(dg.AssetSpec("quick"), dg.AssetSpec("slow"), table)
    assert show.tick() == set()
    show.report("quick")
    show.report("slow")
    assert show.tick() == {"table"}, "no tick was seen yet"
    show.advance(HOUR)
    assert show.tick() == set()
    show.report("quick")
    assert show.tick() == set()
    show.report("slow")
    assert show.tick() == {"table"}
    assert show.tick() == {"table"}
    show.advance(HOUR)
    show.report("quick")
    assert show.tick() == set()

    @dg.asset(automation_condition=AC.missing())
    def quick() -> None: ...

    @dg.asset(deps=[quick], automation_condition=AC.all_deps_updated_since_cron(HOURLY))
    def with_it() -> None: ...

    assert simulate(quick, with_it).tick() == {"quick", "with_it"}, "both in one run"


@pytest.mark.shows(
    "on_cron",
    form='on_cron(cron_schedule, cron_timezone="UTC")',
    true="a tick of the cron has passed and was not handled, and every dependency was materialized after it",
    false="there was no tick since, or some dependency is not there yet. It asks once a tick, for the latest time "
    "window",
    mistake="A dependency outside that nobody reports, or one of a slower rhythm, blocks it for ever; the time zone is "
    "UTC; and a sensor that looks as seldom as the cron ticks loses every other tick.",
)
def test_on_cron_waits_for_all_dependencies(simulate: Simulate) -> None:
    @dg.asset(deps=["quick", "slow"], automation_condition=AC.on_cron(HOURLY))
    def table() -> None: ...

    @dg.asset(automation_condition=AC.on_cron(HOURLY))
    def without_dependencies() -> None: ...

    show = simulate(dg.AssetSpec("quick"), dg.AssetSpec("slow"), table, without_dependencies)
    show.report("quick")
    show.report("slow")
    assert show.tick() == set()
    show.advance(HOUR)
    assert show.tick() == {"without_dependencies"}
    show.report("quick")
    assert show.tick() == set()
    show.report("slow")
    assert show.tick() == {"table"}
    assert show.tick() == set()
    for _ in range(3):
        show.advance(HOUR)
        show.report("quick")
        assert show.tick() == {"without_dependencies"}, "the slow one holds it up, hour after hour"
        assert show.tick() == set()


@pytest.mark.shows("on_cron")
def test_on_cron_loses_a_tick_that_passes_right_after_a_request(simulate: Simulate) -> None:
    """The end of the request and the tick are seen in one look, and the request wins."""

    @dg.asset(automation_condition=AC.on_cron("* * * * *"))
    def table() -> None: ...

    show = simulate(table)
    show.tick()
    asked = []
    for _ in range(6):
        show.advance(timedelta(minutes=1) - LOOK_PAUSE)
        asked.append(len(show.tick()))
    assert asked == [1, 0, 1, 0, 1, 0], "six minutes, looked at once a minute"


@pytest.mark.shows("on_cron")
def test_a_slow_dependency_that_is_ignored_holds_nothing_up(simulate: Simulate) -> None:
    @dg.asset(deps=["quick", "slow"], automation_condition=AC.on_cron(HOURLY).ignore(dg.AssetSelection.assets("slow")))
    def table() -> None: ...

    show = simulate(dg.AssetSpec("quick"), dg.AssetSpec("slow"), table)
    show.tick()
    show.advance(HOUR)
    assert show.tick() == set()
    show.report("quick")
    assert show.tick() == {"table"}


@pytest.mark.shows("on_cron")
def test_on_missing_or_on_cron_is_on_cron_alone_for_an_asset_without_partitions(simulate: Simulate) -> None:
    @dg.asset(automation_condition=AC.on_missing() | AC.on_cron(HOURLY))
    def table() -> None: ...

    show = simulate(table)
    assert show.tick() == show.tick() == set(), "it is missing, and nobody asks"
    show.advance(HOUR)
    assert show.tick() == {"table"}
