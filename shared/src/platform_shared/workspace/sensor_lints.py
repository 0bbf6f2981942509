"""Mistakes in sensors that Dagster accepts without a word, found in the source text."""

import ast
import inspect
from collections.abc import Iterator, Sequence
from pathlib import Path

import dagster as dg

from platform_shared.workspace.projects import PROJECTS
from platform_shared.workspace.rules import Finding, Rule

_SENSORS = {"sensor", "asset_sensor", "multi_asset_sensor", "run_status_sensor", "run_failure_sensor", "schedule"}
_CLOCKS = {"time", "time_ns", "monotonic", "now", "utcnow", "today", "uuid1", "uuid4", "random", "utc_now"}
_TOO_WIDE = {"Exception", "BaseException", "OSError", "IOError", "ConnectionError", "TimeoutError"}


def sensor_mistakes(root: Path) -> Iterator[Finding]:
    """Findings of all Python files in `projects/*/src` and `shared/src`."""
    files = [*sorted((root / PROJECTS).glob("*/src/**/*.py")), *sorted((root / "shared/src").glob("**/*.py"))]
    for file in files:
        yield from mistakes_in(file.read_text(encoding="utf-8"), str(file.relative_to(root)))


def mistakes_in(source: str, name: str) -> Iterator[Finding]:
    """Findings of one file's text; one that is no Python is left to whoever loads it."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return
    found: list[tuple[int, str, str]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            found += _unknown_arguments(node)
            found += _clock_in_key(node)
        elif isinstance(node, ast.FunctionDef):
            decorators = {_called(decorator) for decorator in node.decorator_list}
            if decorators & _SENSORS:
                found += _swallowed_errors(node)
            if "asset_sensor" in decorators:
                found += _own_cursor(node)
    for line, what, remedy in sorted(found):
        yield Finding(Rule.SENSOR, f"{name}:{line}", what, remedy)


def _unknown_arguments(call: ast.Call) -> Iterator[tuple[int, str, str]]:
    known = {"RunRequest": dg.RunRequest, "SensorResult": dg.SensorResult, "SkipReason": dg.SkipReason}
    target = known.get(_called(call))
    if target is None:
        return
    parameters = [*inspect.signature(target.__new__).parameters.values()][1:]
    names = [p.name for p in parameters if p.kind is not inspect.Parameter.VAR_KEYWORD]
    for keyword in call.keywords:
        if keyword.arg is not None and keyword.arg not in names:
            yield (
                call.lineno,
                f"{_called(call)} has no argument {keyword.arg!r}; Dagster drops it without a word.",
                f"Use one of {', '.join(names)}.",
            )


def _clock_in_key(call: ast.Call) -> Iterator[tuple[int, str, str]]:
    if _called(call) != "RunRequest":
        return
    for keyword in call.keywords:
        if keyword.arg == "run_key":
            calls = [_called(node) for node in ast.walk(keyword.value) if isinstance(node, ast.Call)]
            for clock in sorted({*calls} & _CLOCKS):
                yield (
                    call.lineno,
                    f"The run key is made with {clock}(): it differs at every tick, so the same work runs each time.",
                    "Make it of the unit of work and its version.",
                )


def _own_cursor(function: ast.FunctionDef) -> Iterator[tuple[int, str, str]]:
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and _called(node) == "update_cursor":
            yield (
                node.lineno,
                f"The asset sensor {function.name} writes a cursor; Dagster overwrites it with its own.",
                "Use a plain @sensor to keep a cursor.",
            )


def _swallowed_errors(function: ast.FunctionDef) -> Iterator[tuple[int, str, str]]:
    for node in ast.walk(function):
        if not isinstance(node, ast.ExceptHandler) or any(isinstance(n, ast.Raise) for n in ast.walk(node)):
            continue
        kinds: Sequence[ast.expr] = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type or ast.Name("")]
        names = [_called(kind) or "everything" for kind in kinds]
        for kind in names:
            if kind in _TOO_WIDE or kind == "everything":
                yield (
                    node.lineno,
                    f"{function.name} catches {kind} and goes on: an outage looks like a quiet source.",
                    "Let it raise: the tick fails, nothing changes, and the next one tries again.",
                )


def _called(node: ast.expr) -> str:
    """The last part of what is called or named: `dg.RunRequest(…)` and `RunRequest` are `RunRequest`."""
    if isinstance(node, ast.Call):
        return _called(node.func)
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
