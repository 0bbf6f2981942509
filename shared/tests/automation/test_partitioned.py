"""What the conditions promise of daily assets, and of one over all days, tick by tick through the real daemon."""

from collections import Counter
from collections.abc import Callable, Iterable, Set
from datetime import timedelta

import dagster as dg
import pytest

from platform_shared.automation import on_any_input_partition, on_input_change
from platform_shared.testing.daemon import DaemonHarness
from platform_shared.testing.ticks import Target, Tick

Lab = Callable[..., DaemonHarness]

DAYS = dg.DailyPartitionsDefinition("2026-03-01", timezone="America/New_York", end_offset=1)
SUN, MON, TUE = "2026-03-01", "2026-03-02", "2026-03-03"
RAW, STAGED, MART, TOTAL = (dg.AssetKey(name) for name in ("raw", "staged", "mart", "total"))

ONE_RUN = dg.BackfillPolicy.single_run()
A_RUN_A_DAY = dg.BackfillPolicy.multi_run()


def external_raw() -> dg.AssetSpec:
    return dg.AssetSpec(RAW, partitions_def=DAYS)


@dg.asset(key=RAW, partitions_def=DAYS)
def raw() -> None: ...


def by_day(key: dg.AssetKey, of: dg.AssetKey, policy: dg.BackfillPolicy = ONE_RUN) -> dg.AssetsDefinition:
    @dg.asset(key=key, deps=[of], partitions_def=DAYS, automation_condition=on_input_change(), backfill_policy=policy)
    def made() -> None: ...

    return made


def total_of(*inputs: dg.AssetKey) -> dg.AssetsDefinition:
    @dg.asset(key=TOTAL, deps=inputs, automation_condition=on_any_input_partition())
    def total() -> None: ...

    return total


def asked(ticks: Iterable[Tick]) -> Set[Target]:
    return {target for tick in ticks for target in tick.targets}


def days(key: dg.AssetKey, *partitions: str) -> Set[Target]:
    return {(key, partition) for partition in partitions}


def finish_backfills(platform: DaemonHarness) -> None:
    """Executes what is queued and lets the backfills go on, without a look at the conditions."""
    for _ in range(5):
        platform.tick_backfills()
        platform.execute_runs()


def test_the_first_look_asks_for_the_days_that_are_there(lab: Lab) -> None:
    platform = lab(external_raw(), by_day(MART, RAW))
    platform.report(RAW, SUN)
    platform.report(RAW, TUE)
    assert asked(platform.tick_automation()) == days(MART, SUN, TUE)


def test_a_changed_day_rebuilds_only_this_day(lab: Lab) -> None:
    platform = lab(external_raw(), by_day(MART, RAW))
    for day in (SUN, MON):
        platform.report(RAW, day)
    platform.run_until_quiet()
    platform.report(RAW, SUN)
    assert asked(platform.tick_automation()) == days(MART, SUN)
    platform.run_until_quiet()
    assert Counter(platform.materialized(MART)) == {SUN: 2, MON: 1}


def test_one_day_of_a_chain_is_one_run(lab: Lab) -> None:
    platform = lab(external_raw(), by_day(STAGED, RAW), by_day(MART, STAGED))
    platform.report(RAW, MON)
    (tick,) = platform.tick_automation()
    assert tick.targets == {*days(STAGED, MON), *days(MART, MON)}
    assert len(tick.run_ids) == 1
    platform.run_until_quiet()
    assert platform.materialized(STAGED) == platform.materialized(MART) == [MON]


@pytest.mark.parametrize("policy", [ONE_RUN, A_RUN_A_DAY], ids=["one run", "a run a day"])
def test_several_days_of_a_chain_are_one_backfill_that_builds_each_day_once(
    lab: Lab, policy: dg.BackfillPolicy
) -> None:
    platform = lab(external_raw(), by_day(STAGED, RAW, policy), by_day(MART, STAGED, policy))
    for day in (SUN, MON, TUE):
        platform.report(RAW, day)
    assert asked(platform.tick_automation()) == {*days(STAGED, SUN, MON, TUE), *days(MART, SUN, MON, TUE)}
    platform.run_until_quiet()
    assert len(platform.backfills()) == 1
    assert len(platform.runs()) == (1 if policy is ONE_RUN else 3)
    assert Counter(platform.materialized(STAGED)) == Counter(platform.materialized(MART)) == {SUN: 1, MON: 1, TUE: 1}


