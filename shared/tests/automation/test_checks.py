"""Blocking checks of the inputs hold a build back, and models with such checks still share a run."""

from collections.abc import Callable

import dagster as dg
import pytest

from platform_shared.automation import on_input_change
from platform_shared.testing.daemon import DaemonHarness

Lab = Callable[..., DaemonHarness]

SOURCE, STAGED, MART = (dg.AssetKey(name) for name in ("source", "staged", "mart"))


class Check:
    """A blocking check of `staged` whose result the test sets."""

    def __init__(self) -> None:
        self.passes = True

        @dg.asset_check(asset=STAGED, blocking=True)
        def rows_are_sound() -> dg.AssetCheckResult:
            return dg.AssetCheckResult(passed=self.passes)

        self.definition = rows_are_sound


@pytest.fixture
def check() -> Check:
    return Check()


@dg.asset(key=MART, deps=[STAGED], automation_condition=on_input_change())
def mart() -> None: ...


def asked(platform: DaemonHarness) -> set[dg.AssetKey]:
    """Assets that the next two looks ask for."""
    return {key for _ in range(2) for tick in platform.tick_automation() for key, _ in tick.targets}


@pytest.fixture
def by_hand(lab: Lab, check: Check) -> DaemonHarness:
    """`staged` is built by hand, `mart` by its condition."""

    @dg.asset(key=STAGED)
    def staged() -> None: ...

    return lab(staged, mart, checks=(check.definition,))


@pytest.fixture
def chain(lab: Lab, check: Check) -> DaemonHarness:
    """Both follow `source`."""

    @dg.asset(key=STAGED, deps=[SOURCE], automation_condition=on_input_change())
    def staged() -> None: ...

    return lab(dg.AssetSpec(SOURCE), staged, mart, checks=(check.definition,))


def test_a_red_check_holds_the_build_back_until_the_input_is_good(by_hand: DaemonHarness, check: Check) -> None:
    check.passes = False
    by_hand.launch(STAGED)
    by_hand.execute_runs(may_fail=True)
    assert asked(by_hand) == set()
    check.passes = True
    by_hand.launch(STAGED)
    by_hand.execute_runs()
    assert asked(by_hand) == {MART}
    by_hand.execute_runs()
    assert asked(by_hand) == set()


def test_a_check_that_turns_green_alone_frees_the_build(by_hand: DaemonHarness, check: Check) -> None:
    check.passes = False
    by_hand.launch(STAGED)
    by_hand.execute_runs(may_fail=True)
    assert asked(by_hand) == set()
    green = dg.AssetCheckEvaluation(STAGED, check.definition.check_key.name, passed=True, blocking=True, metadata={})
    by_hand.instance.report_runless_asset_event(green)
    assert asked(by_hand) == {MART}


def test_model_and_checked_parent_share_one_run(chain: DaemonHarness) -> None:
    chain.report(SOURCE)
    (tick,) = chain.tick_automation()
    assert tick.targets == {(STAGED, None), (MART, None)}
    assert len(tick.run_ids) == 1
    chain.run_until_quiet()
    assert len(chain.materialized(STAGED)) == len(chain.materialized(MART)) == 1


def test_a_check_that_turns_red_in_the_shared_run_stops_it_there(chain: DaemonHarness, check: Check) -> None:
    check.passes = False
    chain.report(SOURCE)
    assert asked(chain) == {STAGED, MART}
    chain.execute_runs(may_fail=True)
    assert chain.materialized(MART) == []
    assert asked(chain) == set()
    check.passes = True
    chain.report(SOURCE)
    assert asked(chain) == {STAGED, MART}
    chain.execute_runs()
    assert chain.materialized(MART) == [None]
