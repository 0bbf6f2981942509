"""A load error in the lines that a person needs."""

import runpy
from collections.abc import Callable
from pathlib import Path

import dagster as dg

from platform_shared.dev.errors import MOST_LINES, summary


class DagsterUserCodeLoadError(Exception):
    """Named as Dagster's own, which cannot be made without its machinery."""


def raised(action: Callable[[], object]) -> Exception:
    try:
        action()
    except Exception as error:
        return error
    raise AssertionError("it raises nothing")


def running(tmp_path: Path, source: str) -> Exception:
    (tmp_path / "defs.py").write_text(source)
    return raised(lambda: runpy.run_path(str(tmp_path / "defs.py")))


def test_a_syntax_error_names_file_and_line(tmp_path: Path) -> None:
    error = running(tmp_path, "x = 1\ndef y(:\n")
    assert summary(error, str(tmp_path)) == "SyntaxError: invalid syntax (defs.py:2)"


def test_an_error_names_the_innermost_line_of_our_code(tmp_path: Path) -> None:
    error = running(tmp_path, "import json\n\njson.loads('x')\n")
    assert summary(error, str(tmp_path)).endswith("(defs.py:3)")


def test_dagsters_wrapping_is_taken_off(tmp_path: Path) -> None:
    def fail() -> None:
        try:
            raise ValueError("the feed has no folder")
        except ValueError as error:
            raise DagsterUserCodeLoadError("Error occurred during the loading of Dagster definitions") from error

    assert summary(raised(fail), str(tmp_path)) == "ValueError: the feed has no folder"


def test_dagsters_own_errors_keep_their_text(tmp_path: Path) -> None:
    @dg.asset(required_resource_keys={"nope"})
    def needy() -> None: ...

    error = raised(lambda: dg.Definitions.validate_loadable(dg.Definitions(assets=[needy])))
    assert summary(error, str(tmp_path)).startswith("DagsterInvalidDefinitionError: resource with key 'nope'")


def test_a_message_with_the_place_in_it_gets_no_other(tmp_path: Path) -> None:
    message = f"2 validation errors\n  attributes.x at {tmp_path}/defs.yaml:2"
    assert summary(ValueError(message), str(tmp_path)) == (
        "ValueError: 2 validation errors\n  attributes.x at defs.yaml:2"
    )


def test_a_long_message_is_cut(tmp_path: Path) -> None:
    lines = summary(ValueError("\n".join(map(str, range(50)))), str(tmp_path)).splitlines()
    assert len(lines) == MOST_LINES + 1
    assert lines[-1] == "…"
