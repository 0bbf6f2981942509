"""Statuses: true for as long as it lasts."""

from collections.abc import Callable

import dagster as dg
import pytest

from platform_shared.testing.daemon import DaemonHarness
from platform_shared.testing.simulation import Simulation

AC = dg.AutomationCondition
Simulate = Callable[..., Simulation]
Location = Callable[..., DaemonHarness]

DAYS = dg.DailyPartitionsDefinition("2026-03-01")


@pytest.mark.shows(
    "missing",
    true="the target has never been materialized",
    false="it has been once, by a run or by a report from outside",
    mistake="As a trigger it asks again on every look until the run has ended. Take `missing().newly_true()` and a "
    "`since` that a request ends.",
)
def test_missing_until_the_first_materialization(simulate: Simulate) -> None:
    @dg.asset(automation_condition=AC.missing())
    def table() -> None: ...

    show = simulate(table)
    assert show.tick() == {"table"}
    assert show.tick() == {"table"}
    show.run("table")
    assert show.tick() == set()


@pytest.mark.shows("missing")
def test_an_observation_of_an_external_asset_leaves_it_missing(simulate: Simulate) -> None:
    @dg.asset(deps=["source"], automation_condition=AC.any_deps_match(AC.missing()))
    def table() -> None: ...

    show = simulate(dg.AssetSpec("source"), table)
    show.instance.report_runless_asset_event(dg.AssetObservation("source"))
    assert show.tick() == {"table"}
    show.report("source")
    assert show.tick() == set()


@pytest.mark.shows("missing")
@pytest.mark.filterwarnings("ignore::dagster.BetaWarning")
def test_an_observation_of_an_observable_source_ends_missing(simulate: Simulate) -> None:
    @dg.observable_source_asset
    def source() -> dg.DataVersion:
        return dg.DataVersion("1")

    @dg.asset(deps=[source], automation_condition=AC.any_deps_match(AC.missing()))
    def table() -> None: ...

    show = simulate(source, table, jobs=[dg.define_asset_job("observation_job", [source])])
    assert show.tick() == {"table"}
    show.run_job("observation_job")
    assert show.tick() == set()


@pytest.mark.shows(
    "run_in_progress",
    true="a run that is to build the target is queued or at work and has not built it yet",
    false="there is no such run, or it has built the target and is busy with others",
    mistake="To rely on it alone: between two runs of a backfill it is false. `in_progress()` has both.",
)
def test_a_run_is_in_progress_until_it_has_built_the_target(simulate: Simulate) -> None:
    seen: list[set[str]] = []

    @dg.asset(automation_condition=AC.run_in_progress())
    def table() -> None:
        seen.append(show.tick())

    @dg.asset(deps=[table])
    def after() -> None:
        seen.append(show.tick())

    show = simulate(table, after)
    assert show.tick() == set()
    show.run("table", "after")
    assert seen == [{"table"}, set()]
    assert show.tick() == set()


@pytest.mark.shows(
    "in_progress",
    true="a run or a backfill that is to build the target has not built it yet: `run_in_progress() | "
    "backfill_in_progress()`",
    false="there is neither, or the target is built already",
    mistake="To leave out `~in_progress()`: what is in flight is asked for again.",
)
def test_in_progress_while_a_run_is_at_work(simulate: Simulate) -> None:
    seen: list[set[str]] = []

    @dg.asset(automation_condition=AC.in_progress())
    def table() -> None:
        seen.append(show.tick())

    show = simulate(table)
    assert show.tick() == set()
    show.run("table")
    assert seen == [{"table"}]
    assert show.tick() == set()


@pytest.mark.shows(
    "backfill_in_progress",
    true="a backfill holds the target's partition and has not built it yet, also between its runs",
    false="no backfill holds it, or it is built already while others of the backfill are not",
    mistake="To expect the partitions of a backfill one after another: all are in progress from its first minute, and "
    "each until the backfill daemon has taken note of its run.",
)
def test_a_backfill_is_in_progress_before_its_runs_are(location: Location) -> None:
    @dg.asset(partitions_def=DAYS)
    def table() -> None: ...

    @dg.asset(deps=[table], partitions_def=DAYS, automation_condition=AC.any_deps_match(AC.backfill_in_progress()))
    def watcher() -> None: ...

    @dg.asset(deps=[table], partitions_def=DAYS, automation_condition=AC.any_deps_match(AC.run_in_progress()))
    def watcher_of_runs() -> None: ...

    assets = dg.AssetSelection.all()
    sensor = dg.AutomationConditionSensorDefinition("s", target=assets, default_status=dg.DefaultSensorStatus.RUNNING)
    platform = location(table, watcher, watcher_of_runs, sensors=[sensor])

    def said() -> set[str]:
        (tick,) = platform.tick_automation("s")
        return {f"{'/'.join(key.path)} {partition}" for key, partition in tick.targets}

    assert said() == set()
    backfill = platform.backfill(table.key, partitions=["2026-03-01", "2026-03-02"])
    assert said() == {"watcher 2026-03-01", "watcher 2026-03-02"}
    platform.tick_backfills()
    assert {"watcher_of_runs 2026-03-01", "watcher_of_runs 2026-03-02"} <= said()
    for run in platform.runs(tags={"dagster/backfill": backfill, "dagster/partition": "2026-03-01"}):
        platform.dequeue()
        platform.execute(run.run_id)
    assert "watcher_of_runs 2026-03-01" not in said()
    platform.tick_backfills()
    assert "watcher 2026-03-01" not in said(), "the backfill has taken note of the run"


