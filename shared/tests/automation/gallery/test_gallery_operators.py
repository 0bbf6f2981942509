"""Operators: how conditions are put together, and what remembers."""

from collections.abc import Callable
from datetime import timedelta

import dagster as dg
import pytest

from platform_shared.testing.simulation import Simulation

AC = dg.AutomationCondition
Simulate = Callable[..., Simulation]

SOURCE = dg.AssetSpec("source")
A, B = AC.missing(), AC.any_deps_missing()
UP, DOWN = AC.any_deps_match(AC.newly_updated()), AC.newly_updated()


def child(condition: dg.AutomationCondition, *deps: str) -> dg.AssetsDefinition:
    @dg.asset(name="table", deps=deps or ("source",), automation_condition=condition)
    def made() -> None: ...

    return made


def truth(simulate: Simulate, condition: dg.AutomationCondition) -> list[bool]:
    """Whether it is true if A and B are (both), (A alone), (B alone), (neither)."""
    said = []
    for a, b in ((True, True), (True, False), (False, True), (False, False)):
        show = simulate(SOURCE, child(condition))
        if not a:
            show.report("table")
        if not b:
            show.report("source")
        said.append(show.tick() == {"table"})
    return said


@pytest.mark.shows(
    "&",
    form="A & B",
    true="both are true",
    false="one is not",
    mistake="To combine two events with it: they have to happen between the same two looks.",
)
def test_and(simulate: Simulate) -> None:
    assert truth(simulate, A & B) == [True, False, False, False]


@pytest.mark.shows(
    "|",
    form="A | B",
    true="one of them is true, or both",
    false="neither is",
    mistake="To give it to `since` as the trigger: the time of the event is lost, and in a tie the reset wins.",
)
def test_or(simulate: Simulate) -> None:
    assert truth(simulate, A | B) == [True, True, True, False]


@pytest.mark.shows(
    "~",
    form="~A",
    true="A is false",
    false="A is true",
    mistake="To negate an event: `~newly_updated()` is true nearly always.",
)
def test_not(simulate: Simulate) -> None:
    assert truth(simulate, ~A) == [False, False, True, True]


@pytest.mark.shows(
    "newly_true",
    form="A.newly_true()",
    true="A is true and was not on the previous look; on the first look, if A is true",
    false="A is false, or has been true for longer than one look",
    mistake="Not every method goes through it: `replace`, `allow` and `ignore` stop there without a word.",
)
def test_newly_true_for_one_look(simulate: Simulate) -> None:
    show = simulate(SOURCE, child(B.newly_true()))
    assert show.tick() == {"table"}
    assert show.tick() == set()
    show.report("source")
    assert show.tick() == set()
    show.instance.wipe_assets([SOURCE.key])
    assert show.tick() == {"table"}
    assert show.tick() == set()


@pytest.mark.shows(
    "since",
    form="A.since(B)",
    true="A was true, in this look or an earlier one, and B not since",
    false="A was never true, or B was after it. If both are true in one look, the later event decides, and B if one of "
    "them has no time",
    mistake="A status as B: as long as it lasts, nothing comes through. And two of equal shape in one asset share one "
    "memory.",
)
def test_since_remembers_until_the_reset(simulate: Simulate) -> None:
    show = simulate(SOURCE, child(UP.since(DOWN)))
    assert show.tick() == set()
    show.report("source")
    assert show.tick() == {"table"}
    assert show.tick() == {"table"}
    show.report("table")
    assert show.tick() == set()
    assert show.tick() == set()


@pytest.mark.shows("since")
def test_the_later_of_two_events_between_looks_decides(simulate: Simulate) -> None:
    for first, second, asked in (("source", "table", set()), ("table", "source", {"table"})):
        show = simulate(SOURCE, child(UP.since(DOWN)))
        show.tick()
        for key in (first, second):
            show.report(key)
            show.advance(timedelta(seconds=1))
        assert show.tick() == asked, f"{first}, then {second}"


@pytest.mark.shows("since")
def test_an_event_inside_of_or_has_no_time_and_the_reset_wins(simulate: Simulate) -> None:
    show = simulate(SOURCE, child((UP | AC.execution_failed()).since(DOWN)))
    show.tick()
    show.report("table")
    show.advance(timedelta(seconds=1))
    show.report("source")
    assert show.tick() == show.tick() == set(), "the update after the build is lost"


@pytest.mark.shows("since")
def test_a_status_as_reset_lets_nothing_through(simulate: Simulate) -> None:
    show = simulate(SOURCE, child(UP.since(AC.missing())))
    show.tick()
    show.report("source")
    assert show.tick() == show.tick() == set()
    show.report("table")
    show.report("source")
    assert show.tick() == {"table"}


@pytest.mark.shows("since")
def test_two_memories_of_equal_shape_are_one(simulate: Simulate) -> None:
    def changed(key: str) -> dg.AutomationCondition:
        return UP.allow(dg.AssetSelection.assets(key)).since(AC.newly_requested())

    show = simulate(dg.AssetSpec("x"), dg.AssetSpec("y"), child(changed("x") & changed("y"), "x", "y"))
    show.tick()
    show.report("y")
    assert show.tick() | show.tick() == {"table"}, "x has not changed"


@pytest.mark.shows(
    "since_last_handled",
    form="A.since_last_handled()",
    true="A was true, and the target not requested, updated or looked at for the first time since or in the same look",
    false="it was",
    mistake="The first look counts as handled, so nothing is asked for on a fresh instance or for a new asset; and the "
    "end of a build that began before A handles A.",
)
def test_handled_by_request_update_or_first_look(simulate: Simulate) -> None:
    show = simulate(SOURCE, child(UP.since_last_handled()))
    assert show.tick() == set()
    show.report("source")
    assert show.tick() == {"table"}
    assert show.tick() == set(), "by the request"
    show.report("source")
    show.report("table")
    assert show.tick() == set(), "by the update"


@pytest.mark.shows("since_last_handled")
def test_missing_at_the_first_look_is_handled(simulate: Simulate) -> None:
    """The condition that Dagster's documentation says makes `eager()` try a missing partition once."""

    @dg.asset(automation_condition=AC.missing().newly_true().since_last_handled())
    def documented() -> None: ...

    @dg.asset(automation_condition=AC.missing().newly_true().since(AC.newly_requested() | AC.newly_updated()))
    def starts() -> None: ...

    show = simulate(documented, starts)
    assert [show.tick() for _ in range(3)] == [{"starts"}, set(), set()]
