"""Modifiers: a condition like another one but for a part."""

from collections.abc import Callable

import dagster as dg
import pytest

from platform_shared.testing.simulation import Simulation

AC = dg.AutomationCondition
Simulate = Callable[..., Simulation]

LEFT, RIGHT = dg.AssetSpec("left"), dg.AssetSpec("right")
RIGHT_ONLY, TYPO = dg.AssetSelection.assets("right"), dg.AssetSelection.assets("rihgt")


def child(condition: dg.AutomationCondition) -> dg.AssetsDefinition:
    @dg.asset(name="table", deps=["left", "right"], automation_condition=condition)
    def made() -> None: ...

    return made


@pytest.mark.shows(
    "allow",
    form=".allow(selection)",
    true="the condition is, with the dependencies of the selection alone",
    false="the condition is not, of them",
    mistake="A selection that matches nothing is no error: `any_…` is then false for ever and `all_…` true. A text is "
    "no selection.",
)
def test_allow_looks_at_these_dependencies_only(simulate: Simulate) -> None:
    show = simulate(LEFT, RIGHT, child(AC.any_deps_missing().allow(RIGHT_ONLY)))
    assert show.tick() == {"table"}
    show.report("right")
    assert show.tick() == set()


@pytest.mark.shows("allow")
def test_a_selection_that_matches_nothing_is_silent(simulate: Simulate) -> None:
    anyone = simulate(LEFT, RIGHT, child(AC.any_deps_match(AC.missing()).allow(TYPO)))
    assert anyone.tick() == set()
    everyone = simulate(LEFT, RIGHT, child(AC.all_deps_match(~AC.missing()).allow(TYPO)))
    assert everyone.tick() == {"table"}
    ignored = AC.any_deps_missing().ignore(RIGHT_ONLY), AC.any_deps_missing().ignore(TYPO)
    for condition, asked in zip(ignored, (set(), {"table"}), strict=True):
        show = simulate(LEFT, RIGHT, child(condition))
        show.report("left")
        assert show.tick() == asked


@pytest.mark.shows(
    "ignore",
    form=".ignore(selection)",
    true="the condition is, without the dependencies of the selection",
    false="the condition is not, of the others",
    mistake="A misspelt key ignores nothing, without a word; and it does not reach into `newly_true()`.",
)
def test_ignore_looks_at_the_other_dependencies(simulate: Simulate) -> None:
    show = simulate(LEFT, RIGHT, child(AC.any_deps_missing().ignore(RIGHT_ONLY)))
    assert show.tick() == {"table"}
    show.report("left")
    assert show.tick() == set()


@pytest.mark.shows("ignore")
def test_ignore_stops_at_newly_true(simulate: Simulate) -> None:
    seen = (AC.any_deps_match(AC.newly_updated()) & ~AC.in_progress()).ignore(RIGHT_ONLY)
    unseen = (AC.any_deps_match(AC.newly_updated()).newly_true() & ~AC.in_progress()).ignore(RIGHT_ONLY)
    for condition, asked in ((seen, set()), (unseen, {"table"})):
        show = simulate(LEFT, RIGHT, child(condition))
        show.tick()
        show.report("right")
        assert show.tick() == asked


@pytest.mark.shows(
    "replace",
    form=".replace(old, new)",
    true="the condition is, with `new` for each part that equals `old` or has it for its name or label",
    false="the condition is not, so changed",
    mistake="A name that is not there changes nothing, without a word, and it stops at `newly_true()` and at "
    "check operators. Compare the result with what you began with.",
)
def test_replace_by_label_and_by_part(simulate: Simulate) -> None:
    unblocked = AC.eager().replace("any_deps_missing", AC.any_deps_missing().ignore(RIGHT_ONLY))
    assert unblocked == AC.eager().replace(AC.any_deps_missing(), AC.any_deps_missing().ignore(RIGHT_ONLY))
    for condition, asked in ((AC.eager(), set()), (unblocked, {"table"})):
        show = simulate(LEFT, RIGHT, child(condition))
        show.tick()
        show.report("left")
        assert show.tick() == asked


