"""Dependencies: what holds of the assets upstream, downstream, or of one that is named."""

from collections.abc import Callable

import dagster as dg
import pytest

from platform_shared.testing.simulation import Simulation

AC = dg.AutomationCondition
Simulate = Callable[..., Simulation]

DAYS = dg.DailyPartitionsDefinition("2026-03-01")
LEFT, RIGHT = dg.AssetSpec("left"), dg.AssetSpec("right")


def table(condition: dg.AutomationCondition, *deps: str) -> dg.AssetsDefinition:
    @dg.asset(name="table", deps=deps, automation_condition=condition)
    def made() -> None: ...

    return made


@pytest.mark.shows(
    "any_deps_match",
    form="any_deps_match(A)",
    true="A is true of some partition of some dependency",
    false="it is true of none, or there are no dependencies",
    mistake="To read `~any_deps_match(A)` as if it could miss a dependency: it says that A holds of none of them.",
)
def test_any_dependency(simulate: Simulate) -> None:
    show = simulate(LEFT, RIGHT, table(AC.any_deps_match(AC.missing()), "left", "right"))
    assert show.tick() == {"table"}
    show.report("left")
    assert show.tick() == {"table"}
    show.report("right")
    assert show.tick() == set()
    assert simulate(table(AC.any_deps_match(AC.missing()))).tick() == set()


@pytest.mark.shows(
    "all_deps_match",
    form="all_deps_match(A)",
    true="of every dependency, A is true of some partition; so also if there are no dependencies",
    false="there is a dependency of which A is true nowhere",
    mistake="To read it as all partitions: one of each is enough. And an `allow` that matches nothing makes it true.",
)
def test_all_dependencies(simulate: Simulate) -> None:
    there = AC.all_deps_match(~AC.missing())
    show = simulate(LEFT, RIGHT, table(there, "left", "right"))
    assert show.tick() == set()
    show.report("left")
    assert show.tick() == set()
    show.report("right")
    assert show.tick() == {"table"}
    assert simulate(table(there)).tick() == {"table"}


@pytest.mark.shows("all_deps_match")
def test_one_partition_of_a_dependency_is_enough(simulate: Simulate) -> None:
    days = dg.AssetSpec("days", partitions_def=DAYS)
    show = simulate(days, table(AC.all_deps_match(~AC.missing()), "days"))
    assert show.tick() == set()
    show.report("days", "2026-03-02")
    assert show.tick() == {"table"}


@pytest.mark.shows("any_deps_match")
def test_a_partition_looks_at_the_partitions_that_it_is_made_of(simulate: Simulate) -> None:
    @dg.asset(deps=["days"], partitions_def=DAYS, automation_condition=AC.any_deps_match(AC.newly_updated()))
    def by_day() -> None: ...

    show = simulate(dg.AssetSpec("days", partitions_def=DAYS), by_day)
    assert show.tick() == set()
    show.report("days", "2026-03-02")
    assert show.tick() == {"by_day 2026-03-02"}


@pytest.mark.shows(
    "asset_matches",
    form="asset_matches(key, A)",
    true="A is true of the asset with this key: a dependency, a dependent, the asset itself, or one that has nothing "
    "to do with it",
    false="it is not; other dependencies do not matter",
    mistake="To misspell the key: nothing looks whether there is such an asset until the sensor fails on it.",
)
def test_one_dependency_by_name(simulate: Simulate) -> None:
    show = simulate(LEFT, RIGHT, table(AC.asset_matches("right", AC.newly_updated()), "left", "right"))
    assert show.tick() == set()
    show.report("left")
    assert show.tick() == set()
    show.report("right")
    assert show.tick() == {"table"}


@pytest.mark.shows("asset_matches")
def test_any_asset_may_be_named(simulate: Simulate) -> None:
    @dg.asset(automation_condition=AC.asset_matches("child", AC.newly_updated()))
    def parent() -> None: ...

    @dg.asset(deps=[parent], automation_condition=AC.asset_matches("child", AC.newly_updated()))
    def child() -> None: ...

    @dg.asset(automation_condition=AC.asset_matches("child", AC.newly_updated()))
    def stranger() -> None: ...

    show = simulate(parent, child, stranger)
    assert show.tick() == set()
    show.report("child")
    assert show.tick() == {"parent", "child", "stranger"}


