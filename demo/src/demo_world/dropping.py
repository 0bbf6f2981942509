"""How a file gets into a landing folder: the right way, and the bad manners of real senders."""

import os
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TypeVar

from demo_world.source import StoreDayFile

SLOW_CHUNKS = 4  # a slow file stands unfinished under its final name for three pauses

_T = TypeVar("_T")


@dataclass(frozen=True)
class Manners:
    """The bad manners of a sender; by default it has none."""

    slow: bool = False  # writes under the final name, a piece at a time
    shuffled: bool = False  # sends days, and the stores of a day, in any order
    duplicates: bool = False  # sends again what is there already


GOOD_MANNERS = Manners()


class Outcome(Enum):
    """What a drop did."""

    WRITTEN = "written"  # a new file, or new bytes under its name
    UNCHANGED = "unchanged"  # the same bytes were there: not touched
    REPEATED = "repeated"  # the same bytes were there: replaced by a new file


def _short_pause() -> None:
    time.sleep(0.1)


def drop(
    file: StoreDayFile,
    landing: Path,
    *,
    how: Manners = GOOD_MANNERS,
    pause: Callable[[], object] = _short_pause,
) -> Outcome:
    """Put the file into the feed's landing folder; its name appears there only when it is complete and on disk.

    A slow sender breaks that promise, and waits for `pause` between the pieces. A sender of duplicates replaces a file
    of the same bytes by a new one, at once, where others leave it alone.
    """
    target = landing / file.name
    target.parent.mkdir(parents=True, exist_ok=True)
    if _holds(target, file.content):
        if not how.duplicates:
            return Outcome.UNCHANGED
        _write_and_rename(target, file.content)
        return Outcome.REPEATED
    if how.slow:
        _write_in_place(target, file.content, pause)
    else:
        _write_and_rename(target, file.content)
    return Outcome.WRITTEN


def shuffled(items: Sequence[_T], seed: str) -> list[_T]:
    """The items in an order that depends on the seed only."""
    return random.Random(seed).sample(items, len(items))


def remove_stale_temporaries(landing: Path) -> None:
    """Remove what a killed sender left behind. No other sender may be at work in the folder."""
    for temporary in landing.glob("*/.store-*.csv.tmp"):
        temporary.unlink()


def _holds(target: Path, content: bytes) -> bool:
    return target.is_file() and target.stat().st_size == len(content) and target.read_bytes() == content


def _write_and_rename(target: Path, content: bytes) -> None:
    temporary = target.with_name(f".{target.name}.tmp")
    with temporary.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(target)


def _write_in_place(target: Path, content: bytes, pause: Callable[[], object]) -> None:
    piece = -(-len(content) // SLOW_CHUNKS)
    with target.open("wb", buffering=0) as stream:
        for start in range(0, len(content), piece):
            if start:
                pause()
            stream.write(content[start : start + piece])
