"""Composites: what Dagster recommends to begin with, and what it does not do."""

from collections.abc import Callable
from datetime import timedelta

import dagster as dg
import pytest

from platform_shared.automation import on_input_change
from platform_shared.testing.simulation import Simulation

AC = dg.AutomationCondition
Simulate = Callable[..., Simulation]

DAY = timedelta(days=1)
DAYS = dg.DailyPartitionsDefinition("2026-03-01")
SOURCE = dg.AssetSpec("source")


def child(condition: dg.AutomationCondition, name: str = "table", **attributes: object) -> dg.AssetsDefinition:
    @dg.asset(name=name, deps=["source"], automation_condition=condition, **attributes)
    def made() -> None: ...

    return made


@pytest.mark.shows(
    "eager",
    true="a dependency was materialized after the asset was last requested or built, or the asset went missing; and no "
    "dependency is missing or in progress, and the asset is not in progress",
    false="nothing changed, or one of these holds it back. Of time windows only the latest counts",
    mistake="To expect it to start by itself: what is missing at the first look is never asked for. And what comes "
    "while the asset is built is lost; see `on_input_change`.",
)
def test_eager_follows_each_update(simulate: Simulate) -> None:
    show = simulate(SOURCE, child(AC.eager()))
    assert show.tick() == set()
    show.report("source")
    assert show.tick() == {"table"}
    show.run("table")
    assert show.tick() == set()
    show.report("source")
    assert show.tick() == {"table"}
    assert show.tick() == set(), "it asks once"


@pytest.mark.shows("eager")
def test_eager_never_asks_for_what_was_missing_at_the_first_look(simulate: Simulate) -> None:
    show = simulate(SOURCE, child(AC.eager(), "stock"), child(on_input_change(), "ours"))
    show.report("source")
    assert show.tick() == {"ours"}
    show.run("ours")
    assert show.tick() == set()


@pytest.mark.shows("eager")
@pytest.mark.parametrize(("condition", "after"), [(AC.eager(), set()), (on_input_change(), {"table"})])
def test_eager_loses_an_update_that_comes_while_it_is_built(
    simulate: Simulate, condition: dg.AutomationCondition, after: set[str]
) -> None:
    @dg.asset(deps=["source"], automation_condition=condition)
    def table() -> None:
        if not late:
            late.append(show.tick())
            show.report("source")
            late.append(show.tick())

    late: list[set[str]] = []
    show = simulate(SOURCE, table)
    show.tick()
    show.report("source")
    assert show.tick() == {"table"}
    show.run("table")
    assert late == [set(), set()]
    assert show.tick() == after


@pytest.mark.shows("eager")
def test_eager_waits_for_ever_for_a_dependency_that_nobody_reports(simulate: Simulate) -> None:
    @dg.asset(deps=["source", "outside"], automation_condition=AC.eager())
    def waits() -> None: ...

    @dg.asset(deps=["source", "outside"], automation_condition=AC.eager().ignore(dg.AssetSelection.assets("outside")))
    def goes_on() -> None: ...

    show = simulate(SOURCE, dg.AssetSpec("outside"), waits, goes_on)
    show.tick()
    show.report("source")
    assert show.tick() == {"goes_on"}


@pytest.mark.shows("eager")
def test_eager_asks_once_for_what_fails(simulate: Simulate) -> None:
    @dg.asset(deps=["source"], automation_condition=AC.eager())
    def table() -> None:
        raise RuntimeError("broken on purpose")

    show = simulate(SOURCE, table)
    show.tick()
    show.report("source")
    assert show.tick() == {"table"}
    show.run("table", may_fail=True)
    assert show.tick() == show.tick() == set()


@pytest.mark.shows("eager")
@pytest.mark.parametrize(
    ("condition", "asked"),
    [
        (AC.eager(), {"table 2026-03-06"}),
        (
            AC.eager().replace(AC.in_latest_time_window(), AC.in_latest_time_window(timedelta(days=7))),
            {"table 2026-03-04", "table 2026-03-05", "table 2026-03-06"},
        ),
    ],
    ids=["the latest day", "seven days back"],
)
def test_days_that_came_while_nobody_looked(
    simulate: Simulate, condition: dg.AutomationCondition, asked: set[str]
) -> None:
    show = simulate(dg.AssetSpec("source", partitions_def=DAYS), child(condition, partitions_def=DAYS))
    show.tick()
    show.advance(3 * DAY)
    for day in ("2026-03-04", "2026-03-05", "2026-03-06"):
        show.report("source", day)
    assert show.tick() == asked


@pytest.mark.shows(
    "on_missing",
    true="the asset, or a partition of the latest time window, came to be after the first look and is missing; no "
    "dependency is",
    false="it was missing at the first look, it is there, or a dependency changed",
    mistake="To take it for `eager()`: a change upstream does nothing. For an asset without partitions it does hardly "
    "anything.",
)
def test_on_missing_asks_for_new_partitions_only(simulate: Simulate) -> None:
    show = simulate(dg.AssetSpec("source", partitions_def=DAYS), child(AC.on_missing(), partitions_def=DAYS))
    show.report("source", "2026-03-03")
    assert show.tick() == set(), "it was missing already"
    show.advance(DAY)
    assert show.tick() == set()
    show.report("source", "2026-03-04")
    assert show.tick() == {"table 2026-03-04"}
    assert show.tick() == set()


@pytest.mark.shows("on_missing")
def test_on_missing_does_not_update_when_upstream_changes(simulate: Simulate) -> None:
    show = simulate(SOURCE, child(AC.on_missing(), "missing"), child(AC.eager(), "eager"))
    assert show.tick() == set()
    for _ in range(3):
        show.report("source")
        assert show.tick() == {"eager"}
        show.run("eager")
        assert show.tick() == set()


@pytest.mark.shows("on_missing")
def test_another_meaning_of_handled_starts_on_a_fresh_instance(simulate: Simulate) -> None:
    @dg.asset(automation_condition=AC.on_missing())
    def stock() -> None: ...

    @dg.asset(automation_condition=AC.on_missing().replace("handled", AC.newly_requested() | AC.newly_updated()))
    def starts() -> None: ...

    show = simulate(stock, starts)
    assert show.tick() == {"starts"}
    assert show.tick() == show.tick() == set()
