"""The promises of the conditions for an asset without partitions, tick by tick through the real daemon."""

from collections.abc import Callable, Iterator

import dagster as dg
import pytest
from platform_shared.automation import on_any_input_partition, on_input_change
from platform_shared.testing.daemon import DaemonHarness

Condition = Callable[[], dg.AutomationCondition[dg.AssetKey]]
Lab = Callable[..., DaemonHarness]

PARENT = dg.AssetKey("parent")
CHILD = dg.AssetKey("child")


@pytest.fixture(params=[on_input_change, on_any_input_partition], ids=lambda condition: condition.__name__)
def condition(request: pytest.FixtureRequest) -> Condition:
    made: Condition = request.param
    return made


class Child:
    """The asset under test over an external parent; `broken` makes its runs fail."""

    def __init__(self, condition: Condition) -> None:
        self.broken = False

        @dg.asset(key=CHILD, deps=[PARENT], automation_condition=condition())
        def child() -> None:
            if self.broken:
                raise RuntimeError("broken on purpose")

        self.asset = child


@pytest.fixture
def child(condition: Condition) -> Iterator[Child]:
    return Child(condition)


@pytest.fixture
def platform(lab: Lab, child: Child) -> DaemonHarness:
    return lab(dg.AssetSpec(PARENT), child.asset)


def requests(platform: DaemonHarness, ticks: int = 3) -> int:
    """How many requests for the child some ticks make."""
    return sum((CHILD, None) in tick.targets for _ in range(ticks) for tick in platform.tick_automation())


def test_an_asset_whose_parent_is_there_is_built_on_a_fresh_instance(platform: DaemonHarness) -> None:
    platform.report(PARENT)
    assert requests(platform, ticks=1) == 1
    platform.execute_runs()
    assert requests(platform) == 0
    assert platform.materialized(CHILD) == [None]


def test_an_asset_waits_for_its_first_parent(platform: DaemonHarness) -> None:
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


@pytest.mark.parametrize("updates", [1, 5])
def test_what_comes_while_the_asset_is_built_makes_exactly_one_more_build(
    platform: DaemonHarness, updates: int
) -> None:
    platform.report(PARENT)
    platform.tick_automation()
    for _ in range(updates):
        platform.report(PARENT)
        assert requests(platform, ticks=1) == 0
    platform.execute_runs()
    assert requests(platform) == 1
    platform.execute_runs()
    assert requests(platform) == 0


def test_what_comes_right_after_the_request_makes_one_more_build(platform: DaemonHarness) -> None:
    platform.report(PARENT)
    platform.tick_automation()
    platform.report(PARENT)
    platform.execute_runs()
    assert requests(platform) == 1


def test_two_updates_between_ticks_make_one_build(platform: DaemonHarness) -> None:
    platform.report(PARENT)
    platform.tick_automation()
    platform.execute_runs()
    platform.report(PARENT)
    platform.report(PARENT)
    assert requests(platform) == 1
    platform.execute_runs()
    assert requests(platform) == 0


def test_a_failing_asset_is_asked_for_once_a_change_and_retried_by_the_instance(
    platform: DaemonHarness, child: Child
) -> None:
    child.broken = True
    for change in (1, 2):
        platform.report(PARENT)
        assert requests(platform, ticks=1) == 1
        for _ in range(4):
            platform.execute_runs(may_fail=True)
            platform.tick_retries()
            assert requests(platform, ticks=1) == 0
        assert len(platform.runs(dg.DagsterRunStatus.FAILURE)) == 3 * change
    child.broken = False
    platform.report(PARENT)
    assert requests(platform) == 1


def test_a_canceled_build_stays_canceled_until_the_next_change(platform: DaemonHarness) -> None:
    platform.report(PARENT)
    (tick,) = platform.tick_automation()
    platform.cancel(tick.run_ids[0])
    assert requests(platform) == 0
    platform.report(PARENT)
    assert requests(platform) == 1


def test_a_person_who_builds_the_asset_makes_no_further_build(platform: DaemonHarness) -> None:
    assert requests(platform) == 0
    platform.report(PARENT)
    platform.launch(CHILD)
    assert requests(platform) == 0
    platform.execute_runs()
    assert requests(platform) == 0


def test_a_code_version_change_makes_one_build(lab: Lab, child: Child) -> None:
    platform = lab(dg.AssetSpec(PARENT), child.asset)
    platform.report(PARENT)
    platform.tick_automation()
    platform.execute_runs()
    changed = child.asset.map_asset_specs(lambda spec: spec.replace_attributes(code_version="2"))
    from conftest import lab_definitions

    platform.reload(lab=lab_definitions([dg.AssetSpec(PARENT), changed]))
    assert requests(platform) == 1