@pytest.mark.shows("replace")
@pytest.mark.parametrize(
    ("condition", "old"),
    [
        (AC.eager(), "any_deps_mising"),
        (AC.missing().newly_true() & ~AC.in_progress(), "missing"),
        (AC.any_checks_match(AC.check_failed()), "check_failed"),
        (AC.all_deps_blocking_checks_passed(), "check_passed"),
    ],
    ids=["a typo", "newly_true", "any_checks_match", "a composite of checks"],
)
def test_a_replace_that_finds_nothing_is_silent(condition: dg.AutomationCondition, old: str) -> None:
    assert condition.replace(old, AC.execution_failed()) == condition


@pytest.mark.shows(
    "with_label",
    form=".with_label(text)",
    true="the condition is; the label is what people read in the UI and what `replace` finds",
    false="the condition is not",
    mistake="To expect that a label keeps two memories of equal shape apart. It does not.",
)
def test_a_label_changes_what_is_read_and_nothing_else(simulate: Simulate) -> None:
    labelled = AC.missing().with_label("never built")
    assert (labelled.get_label(), AC.missing().get_label()) == ("never built", None)
    show = simulate(LEFT, RIGHT, child(labelled))
    assert show.tick() == {"table"}
    show.report("table")
    assert show.tick() == set()
    assert (labelled & ~AC.in_progress()).replace("never built", AC.any_deps_missing()) == (
        AC.any_deps_missing() & ~AC.in_progress()
    )


@pytest.mark.shows("with_label")
def test_a_label_does_not_give_a_memory_of_its_own(simulate: Simulate) -> None:
    def changed(key: str) -> dg.AutomationCondition:
        updated = AC.any_deps_match(AC.newly_updated()).allow(dg.AssetSelection.assets(key)).with_label(key)
        return updated.since(AC.newly_requested()).with_label(f"{key} changed")

    show = simulate(LEFT, RIGHT, child(changed("left") & changed("right")))
    show.tick()
    show.report("right")
    assert show.tick() | show.tick() == {"table"}, "left has not changed"


@pytest.mark.shows(
    "without",
    form="(A & B & …).without(A)",
    true="the other parts are",
    false="one of the other parts is not",
    mistake="It takes the part as it stands there: `~any_deps_missing()`, not `any_deps_missing()`. What is not there "
    "raises, and so does a rest of one part.",
)
def test_and_without_a_part(simulate: Simulate) -> None:
    bold = AC.eager().without(~AC.any_deps_missing())
    show = simulate(LEFT, RIGHT, child(bold))
    show.tick()
    show.report("left")
    assert show.tick() == {"table"}
    with pytest.raises(Exception, match="not found in operands"):
        AC.eager().without(AC.any_deps_missing())
    with pytest.raises(Exception, match="fewer than 2 operands"):
        (AC.missing() & AC.in_progress()).without(AC.missing())


@pytest.mark.shows(
    "resolve_through_virtual",
    form=".resolve_through_virtual()",
    true="the condition is, with the parents of virtual assets (views) in the place of these",
    false="the condition is not, of them",
    mistake="A view that nobody materializes hides what changes above it, and is missing for ever. It is preview.",
)
@pytest.mark.filterwarnings("ignore::dagster.PreviewWarning")
def test_through_a_view_to_what_it_reads(simulate: Simulate) -> None:
    view = dg.AssetSpec("view", deps=["left"], is_virtual=True)

    @dg.asset(deps=[view], automation_condition=AC.eager())
    def stops_at_the_view() -> None: ...

    @dg.asset(deps=[view], automation_condition=AC.eager().resolve_through_virtual())
    def sees_through_it() -> None: ...

    show = simulate(LEFT, view, stops_at_the_view, sees_through_it)
    assert show.tick() == set()
    show.report("left")
    assert show.tick() == {"sees_through_it"}
    assert show.tick() == set()