@pytest.mark.shows("asset_matches")
def test_a_misspelt_key_fails_the_look(simulate: Simulate) -> None:
    with pytest.raises(Exception, match="Error while evaluating conditions for table"):
        simulate(LEFT, table(AC.asset_matches("lfet", AC.missing()), "left")).tick()


@pytest.mark.shows("all_deps_match")
def test_a_new_version_of_both_since_the_last_build(simulate: Simulate) -> None:
    """What a multi-asset sensor on two assets was for; `eager()` means any of them."""
    handled = AC.newly_requested() | AC.newly_updated()
    both = AC.all_deps_match(AC.newly_updated().since(AC.asset_matches("table", handled)))
    show = simulate(LEFT, RIGHT, table(both, "left", "right"))
    show.tick()
    for _ in range(2):
        show.report("left")
        assert show.tick() == set()
        show.report("right")
        assert show.tick() == {"table"}
        show.report("table")
        assert show.tick() == set()


@pytest.mark.shows(
    "any_downstream_conditions",
    true="the condition of some asset downstream, evaluated here, is true",
    false="none is",
    mistake="To write `any_downstream_condition()`, as the documentation has it: there is no such name. It is beta.",
)
@pytest.mark.filterwarnings("ignore::dagster.BetaWarning")
def test_what_is_built_when_something_downstream_wants_it(simulate: Simulate) -> None:
    @dg.asset(automation_condition=AC.any_downstream_conditions() & ~AC.in_progress())
    def lazy() -> None: ...

    @dg.asset(deps=[lazy], automation_condition=AC.cron_tick_passed("0 * * * *"))
    def leaf() -> None: ...

    show = simulate(lazy, leaf)
    assert show.tick() == set()
    show.advance(show.now.replace(minute=59, second=53) - show.now)
    assert show.tick() == set()
    assert show.tick() == {"lazy", "leaf"}
    assert show.tick() == set()


@pytest.mark.shows(
    "any_deps_updated",
    true="a dependency was materialized after the previous look by a run that was not also to build the asset, or will "
    "be requested with it",
    false="none was, or only together with the asset",
    mistake="The exception reads the run's selection of assets, and a job's run has none: parent and child of one job "
    "make the child once more.",
)
def test_updates_by_runs_that_build_the_asset_too_do_not_count(simulate: Simulate) -> None:
    @dg.asset
    def left() -> None: ...

    child = table(AC.any_deps_updated(), "left")
    show = simulate(left, child, jobs=[dg.define_asset_job("both_job", [left, child])])
    assert show.tick() == set()
    show.run("left")
    assert show.tick() == {"table"}
    show.run("left", "table")
    assert show.tick() == set()
    show.run_job("both_job")
    assert show.tick() == {"table"}


@pytest.mark.shows(
    "any_deps_missing",
    true="a dependency was never materialized and will not be requested in this look with the asset",
    false="all are there, or on their way in the same run",
    mistake="A daily parent with one day missing makes it true for an asset over all days, for ever: bound it by "
    "`in_latest_time_window(…)`.",
)
def test_a_missing_parent_that_is_built_in_the_same_run_is_not_missing(simulate: Simulate) -> None:
    show = simulate(LEFT, table(AC.any_deps_missing(), "left"))
    assert show.tick() == {"table"}
    show.report("left")
    assert show.tick() == set()

    @dg.asset(automation_condition=AC.missing())
    def left() -> None: ...

    assert simulate(left, table(AC.any_deps_missing(), "left")).tick() == {"left"}


@pytest.mark.shows("any_deps_missing")
def test_a_missing_day_is_missing_for_what_is_made_of_all_days(simulate: Simulate) -> None:
    days = dg.AssetSpec("days", partitions_def=DAYS)
    show = simulate(days, table(AC.any_deps_missing(), "days"))
    show.report("days", "2026-03-02")
    show.report("days", "2026-03-03")
    assert show.tick() == {"table"}
    show.report("days", "2026-03-01")
    assert show.tick() == set()


@pytest.mark.shows(
    "any_deps_in_progress",
    true="a dependency is to be built by a run or backfill that has not built it yet",
    false="none is",
    mistake="To start without it: the build reads what is about to be replaced, and runs again.",
)
def test_a_dependency_is_in_progress(simulate: Simulate) -> None:
    seen: list[set[str]] = []

    @dg.asset
    def left() -> None:
        seen.append(show.tick())

    show = simulate(left, table(AC.any_deps_in_progress(), "left"))
    assert show.tick() == set()
    show.run("left")
    assert seen == [{"table"}]
    assert show.tick() == set()