@pytest.mark.shows(
    "execution_failed",
    true="the latest run that was to build the target failed",
    false="it never failed, the run after it is queued, at work or done, or the run was cancelled",
    mistake="To build retries on `execution_failed().newly_true()`: what fails again before the next look is never "
    "tried again, and what fails more slowly is tried for ever. Leave retries to `run_retries`.",
)
def test_failed_until_the_next_run(simulate: Simulate) -> None:
    broken = True

    @dg.asset(automation_condition=AC.execution_failed())
    def table() -> None:
        if broken:
            raise RuntimeError("broken on purpose")
        assert show.tick() == set()

    show = simulate(table)
    assert show.tick() == set()
    show.run("table", may_fail=True)
    assert show.tick() == {"table"}
    show.report("table")
    assert show.tick() == {"table"}, "a report from outside is no run"
    broken = False
    show.run("table")
    assert show.tick() == set()


@pytest.mark.shows("execution_failed")
@pytest.mark.parametrize(("slow", "asked"), [(False, [1, 0, 0, 0]), (True, [1, 1, 1, 1])])
def test_retries_on_a_failure_that_is_new_are_none_or_endless(simulate: Simulate, slow: bool, asked: list[int]) -> None:
    @dg.asset(automation_condition=AC.execution_failed().newly_true())
    def table() -> None:
        if slow:
            show.tick()
        raise RuntimeError("broken on purpose")

    show = simulate(table)
    said = []
    for _ in asked:
        show.run("table", may_fail=True)
        said.append(len(show.tick()))
    assert said == asked


@pytest.mark.shows("execution_failed")
def test_a_cancelled_run_has_not_failed(simulate: Simulate) -> None:
    @dg.asset(automation_condition=AC.execution_failed())
    def table() -> None:
        show.instance.report_run_canceling(show.instance.get_runs()[0])
        raise dg.DagsterExecutionInterruptedError

    show = simulate(table)
    show.run("table", may_fail=True)
    assert show.instance.get_runs()[0].status is dg.DagsterRunStatus.CANCELED
    assert show.tick() == set()


@pytest.mark.shows(
    "will_be_requested",
    true="this same look has just requested the target, and the asset that asks can be built in the same run",
    false="it has not, or the two cannot share a run: other partitions, another location, nothing that a run can "
    "build. Of the asset itself it is always false",
    mistake="To use it outside of a condition on dependencies, or to count on one run for a whole chain: that ends at "
    "a change of partitions and at the border of a location.",
)
def test_a_parent_will_be_requested(simulate: Simulate) -> None:
    @dg.asset(automation_condition=AC.missing())
    def parent() -> None: ...

    @dg.asset(deps=[parent], automation_condition=AC.any_deps_match(AC.will_be_requested()))
    def child() -> None: ...

    @dg.asset(deps=[parent], partitions_def=DAYS, automation_condition=AC.any_deps_match(AC.will_be_requested()))
    def child_by_day() -> None: ...

    @dg.asset(automation_condition=AC.missing() & AC.will_be_requested())
    def of_itself() -> None: ...

    show = simulate(parent, child, child_by_day, of_itself)
    assert show.tick() == {"parent", "child"}
    show.run("parent")
    assert show.tick() == set()


@pytest.mark.shows(
    "initial_evaluation",
    true="the target is looked at for the first time, or for the first time with another type of partitions",
    false="it has been looked at before, also when its condition was edited or a static partition was added",
    mistake="To expect it after a changed condition; and to forget it in `since_last_handled()`, which takes what was "
    "missing at the first look for handled.",
)
def test_the_first_evaluation_of_a_target(simulate: Simulate) -> None:
    def table(condition: dg.AutomationCondition, partitions: dg.PartitionsDefinition | None = None) -> object:
        @dg.asset(name="table", automation_condition=condition, partitions_def=partitions)
        def made() -> None: ...

        return made

    show = simulate(table(AC.initial_evaluation()))
    assert show.tick() == {"table"}
    assert show.tick() == set()
    edited = AC.initial_evaluation() | AC.execution_failed()
    show.load(table(edited))
    assert show.tick() == set(), "an edited condition is not new"
    show.load(table(edited, dg.StaticPartitionsDefinition(["north"])))
    assert show.tick() == {"table north"}
    show.load(table(edited, dg.StaticPartitionsDefinition(["north", "south"])))
    assert show.tick() == set(), "a partition more is not a new type"
