"""What the children print: all of it to a log file each, and what a person needs to the terminal."""

import re
import sys
from enum import IntEnum
from pathlib import Path
from typing import TextIO

MOST_BYTES_OF_A_LOG = 20_000_000

_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_DAGSTER_RECORD = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4} - \S+ - (DEBUG|INFO|WARNING|ERROR|CRITICAL) - ")
_GRPC_RECORD = re.compile(r"([IWEF])\d{4} |[IWEF]\d{4,} ")
_PYTHON_WARNING = re.compile(r"\S+:\d+: \w*Warning: ")
_COLOURS = (36, 33, 32, 35, 34, 96, 93, 92, 95, 94)


class Level(IntEnum):
    """How much a line matters to the person at the terminal."""

    DETAIL = 0
    NEWS = 1
    WARNING = 2


class Classifier:
    """Tells from a process's lines how much each matters; a line without a header belongs to the record before it."""

    def __init__(self, first: Level) -> None:
        self._current = first

    def level(self, line: str) -> Level:
        plain = without_colour(line)
        if record := _DAGSTER_RECORD.match(plain):
            self._current = Level.DETAIL if record[1] in ("DEBUG", "INFO") else Level.WARNING
        elif _GRPC_RECORD.match(plain):
            self._current = Level.DETAIL if plain[0] == "I" else Level.WARNING
        elif plain.startswith("Traceback (most recent call last)") or _PYTHON_WARNING.match(plain):
            self._current = Level.WARNING
        return self._current


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

    def __init__(self, verbose: bool, width: int, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._colour = self._stream.isatty()
        self._least = Level.DETAIL if verbose else Level.NEWS
        self._width = width
        self._colours: dict[str, int] = {}

    def show(self, name: str, line: str, level: Level) -> None:
        if level < self._least:
            return
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
