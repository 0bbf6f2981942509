"""The names of Dagster that shipped code uses though they are exported without being marked public.

What the workspace's snapshots need beyond these is in `workspace/test_introspection.py`. A failure after an upgrade
says which name moved, or has become public and may leave the list.
"""

import ast
from pathlib import Path

import dagster as dg
import pytest

import platform_shared

ALLOWED = {
    "AutomationCondition.all_new_updates_have_run_tags": "automation: an input's updates that are all by backfills",
    "AutomationCondition.any_new_update_has_run_tags": "automation: an asset that a backfill has built",
    "AutomationCondition.since": "automation: documented, but not marked",
    "AutomationCondition.newly_true": "automation: documented, but not marked",
    "ComponentTree.for_project": "location: a defs folder without every component package of the environment",
    "ComponentTree.build_defs": "location: as above",
}
SHIPPED = Path(str(platform_shared.__file__)).parent
CONDITIONS = sorted((SHIPPED / "automation").glob("*.py"))


def marked_public(name: str) -> bool:
    """Whether Dagster's own mark is on it. Raises AttributeError if it is not there at all."""
    found: object = dg
    for part in name.split("."):
        found = getattr(found, part)
    return bool(getattr(found, "_is_public", False))


@pytest.mark.parametrize("name", ALLOWED)
def test_an_allowed_name_is_there_and_still_needs_the_permission(name: str) -> None:
    try:
        public = marked_public(name)
    except AttributeError:
        pytest.fail(f"dagster has moved dagster.{name}, which the platform needs. {ALLOWED[name]}.")
    assert not public, f"dagster.{name} is public now: take it off this list."


def test_the_method_that_looks_through_virtual_assets_is_there_and_still_preview() -> None:
    method = getattr(dg.AutomationCondition.eager(), "resolve_through_virtual", None)
    assert method is not None, "dagster has moved resolve_through_virtual(), which all conditions end with."
    assert not getattr(method, "_is_public", False), "resolve_through_virtual() is public now: this test can go."


def test_the_conditions_use_no_other_name_that_is_not_public() -> None:
    operands = {
        f"AutomationCondition.{node.attr}"
        for module in CONDITIONS
        for node in ast.walk(ast.parse(module.read_text()))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "_AC"
    }
    assert len(operands) > 10, "the conditions do not call dagster.AutomationCondition `_AC` any more"
    assert {name for name in operands if not marked_public(name)} <= ALLOWED.keys()


def test_every_allowed_name_is_used() -> None:
    used = {
        node.attr
        for module in (*CONDITIONS, SHIPPED / "location.py")
        for node in ast.walk(ast.parse(module.read_text()))
        if isinstance(node, ast.Attribute)
    }
    assert {name for name in ALLOWED if name.split(".")[1] not in used} == set()
