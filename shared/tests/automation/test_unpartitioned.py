"""What the conditions promise of an asset without partitions, tick by tick through the real daemon."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial

import dagster as dg
import pytest

from platform_shared.automation import (
    EVERY_MINUTE,
    Condition,
    automation_sensor,
    on_any_input_partition,
    on_input_change,
)
from platform_shared.testing.daemon import DaemonHarness

Lab = Callable[..., DaemonHarness]

PARENT = dg.AssetKey("parent")
CHILD = dg.AssetKey("child")
BOTH_CONDITIONS = pytest.mark.parametrize("child", [on_input_change, on_any_input_partition], indirect=True)


class Child:
    """The asset under test; `broken` makes its runs fail."""

    def __init__(self, condition: Condition) -> None:
        self.broken = False

        @dg.asset(key=CHILD, deps=[PARENT], code_version="1", automation_condition=condition)
        def child() -> None:
            if self.broken:
                raise RuntimeError("broken on purpose")

        self.asset = child


@dg.asset(key=PARENT)
def parent() -> None: ...


@pytest.fixture
def child(request: pytest.FixtureRequest) -> Child:
    return Child(getattr(request, "param", on_input_change)())


@pytest.fixture
def platform(lab: Lab, child: Child) -> DaemonHarness:
    return lab(dg.AssetSpec(PARENT), child.asset)


def requests(platform: DaemonHarness, *, ticks: int = 2) -> int:
    """How many requests for the child some ticks make."""
    return sum((CHILD, None) in tick.targets for _ in range(ticks) for tick in platform.tick_automation())


@BOTH_CONDITIONS
def test_an_asset_is_built_on_a_fresh_instance(platform: DaemonHarness) -> None:
    platform.report(PARENT)
    assert requests(platform, ticks=1) == 1
    platform.execute_runs()
    assert requests(platform) == 0
    assert platform.materialized(CHILD) == [None]


@BOTH_CONDITIONS
def test_an_asset_waits_for_its_first_input(platform: DaemonHarness) -> None:
    assert requests(platform) == 0
    platform.report(PARENT)
    assert requests(platform, ticks=1) == 1


@pytest.mark.parametrize("started", [False, True], ids=["queued", "starting"])
def test_nothing_is_asked_for_twice_while_it_is_in_flight(platform: DaemonHarness, started: bool) -> None:
    platform.report(PARENT)
    assert requests(platform, ticks=1) == 1
    if started:
        platform.dequeue()
    assert requests(platform, ticks=4) == 0
    platform.execute_runs()
    assert requests(platform) == 0


@BOTH_CONDITIONS
def test_changes_while_the_asset_is_built_make_exactly_one_more_build(platform: DaemonHarness) -> None:
    platform.report(PARENT)
    assert requests(platform, ticks=1) == 1
    for _ in range(3):
        platform.report(PARENT)
        assert requests(platform, ticks=1) == 0
    platform.execute_runs()
    assert requests(platform) == 1
    platform.execute_runs()
    assert requests(platform) == 0


def test_a_change_between_the_request_and_the_next_look_makes_one_more_build(platform: DaemonHarness) -> None:
    platform.report(PARENT)
    assert requests(platform, ticks=1) == 1
    platform.report(PARENT)
    platform.execute_runs()
    assert requests(platform) == 1


def test_two_changes_between_looks_make_one_build(platform: DaemonHarness) -> None:
    platform.report(PARENT)
    assert requests(platform, ticks=1) == 1
    platform.execute_runs()
    platform.report(PARENT)
    platform.report(PARENT)
    assert requests(platform) == 1
    platform.execute_runs()
    assert requests(platform) == 0


def test_a_broken_asset_is_asked_for_once_a_change_and_tried_three_times_by_the_instance(
    platform: DaemonHarness, child: Child
) -> None:
    child.broken = True
    for changes in (1, 2):
        platform.report(PARENT)
        assert requests(platform, ticks=1) == 1
        for _ in range(4):
            platform.execute_runs(may_fail=True)
            platform.tick_retries()
            assert requests(platform, ticks=1) == 0
        assert len(platform.runs(dg.DagsterRunStatus.FAILURE)) == 3 * changes
    child.broken = False
    platform.report(PARENT)
    assert requests(platform) == 1


def test_a_broken_asset_costs_three_runs_in_a_week_of_constant_input(platform: DaemonHarness, child: Child) -> None:
    child.broken = True
    platform.report(PARENT)
    asked = 0
    for _ in range(7 * 4):
        asked += requests(platform, ticks=1)
        platform.execute_runs(may_fail=True)
        platform.tick_retries()
        platform.advance(timedelta(hours=6))
    assert asked == 1
    assert len(platform.runs(dg.DagsterRunStatus.FAILURE)) == len(platform.runs()) == 3


def test_a_canceled_build_stays_canceled_until_the_next_change(platform: DaemonHarness) -> None:
    platform.report(PARENT)
    (tick,) = platform.tick_automation()
    platform.cancel(tick.run_ids[0])
    assert requests(platform) == 0
    platform.report(PARENT)
    assert requests(platform) == 1


def test_a_build_by_hand_is_followed_by_at_most_one_more(platform: DaemonHarness) -> None:
    platform.report(PARENT)
    platform.launch(CHILD)
    assert requests(platform) == 0
    platform.execute_runs()
    assert requests(platform) <= 1
    platform.execute_runs()
    assert requests(platform) == 0


def test_input_and_asset_built_by_hand_in_one_run_need_no_further_build(lab: Lab, child: Child) -> None:
    platform = lab(parent, child.asset)
    platform.launch(PARENT)
    platform.execute_runs()
    assert requests(platform, ticks=1) == 1
    platform.execute_runs()
    platform.launch(PARENT, CHILD)
    platform.execute_runs()
    assert requests(platform) == 0


@pytest.mark.parametrize("child", [partial(on_input_change, at_most_every=EVERY_MINUTE)], indirect=True)
def test_inputs_that_trickle_make_one_build_a_minute_and_the_last_one_is_not_lost(platform: DaemonHarness) -> None:
    platform.advance(timedelta(seconds=2))
    asked_at = []
    for _ in range(8):
        platform.report(PARENT)
        at = platform.now
        asked_at += [at] * requests(platform, ticks=1)
        platform.execute_runs()
        platform.advance(timedelta(seconds=15))
    assert [at.minute for at in asked_at] == [0, 1, 2]
    platform.advance(timedelta(minutes=1))
    assert requests(platform) == 1
    platform.execute_runs()
    platform.advance(timedelta(minutes=1))
    assert requests(platform) == 0


def test_an_asset_that_is_new_in_a_running_platform_is_built_and_the_others_are_not(
    platform: DaemonHarness, child: Child
) -> None:
    platform.report(PARENT)
    assert requests(platform, ticks=1) == 1
    platform.execute_runs()

    @dg.asset(deps=[PARENT], automation_condition=on_input_change())
    def newcomer() -> None: ...

    platform.reload(lab=_lab(child.asset, newcomer))
    ticks = [*platform.tick_automation(), *platform.tick_automation()]
    assert [tick.targets for tick in ticks] == [{(newcomer.key, None)}, set()]


def test_a_reload_of_the_location_builds_nothing(platform: DaemonHarness, child: Child) -> None:
    platform.report(PARENT)
    assert requests(platform, ticks=1) == 1
    platform.execute_runs()
    platform.reload()
    assert requests(platform) == 0
    platform.report(PARENT)
    platform.reload()
    assert requests(platform) == 1


def test_a_new_code_version_makes_one_build(platform: DaemonHarness, child: Child) -> None:
    platform.report(PARENT)
    assert requests(platform, ticks=1) == 1
    platform.execute_runs()
    newer = child.asset.map_asset_specs(lambda spec: spec.replace_attributes(code_version="2"))
    platform.reload(lab=_lab(newer))
    assert requests(platform) == 1


def _lab(*assets: dg.AssetsDefinition) -> dg.Definitions:
    return dg.Definitions(assets=[dg.AssetSpec(PARENT), *assets], sensors=[automation_sensor("lab")])
