"""No two memories of one asset are one and the same, whatever conditions meet there.

Dagster files the state of `since` and `newly_true` under the class names of their direct children, not under what is
inside: two of equal shape in one asset share their memory, silently, and the asset is built too seldom. Conditions meet
in one asset by `|`, and in an `on_demand` asset with several conditions downstream.
"""

from collections import defaultdict
from collections.abc import Callable
from datetime import timedelta
from itertools import combinations

import dagster as dg
import pytest

from platform_shared import automation
from platform_shared.automation import Condition

EVERY = {
    "on_input_change": automation.on_input_change,
    "on_input_change, at most every minute": lambda: automation.on_input_change(at_most_every=automation.EVERY_MINUTE),
    "on_any_input_partition": automation.on_any_input_partition,
    "on_complete_partition": lambda: automation.on_complete_partition(timedelta(days=21)),
    "on_cron_when_inputs_ready": lambda: automation.on_cron_when_inputs_ready("0 6 * * *", "America/New_York"),
    "on_cron_when_inputs_ready, inputs named": lambda: automation.on_cron_when_inputs_ready(
        "0 6 * * *", "America/New_York", inputs=dg.AssetSelection.all()
    ),
    "heal_gaps": lambda: automation.heal_gaps(timedelta(days=5)),
    "on_code_change": automation.on_code_change,
    "on_demand": automation.on_demand,
    "on_freshness_failure": automation.on_freshness_failure,
}


def memories(condition: Condition) -> dict[str, set[str]]:
    """What is remembered under each key."""
    found: dict[str, set[str]] = defaultdict(set)
    nodes = [condition]
    while nodes:
        node = nodes.pop()
        if node.name in ("SINCE", "NEWLY_TRUE"):
            key = node.get_node_unique_id(parent_unique_id=None, index=None, target_key=None)
            found[key].add(_content(node))
        nodes += node.children
    return found


def shared(condition: Condition) -> list[set[str]]:
    return [contents for contents in memories(condition).values() if len(contents) > 1]


def _content(node: Condition) -> str:
    return f"{node.name}({', '.join(_content(child) for child in node.children)})"


@pytest.mark.parametrize("make", EVERY.values(), ids=EVERY)
def test_each_memory_of_a_condition_is_its_own(make: Callable[[], Condition]) -> None:
    assert shared(make()) == []


@pytest.mark.parametrize("pair", combinations(EVERY, 2), ids=" | ".join)
def test_two_conditions_of_one_asset_share_no_memory(pair: tuple[str, str]) -> None:
    first, second = (EVERY[name]() for name in pair)
    assert shared(first | second) == []


def test_every_named_condition_is_looked_at() -> None:
    named = {name for name in automation.__all__ if name.startswith(("on_", "heal_"))}
    assert named == {name.partition(",")[0] for name in EVERY}


def test_two_memories_of_equal_shape_are_found() -> None:
    missing, updated = dg.AutomationCondition.missing(), dg.AutomationCondition.newly_updated()
    first = dg.AutomationCondition.any_deps_match(missing).since(updated)
    second = dg.AutomationCondition.any_deps_match(updated).since(updated)
    assert len(shared(first & second)) == 1
