"""Each row of the pattern catalogue leads to code and to tests that are there; the pages are those of the catalogue.

Never the other way round: a sensor of a team's own needs no row.
"""

import ast
import importlib.util
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs/patterns"
FIELDS = {"id", "pattern", "use", "status", "where", "tests", "mistake"}


def load_pages():
    spec = importlib.util.spec_from_file_location("pattern_pages", FOLDER / "pages.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PAGES = load_pages()
ROWS = {row["id"]: row for page in PAGES.catalogue() for row in page["rows"]}


@cache
def names(path):
    """Functions, classes, methods and constants that a Python file defines."""
    found = set()
    for node in ast.parse((ROOT / path).read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{each.name}" for each in node.body if isinstance(each, ast.FunctionDef)}
        if isinstance(node, ast.Assign):
            found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return found


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS.keys())
def test_a_row_leads_to_code_and_tests(row):
    assert row.keys() == FIELDS
    assert row["status"] in PAGES.STATUS
    assert row["tests"]
    path, _, symbol = row["where"].partition(":")
    assert (ROOT / path).is_file()
    assert not symbol or symbol in names(path)
    for test in row["tests"]:
        file, _, function = test.partition("::")
        assert function.startswith("test_")
        assert function in names(file)


def test_what_is_live_is_no_test():
    live = [row["where"] for row in ROWS.values() if row["status"] == "live"]
    assert [where for where in live if Path(where.partition(":")[0]).name.startswith("test_")] == []


def test_no_id_is_used_twice():
    ids = [row["id"] for page in PAGES.catalogue() for row in page["rows"]]
    assert sorted(ids) == sorted({*ids})


def test_every_erratum_is_of_a_row():
    text = (ROOT / "tests/test_pattern_errata.py").read_text()
    (table,) = [
        node for node in ast.parse(text).body if isinstance(node, ast.Assign) and node.targets[0].id == "ERRATA"
    ]
    assert {key.value.split()[0] for key in table.value.keys} <= ROWS.keys()


def test_the_pages_are_those_of_the_catalogue():
    """If this fails: `.venv/bin/python docs/patterns/pages.py`."""
    assert {name: (FOLDER / name).read_text() for name in PAGES.pages()} == PAGES.pages()
    assert {path.name for path in FOLDER.glob("*.md")} == PAGES.pages().keys()
