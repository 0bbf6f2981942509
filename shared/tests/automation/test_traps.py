"""What Dagster does with conditions that nobody expects. The platform's conditions are built around these traps: a
failure here says that an upgrade has changed one, and that the rules at the top of `automation/parts.py` may too."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest

from platform_shared.testing.simulation import Simulation

AC = dg.AutomationCondition
NOW = datetime(2026, 3, 4, 15, 0, tzinfo=UTC)
LEFT, RIGHT, CHILD = (dg.AssetKey(name) for name in ("left", "right", "child"))


@pytest.fixture
def world() -> Iterator[Simulation]:
    with Simulation(dg.AssetSpec(LEFT), dg.AssetSpec(RIGHT), now=NOW) as simulation:
        yield simulation


def watch(world: Simulation, condition: dg.AutomationCondition[Any]) -> None:
    """The child has this condition, and all exist."""

    @dg.asset(key=CHILD, deps=[LEFT, RIGHT], automation_condition=condition)
    def child() -> None: ...

    world.load(dg.AssetSpec(LEFT), dg.AssetSpec(RIGHT), child)
    for key in (LEFT, RIGHT, CHILD):
        world.report(key)
    world.look()
    world.succeed()
    world.look()


def asked(world: Simulation) -> bool:
    return bool(world.look())


def seen_from(key: dg.AssetKey) -> dg.AutomationCondition[Any]:
    changed = AC.any_deps_match(AC.newly_updated()).allow(dg.AssetSelection.assets(key))
    return changed.since(AC.newly_requested())


def test_two_memories_of_equal_shape_are_one(world: Simulation) -> None:
    watch(world, seen_from(LEFT) & seen_from(RIGHT))
    world.report(RIGHT)
    asked(world)
    assert asked(world), "memories of equal shape are kept apart now: the rule about shapes can go"


def test_memories_of_different_shape_are_two(world: Simulation) -> None:
    watch(world, seen_from(LEFT) & (~AC.newly_requested().since(AC.any_deps_match(AC.newly_updated()))))
    world.report(RIGHT)
    assert not asked(world)
    assert not asked(world)


def test_a_label_does_not_keep_memories_apart(world: Simulation) -> None:
    watch(world, seen_from(LEFT).with_label("left") & seen_from(RIGHT).with_label("right"))
    world.report(RIGHT)
    asked(world)
    assert asked(world)


def test_an_unknown_label_is_replaced_without_a_word() -> None:
    eager = AC.eager()
    assert eager.replace("since_last_handled", AC.newly_requested()) == eager
    assert eager.replace("handled", AC.newly_requested()) != eager


@pytest.mark.parametrize("last", [LEFT, CHILD], ids=["the change is newer", "the reset is newer"])
def test_time_stamps_decide_between_bare_events_of_one_look(world: Simulation, last: dg.AssetKey) -> None:
    watch(world, AC.any_deps_match(AC.newly_updated()).since(AC.newly_updated()))
    for key in sorted([LEFT, CHILD], key=lambda each: each == last):
        world.report(key)
        world.advance(timedelta(seconds=1))
    assert asked(world) == (last == LEFT)


@pytest.mark.parametrize(
    "changed",
    [
        AC.any_deps_match(AC.newly_updated() & ~AC.executed_with_root_target()),
        AC.any_deps_match(AC.newly_updated()) | AC.code_version_changed(),
        ~(~AC.any_deps_match(AC.newly_updated())),
    ],
    ids=["and", "or", "not"],
)
def test_an_operator_drops_the_time_stamp_and_the_reset_wins(
    world: Simulation, changed: dg.AutomationCondition[Any]
) -> None:
    watch(world, changed.since(AC.newly_updated()))
    world.report(CHILD)
    world.advance(timedelta(seconds=1))
    world.report(LEFT)
    assert not asked(world)


def test_eager_loses_a_change_that_comes_while_it_builds(world: Simulation) -> None:
    watch(world, AC.eager())
    world.report(LEFT)
    assert asked(world)
    world.report(RIGHT)
    assert not asked(world)
    world.succeed()
    assert not any(asked(world) for _ in range(5))


def test_eager_never_asks_for_what_was_missing_at_first(world: Simulation) -> None:
    @dg.asset(key=CHILD, deps=[LEFT], automation_condition=AC.eager())
    def child() -> None: ...

    world.load(dg.AssetSpec(LEFT), child)
    world.report(LEFT)
    assert not any(asked(world) for _ in range(5))


def test_a_status_as_reset_resets_for_ever(world: Simulation) -> None:
    watch(world, AC.any_deps_match(AC.newly_updated()).since(~AC.missing()))
    world.report(LEFT)
    assert not asked(world)


def test_the_failure_of_a_run_ends_with_the_next_plan(world: Simulation) -> None:
    watch(world, AC.execution_failed().newly_true())
    world.fail(world.start(CHILD))
    assert asked(world)
    assert not asked(world), "a failed run that is planned again is no failure any more"
    world.fail()
    assert asked(world), "and so a condition on it asks again for ever"