def test_a_backfill_of_parent_and_child_by_hand_builds_each_day_once(lab: Lab) -> None:
    platform = lab(raw, by_day(MART, RAW))
    platform.launch(RAW, partition=SUN)
    platform.run_until_quiet()
    platform.backfill(RAW, MART, partitions=[SUN, MON, TUE])
    platform.run_until_quiet()
    assert Counter(platform.materialized(MART)) == {SUN: 2, MON: 1, TUE: 1}


@pytest.mark.parametrize("policy", [ONE_RUN, A_RUN_A_DAY], ids=["one run", "a run a day"])
def test_a_backfill_of_parent_and_child_builds_each_day_once_wherever_a_look_falls(
    lab: Lab, policy: dg.BackfillPolicy
) -> None:
    platform = lab(raw, by_day(MART, RAW, policy))
    platform.launch(RAW, partition=SUN)
    platform.run_until_quiet()
    platform.backfill(RAW, MART, partitions=[SUN, MON, TUE])
    requests = set(asked(platform.tick_automation()))
    for _ in range(20):
        platform.tick_backfills()
        platform.execute_runs(limit=1)
        requests |= asked(platform.tick_automation())
    assert requests == set()
    assert Counter(platform.materialized(MART)) == {SUN: 2, MON: 1, TUE: 1}


def test_a_backfill_of_the_parent_after_one_of_the_child_has_begun_is_not_lost(lab: Lab) -> None:
    platform = lab(raw, by_day(MART, RAW))
    for day in (SUN, MON):
        platform.launch(RAW, partition=day)
    platform.execute_runs()
    assert asked(platform.tick_automation()) == days(MART, SUN, MON)
    platform.tick_backfills()
    platform.tick_automation()
    held = platform.dequeue()
    platform.backfill(RAW, partitions=[SUN, MON])
    platform.tick_backfills()
    platform.tick_automation()
    platform.dequeue()
    for run in platform.runs(dg.DagsterRunStatus.STARTING):
        if run.run_id not in held:
            platform.execute(run.run_id)
    platform.tick_automation()
    platform.execute_runs()
    finish_backfills(platform)
    assert asked([*platform.tick_automation(), *platform.tick_automation()]) == days(MART, SUN, MON)


def test_two_days_that_are_built_with_their_parent_between_two_looks_cost_one_more_build(lab: Lab) -> None:
    """Dagster knows the run of the parent's newest day only; docs/automation.md publishes the number."""
    platform = lab(raw, by_day(MART, RAW))
    for day in (SUN, MON):
        platform.launch(RAW, partition=day)
        platform.run_until_quiet()
    for day in (SUN, MON):
        platform.launch(RAW, MART, partition=day)
    platform.execute_runs()
    assert asked(platform.tick_automation()) == days(MART, SUN)
    platform.run_until_quiet()
    assert Counter(platform.materialized(MART)) == {SUN: 3, MON: 2}


def test_the_known_hole_is_no_larger_than_documented(lab: Lab) -> None:
    """A backfill of the child that somebody launches while one of the parent is under way takes its changes over."""
    platform = lab(raw, by_day(MART, RAW))
    for day in (SUN, MON):
        platform.launch(RAW, partition=day)
    platform.run_until_quiet()
    platform.backfill(RAW, partitions=[SUN, MON])
    platform.tick_backfills()
    platform.tick_automation()
    parents = platform.dequeue()
    platform.backfill(MART, partitions=[SUN])
    platform.tick_backfills()
    platform.tick_automation()
    platform.dequeue()
    for run_id in parents:
        platform.execute(run_id)
    platform.tick_automation()
    platform.execute_runs()
    finish_backfills(platform)
    assert asked([*platform.tick_automation(), *platform.tick_automation()]) == days(MART, MON)


