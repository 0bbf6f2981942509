"""Checks: what holds of the checks of an asset, or of its dependencies."""

from collections.abc import Callable

import dagster as dg
import pytest

from platform_shared.testing.simulation import Simulation

AC = dg.AutomationCondition
Simulate = Callable[..., Simulation]

SOURCE = dg.AssetSpec("source")


def checked(simulate: Simulate, condition: dg.AutomationCondition) -> tuple[Simulation, dict[str, bool]]:
    """`source` with a check `rows` that has this condition, and what the check's next result is."""
    result = {"passed": True}

    @dg.asset
    def source() -> None: ...

    @dg.asset_check(asset=source, automation_condition=condition)
    def rows() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(**result)

    return simulate(source, checks=[rows]), result


def check(name: str, *, blocking: bool = False, condition: dg.AutomationCondition | None = None) -> object:
    """A check of `source`, whose results the test reports."""

    @dg.asset_check(asset="source", name=name, blocking=blocking, automation_condition=condition)
    def made() -> dg.AssetCheckResult:
        raise AssertionError("the test reports the results")

    return made


def child(condition: dg.AutomationCondition) -> dg.AssetsDefinition:
    @dg.asset(name="table", deps=["source"], automation_condition=condition)
    def made() -> None: ...

    return made


@pytest.mark.shows(
    "check_passed",
    true="the check has passed on the asset's latest materialization",
    false="it failed, is running, has never run, or the asset was materialized after it",
    mistake="It is of a check, not of an asset: inside `any_checks_match` and `all_checks_match`, or on a check. And a "
    "result reported from outside any run holds for whatever is reported from outside later.",
)
def test_a_check_has_passed(simulate: Simulate) -> None:
    show, result = checked(simulate, AC.check_passed())
    assert show.tick() == set(), "it has never run"
    result["passed"] = False
    show.run("source")
    assert show.tick() == set()
    result["passed"] = True
    show.run("source")
    assert show.tick() == {"source:rows"}
    show.report("source")
    assert show.tick() == set(), "the new data has not been checked"


@pytest.mark.shows(
    "check_failed",
    true="the check has failed on the asset's latest materialization",
    false="it passed, is running, has never run, or the asset was materialized after it",
    mistake="To read `~check_failed()` as passed: a check that has not run has not failed either.",
)
def test_a_check_has_failed(simulate: Simulate) -> None:
    show, result = checked(simulate, AC.check_failed())
    assert show.tick() == set()
    result["passed"] = False
    show.run("source")
    assert show.tick() == {"source:rows"}
    show.report("source")
    assert show.tick() == set(), "the new data has not been checked"


@pytest.mark.shows("check_passed")
def test_a_result_from_outside_holds_for_all_later_data_from_outside(simulate: Simulate) -> None:
    show = simulate(SOURCE, checks=[check("rows", condition=AC.check_passed())])
    show.report("source")
    show.report_check("source", "rows", passed=True)
    assert show.tick() == {"source:rows"}
    show.report("source")
    assert show.tick() == {"source:rows"}, "nobody has checked this, but neither has a run"


@pytest.mark.shows(
    "any_checks_match",
    form="any_checks_match(A, blocking_only=False)",
    true="A is true of some check of the asset",
    false="it is true of none, or there are no checks",
    mistake="To forget `blocking_only`: a check that only warns would then hold a build back.",
)
def test_any_check(simulate: Simulate) -> None:
    @dg.asset(deps=["source"], automation_condition=AC.any_deps_match(AC.any_checks_match(AC.check_failed())))
    def table() -> None: ...

    show = simulate(SOURCE, table, checks=[check("rows"), check("prices")])
    show.report("source")
    assert show.tick() == set()
    show.report_check("source", "rows", passed=True)
    show.report_check("source", "prices", passed=False)
    assert show.tick() == {"table"}
    assert simulate(SOURCE, table).tick() == set()


@pytest.mark.shows(
    "all_checks_match",
    form="all_checks_match(A, blocking_only=False)",
    true="A is true of every check of the asset; so also if it has none",
    false="there is a check of which it is not",
    mistake="To read it as a sign that somebody checked: without checks it is true.",
)
def test_all_checks(simulate: Simulate) -> None:
    all_passed = child(AC.any_deps_match(AC.all_checks_match(AC.check_passed())))
    show = simulate(SOURCE, all_passed, checks=[check("rows"), check("prices")])
    show.report("source")
    show.report_check("source", "rows", passed=True)
    assert show.tick() == set()
    show.report_check("source", "prices", passed=True)
    assert show.tick() == {"table"}
    assert simulate(SOURCE, all_passed).tick() == {"table"}


@pytest.mark.shows("all_checks_match")
def test_blocking_checks_only(simulate: Simulate) -> None:
    passed = AC.all_checks_match(AC.check_passed(), blocking_only=True)
    show = simulate(SOURCE, child(AC.any_deps_match(passed)), checks=[check("rows", blocking=True), check("prices")])
    show.report("source")
    show.report_check("source", "prices", passed=False)
    assert show.tick() == set()
    show.report_check("source", "rows", passed=True, blocking=True)
    assert show.tick() == {"table"}


@pytest.mark.shows(
    "all_deps_blocking_checks_passed",
    true="every blocking check of every dependency has passed on its latest materialization",
    false="one has failed, or has not run since",
    mistake="To think that `eager()` has it in it: that builds on data whose blocking check is red. And though Dagster "
    "says that a check which will be requested counts, checks are looked at after the asset: a parent with a blocking "
    "check never shares a run with its child.",
)
def test_blocking_checks_of_dependencies(simulate: Simulate) -> None:
    @dg.asset(deps=["source"], automation_condition=AC.eager())
    def stock() -> None: ...

    @dg.asset(deps=["source"], automation_condition=AC.eager() & AC.all_deps_blocking_checks_passed())
    def careful() -> None: ...

    show = simulate(SOURCE, stock, careful, checks=[check("rows", blocking=True), check("prices")])
    show.tick()
    show.report("source")
    show.report_check("source", "rows", passed=False, blocking=True)
    show.report_check("source", "prices", passed=False)
    assert show.tick() == {"stock"}
    show.report_check("source", "rows", passed=True, blocking=True)
    assert show.tick() == {"careful"}, "the check that only warns does not matter"


@pytest.mark.shows("all_deps_blocking_checks_passed")
@pytest.mark.parametrize(("condition", "checked"), [(None, set()), (AC.missing(), {"parent:rows"})])
def test_a_parent_with_a_blocking_check_does_not_share_its_run(
    simulate: Simulate, condition: dg.AutomationCondition | None, checked: set[str]
) -> None:
    @dg.asset(automation_condition=AC.missing())
    def parent() -> None: ...

    @dg.asset_check(asset=parent, blocking=True, automation_condition=condition)
    def rows() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=True)

    @dg.asset(deps=[parent], automation_condition=AC.all_deps_blocking_checks_passed())
    def child() -> None: ...

    show = simulate(parent, child, checks=[rows])
    assert show.tick() == {"parent", *checked}
    show.run("parent")
    assert show.tick() == {"child"}
