"""What the children print: all of it to a log file each, and what a person needs to the terminal."""

import re
import sys
from enum import IntEnum
from pathlib import Path
from typing import TextIO

MOST_BYTES_OF_A_LOG = 20_000_000
MOST_LINES_OF_A_RECORD = 8
"""An error's first lines say what it is; its stack is for the log."""

_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_DAGSTER_RECORD = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4} - \S+ - (DEBUG|INFO|WARNING|ERROR|CRITICAL) - ")
_GRPC_RECORD = re.compile(r"[IWEF]\d{4} ")
_PYTHON_WARNING = re.compile(r"\S+:\d+: \w*Warning: ")
_ROUTINE = (
    "No cursor for event type",
    "Error loading repository location",
    "Reloading definitions from a code server",
    "exceeding the maximum of 100 for per-partition timestamp fetching",
    "BetaWarning: Parameter `execution_type` of function `AssetsDefinition.__init__`",
)
"""Warnings with no news: every fresh instance gives the first, a location that does not load we announce ourselves, the
page's own button to reload finds what was edited served already, many days that change at once are dated by the look
that sees them, and the last is about what Dagster itself does with an asset check."""
_COLOURS = (36, 33, 32, 35, 34, 96, 93, 92, 95, 94)


class Level(IntEnum):
    """How much a line matters to the person at the terminal."""

    DETAIL = 0
    NEWS = 1
    WARNING = 2


class Excerpt:
    """Picks the lines of one process that a person needs.

    A line without a header belongs to the record before it. What comes before any header is of level `first`.
    """

    def __init__(self, name: str, first: Level) -> None:
        self._cut = f"… all of it: {name}.log"
        self._level = first
        self._left = MOST_LINES_OF_A_RECORD

    def pick(self, line: str) -> tuple[str, Level]:
        """What to show in place of the line, and how much it matters."""
        level = _level_of_record(without_colour(line))
        if level is not None:
            self._level, self._left = level, MOST_LINES_OF_A_RECORD
        if self._level < Level.WARNING:
            return line, self._level
        if not line.strip():
            return line, Level.DETAIL
        self._left -= 1
        if self._left == 0:
            return self._cut, Level.WARNING
        return line, self._level if self._left > 0 else Level.DETAIL


def _level_of_record(line: str) -> Level | None:
    """The level that this line opens a record with, None if it opens none."""
    if record := _DAGSTER_RECORD.match(line):
        routine = record[1] in ("DEBUG", "INFO") or any(text in line for text in _ROUTINE)
        return Level.DETAIL if routine else Level.WARNING
    if _GRPC_RECORD.match(line):
        return Level.DETAIL if line[0] == "I" else Level.WARNING
    if line.startswith("Traceback (most recent call last)") or _PYTHON_WARNING.match(line):
        return Level.WARNING
    return None


def without_colour(line: str) -> str:
    return _ANSI.sub("", line)


class LogFile:
    """One child's log: started afresh with every `make dev`, the file before it kept as `.1`, bounded in size."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: TextIO | None = None
        self._written = 0

    def write(self, line: str) -> None:
        if self._file is None or self._written > MOST_BYTES_OF_A_LOG:
            self._start_afresh()
        assert self._file is not None
        self._written += self._file.write(without_colour(line) + "\n")
        self._file.flush()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _start_afresh(self) -> None:
        self.close()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        if self._path.exists():
            self._path.replace(self._path.with_suffix(self._path.suffix + ".1"))
        self._file = self._path.open("w", encoding="utf-8")
        self._path.chmod(0o600)
        self._written = 0


class Terminal:
    """Lines for the person, each with the name of who says it, in colour if the terminal has any."""

    def __init__(self, width: int, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._colour = self._stream.isatty()
        self._width = width
        self._colours: dict[str, int] = {}

    def show(self, name: str, line: str) -> None:
        prefix = f"{name:<{self._width}} | "
        if self._colour:
            colour = self._colours.setdefault(name, _COLOURS[len(self._colours) % len(_COLOURS)])
            text = f"\x1b[{colour}m{prefix}\x1b[0m{line}"
        else:
            text = prefix + without_colour(line)
        self._print(text)

    def _print(self, text: str) -> None:
        try:
            print(text, file=self._stream, flush=True)
        except UnicodeEncodeError:
            print(text.encode("ascii", "replace").decode(), file=self._stream, flush=True)
        except OSError:
            # The terminal is gone; what was said is in the logs, and stopping must go on.
            return