def test_a_change_that_is_recorded_late_is_not_lost(lab: Lab) -> None:
    platform = lab(external_raw(), by_day(MART, RAW))
    platform.report(RAW, SUN)
    assert asked(platform.tick_automation()) == days(MART, SUN)
    platform.report(RAW, SUN, ago=timedelta(seconds=10))
    platform.execute_runs()
    assert asked([*platform.tick_automation(), *platform.tick_automation()]) == days(MART, SUN)


@pytest.mark.parametrize("child", [by_day(MART, RAW), total_of(RAW)], ids=["the same days", "all days"])
def test_a_backfill_of_the_parent_while_the_child_is_built_is_not_lost(lab: Lab, child: dg.AssetsDefinition) -> None:
    platform = lab(raw, child)
    platform.launch(RAW, partition=SUN)
    platform.execute_runs()
    wanted = asked(platform.tick_automation())
    assert wanted
    held = platform.dequeue()
    platform.backfill(RAW, partitions=[SUN, MON])
    platform.tick_backfills()
    platform.dequeue()
    for run in platform.runs(dg.DagsterRunStatus.STARTING):
        if run.run_id not in held:
            platform.execute(run.run_id)
    platform.execute_runs()
    finish_backfills(platform)
    assert wanted <= asked([*platform.tick_automation(), *platform.tick_automation()])


def test_a_change_while_the_child_is_in_a_backfill_is_not_lost(lab: Lab) -> None:
    platform = lab(external_raw(), by_day(MART, RAW))
    for day in (SUN, MON):
        platform.report(RAW, day)
    platform.tick_automation()
    platform.tick_backfills()
    platform.report(RAW, SUN)
    assert asked(platform.tick_automation()) == set()
    finish_backfills(platform)
    assert asked(platform.tick_automation()) == days(MART, SUN)


def test_a_total_waits_for_some_day_and_follows_each_further_one(lab: Lab) -> None:
    platform = lab(external_raw(), total_of(RAW))
    assert asked(platform.tick_automation()) == set()
    for builds, day in enumerate((MON, TUE, SUN, MON), start=1):
        platform.report(RAW, day)
        assert asked(platform.tick_automation()) == {(TOTAL, None)}
        platform.run_until_quiet()
        assert len(platform.materialized(TOTAL)) == builds


def test_a_total_waits_for_each_of_its_inputs(lab: Lab) -> None:
    other = dg.AssetKey("other")
    platform = lab(external_raw(), dg.AssetSpec(other, partitions_def=DAYS), total_of(RAW, other))
    platform.report(RAW, SUN)
    assert asked(platform.tick_automation()) == set()
    platform.report(other, MON)
    assert asked(platform.tick_automation()) == {(TOTAL, None)}


def test_a_total_at_the_end_of_a_chain_is_built_after_all_days(lab: Lab) -> None:
    platform = lab(external_raw(), by_day(STAGED, RAW), by_day(MART, STAGED), total_of(MART))
    for day in (SUN, MON, TUE):
        platform.report(RAW, day)
    platform.run_until_quiet()
    newest = max(record.storage_id for record in platform.materializations(MART))
    totals = [record.storage_id for record in platform.materializations(TOTAL)]
    assert newest < totals[-1]
    assert len(totals) <= 2


def test_a_total_has_its_turn_while_other_days_are_being_built(lab: Lab) -> None:
    platform = lab(raw, total_of(RAW))
    platform.launch(RAW, partition=SUN)
    platform.execute_runs()
    platform.backfill(RAW, partitions=[MON, TUE])
    platform.tick_backfills()
    assert asked(platform.tick_automation()) == {(TOTAL, None)}
    finish_backfills(platform)
    assert asked(platform.tick_automation()) == {(TOTAL, None)}
