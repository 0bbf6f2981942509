"""Records the warnings of a location's load, and whose code caused each."""

import inspect
import warnings
from collections.abc import Iterator, Sequence, Set
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NamedTuple, TextIO

from platform_shared.workspace.model import WarningSnapshot


class Frame(NamedTuple):
    """A place on the stack: its module's dotted name, file and line."""

    module: str
    file: str
    line: int


@contextmanager
def recorded_warnings(ours: Set[str]) -> Iterator[set[WarningSnapshot]]:
    """All warnings while the block runs, each once; `ours` are the top-level packages that we answer for.

    Resource warnings are left out: the garbage collector raises them in whatever code happens to run.
    """
    seen: set[WarningSnapshot] = set()

    def record(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        stack = _stack(inspect.currentframe())
        caused_by_us = is_ours(stack, (filename, lineno), ours)
        seen.add(WarningSnapshot(category.__name__, str(message), f"{short_path(filename)}:{lineno}", caused_by_us))

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.simplefilter("ignore", ResourceWarning)
        warnings.showwarning = record
        yield seen


def is_ours(stack: Sequence[Frame], warned: tuple[str, int], ours: Set[str]) -> bool:
    """Whether our code stands at the place that the warning names, or called the package that issued it.

    `stack` starts at the code that issued the warning. A package that warns while it is being imported is on its own:
    the import system is what called it.
    """
    if any((frame.file, frame.line) == warned and top_package(frame.module) in ours for frame in stack):
        return True
    if not stack:
        return False
    issuer = _family(stack[0].module)
    caller = next(
        (frame for frame in stack if top_package(frame.module) in ours or _family(frame.module) != issuer), None
    )
    return caller is not None and top_package(caller.module) in ours


def _stack(frame: FrameType | None) -> list[Frame]:
    """The stack outwards, from the code that issued the warning: this module and `warnings` come before it."""
    frames: list[Frame] = []
    while frame is not None:
        module = str(frame.f_globals.get("__name__", ""))
        if frames or module not in ("warnings", __name__):
            frames.append(Frame(module, frame.f_code.co_filename, frame.f_lineno))
        frame = frame.f_back
    return frames


def top_package(module: str) -> str:
    return module.partition(".")[0]


def _family(module: str) -> str:
    """Packages of one project warn in each other's name: dagster_shared in dagster's, dbt_common in dbt's."""
    return top_package(module).partition("_")[0]


def short_path(filename: str) -> str:
    """The file without the machine's part of its path: relative to the workspace, or to the installed packages."""
    path = Path(filename)
    if "site-packages" in path.parts:
        return Path(*path.parts[path.parts.index("site-packages") + 1 :]).as_posix()
    return path.relative_to(Path.cwd()).as_posix() if path.is_relative_to(Path.cwd()) else path.as_posix()
