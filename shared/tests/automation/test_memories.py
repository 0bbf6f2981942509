"""No two memories of one condition are one and the same.

Dagster files the state of `since` and `newly_true` under the class names of their direct children, not under what is
inside: two of equal shape in one asset share their memory, silently, and the asset is built too seldom.
"""

import inspect
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial

import dagster as dg
import pytest

from platform_shared import automation


def conditions() -> Iterator[tuple[str, Callable[[], automation.Condition]]]:
    for name, make in inspect.getmembers(automation, inspect.isfunction):
        if make.__module__ != automation.__name__ or not name.startswith("on_"):
            continue
        yield name, make
        if "at_most_every" in inspect.signature(make).parameters:
            yield f"{name}, at most every minute", partial(make, at_most_every=automation.EVERY_MINUTE)


def memories(condition: automation.Condition) -> Counter[str]:
    """How many nodes of a condition file their state under each key."""
    keys: Counter[str] = Counter()
    nodes = [condition]
    while nodes:
        node = nodes.pop()
        if node.name in ("SINCE", "NEWLY_TRUE"):
            shape = ", ".join(child.name for child in node.children)
            key = node.get_node_unique_id(parent_unique_id=None, index=None, target_key=None)
            keys[f"{node.name}({shape}) {key}"] += 1
        nodes += node.children
    return keys


def shared(condition: automation.Condition) -> list[str]:
    return [key for key, nodes in memories(condition).items() if nodes > 1]


@pytest.mark.parametrize("make", [pytest.param(make, id=name) for name, make in conditions()])
def test_each_memory_of_a_condition_is_its_own(make: Callable[[], automation.Condition]) -> None:
    assert memories(make())
    assert shared(make()) == []


def test_two_memories_of_equal_shape_are_found() -> None:
    missing, updated = dg.AutomationCondition.missing(), dg.AutomationCondition.newly_updated()
    first = dg.AutomationCondition.any_deps_match(missing).since(updated)
    second = dg.AutomationCondition.any_deps_match(updated).since(updated)
    assert len(shared(first & second)) == 1
