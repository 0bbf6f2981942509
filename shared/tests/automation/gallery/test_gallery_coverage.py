"""Every name of Dagster's conditions has its scenario, every scenario's name is still there, and the page is theirs.

After an upgrade: a name without a scenario is new and wants one, a scenario without a name shows what is gone.
"""

import importlib.util
import inspect
import sys
from pathlib import Path
from types import ModuleType

import dagster as dg
import pytest

AC = dg.AutomationCondition

NOT_OPERANDS = {
    "as_auto_materialize_policy": "the deprecated form of a condition",
    "evaluate": "what a condition of one's own defines; test_gallery_sensor.py has one",
    "match_candidate_runs": "how the conditions on run tags compare",
    "get_backcompat_node_unique_ids": "where state is filed",
    "get_label": "what `with_label` set",
    "get_node_snapshot": "what the UI gets",
    "get_node_unique_id": "where state is filed",
    "get_node_unique_ids": "where state is filed",
    "get_snapshot": "what the UI gets",
    "get_unique_id": "where state is filed",
}
OPERATORS = {"&": "__and__", "|": "__or__", "~": "__invert__"}

pytestmark = pytest.mark.filterwarnings("ignore::dagster.BetaWarning", "ignore::dagster.PreviewWarning")


def load_page() -> ModuleType:
    spec = importlib.util.spec_from_file_location("operands_page", Path(__file__).parent / "page.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up by its name.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


PAGE = load_page()
SHOWN = [entry for part in PAGE.parts() for entry in part.shown]


def statics() -> dict[str, dg.AutomationCondition]:
    """What each static or class method without underscore makes, by its name."""
    arguments: dict[str, tuple[object, ...]] = {
        "condition": (AC.missing(),),
        "key": ("table",),
        "cron_schedule": ("0 9 * * *",),
    }
    made = {}
    for name, member in vars(AC).items():
        if isinstance(member, staticmethod | classmethod) and not name.startswith("_"):
            function = getattr(AC, name)
            needed = [
                parameter.name
                for parameter in inspect.signature(function).parameters.values()
                if parameter.default is parameter.empty and parameter.kind is not parameter.KEYWORD_ONLY
            ]
            made[name] = function(*(argument for parameter in needed for argument in arguments[parameter]))
    return made


def methods() -> set[str]:
    """Names of methods, without underscore, of conditions of every kind that Dagster makes; their form is a tuple."""
    a, b = AC.missing(), AC.newly_requested()
    kinds = {type(condition) for condition in (*statics().values(), a & b, a | b, ~a, a.newly_true(), a.since(b))}
    return {
        name
        for kind in kinds
        for name, _ in inspect.getmembers(kind, inspect.isroutine)
        if not isinstance(inspect.getattr_static(kind, name), staticmethod)
        and not name.startswith(("_", "compute_subset"))
        and not hasattr(tuple, name)
    }


def api() -> set[str]:
    """All names that a condition can be written with."""
    return {*statics(), *(methods() - NOT_OPERANDS.keys()), *OPERATORS}


def test_every_name_has_a_scenario_and_every_scenario_a_name() -> None:
    shown = {entry.name for entry in SHOWN}
    assert api() - shown == set(), "new in Dagster: add a scenario with `@pytest.mark.shows`"
    assert shown - api() == set(), "gone from Dagster: take the scenario out"


def test_what_is_no_operand_is_still_there() -> None:
    assert NOT_OPERANDS.keys() - methods() == set()
    assert [method for method in OPERATORS.values() if not hasattr(AC, method)] == []


def test_the_enumeration_sees_what_is_not_marked_public() -> None:
    assert {"executed_with_root_target", "since", "newly_true", "without", "resolve_through_virtual", "&"} <= api()


def test_every_name_has_one_sentence() -> None:
    names = [entry.name for entry in SHOWN]
    assert sorted(names) == sorted({*names}), "a name is shown in one file"
    assert [entry.name for entry in SHOWN if not (entry.true and entry.false)] == []


def test_every_file_of_scenarios_is_on_the_page() -> None:
    here = {path.name for path in Path(__file__).parent.glob("test_gallery_*.py")} - {Path(__file__).name}
    assert {part.file for part in PAGE.parts()} == here


def test_the_page_is_that_of_the_scenarios() -> None:
    """If this fails: `.venv/bin/python shared/tests/automation/gallery/page.py`."""
    assert PAGE.PAGE.read_text() == PAGE.text()
