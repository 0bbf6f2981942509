"""A load error in the few lines that a person needs: what, and in which file and line."""

import traceback
from pathlib import Path

MOST_LINES = 10

_WRAPPERS = frozenset({"DagsterUserCodeLoadError", "DagsterImportError", "ComponentTreeException"})
"""Errors of Dagster that only say that something failed below; the traceback in the log has them."""


def summary(error: BaseException, root: str) -> str:
    """The error without Dagster's wrapping; paths below `root` are relative to it."""
    while type(error).__name__ in _WRAPPERS and error.__cause__ is not None:
        error = error.__cause__
    message = error.msg if isinstance(error, SyntaxError) else str(error)
    lines = f"{type(error).__name__}: {message}".rstrip().splitlines()
    if len(lines) > MOST_LINES:
        lines = [*lines[:MOST_LINES], "…"]
    where = None if root in message else _where(error, root)
    if where is not None:
        lines[0] += f" ({where})"
    return "\n".join(lines).replace(f"{root}/", "")


def _where(error: BaseException, root: str) -> str | None:
    """The innermost place in our own code, as `file:line`."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    supervisor = str(Path(__file__).parent)
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        file = Path(frame.filename)
        ours = file.is_relative_to(root) and not {"site-packages", ".venv"} & set(file.parts)
        if ours and not file.is_relative_to(supervisor):
            return f"{frame.filename}:{frame.lineno}"
    return None
