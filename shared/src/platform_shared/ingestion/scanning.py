"""One pass over a source's listing, in bounded memory, within a time budget, without asking again what is known.

The listing is cut into chunks where the hash of an object's id says so, so that a new object changes the chunk that it
falls into and no other. A chunk whose objects and versions are those of the last pass was recorded then and is skipped.
What is remembered is one short digest a chunk; forgetting it costs time, never data.
"""

import base64
import json
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

from platform_shared.ingestion.objects import ObjectSource, Refused, SourceObject

_CURSOR_VERSION = 1
_DIGEST_BYTES = 12
_CUT_MASK = 0x1FF
"""A chunk holds 512 objects on average …"""
_LONGEST_CHUNK = 4096
"""… and spans this many of a listing at most, those of other feeds counted."""


class CursorError(ValueError):
    """The sensor's cursor is not one of ours."""


@dataclass(frozen=True)
class Memory:
    """What a sensor remembers of listings (its cursor): digests of the chunks of the last whole pass, and how far the
    present one has come. It counts for the ledger's `epoch` only."""

    epoch: str
    known: frozenset[str] = frozenset()
    passed: tuple[str, ...] = ()
    after: str | None = None
    listed: int = 0

    def cursor(self) -> str:
        """As text for Dagster to keep."""
        state = {
            "version": _CURSOR_VERSION,
            "epoch": self.epoch,
            "known": sorted(self.known),
            "passed": list(self.passed),
            "after": self.after,
            "listed": self.listed,
        }
        return json.dumps(state, separators=(",", ":"))

    @staticmethod
    def of(cursor: str | None, epoch: str) -> "Memory":
        """Reads a cursor; a missing one is an empty memory. Of another epoch only the place in the listing counts: the
        pass goes on, and the next one compares everything. Raises CursorError."""
        if not cursor:
            return Memory(epoch)
        try:
            state = json.loads(cursor)
            if state["version"] != _CURSOR_VERSION:
                raise CursorError(f"the cursor has version {state['version']}, this code knows {_CURSOR_VERSION}")
            memory = Memory(
                str(state["epoch"]),
                frozenset(map(str, state["known"])),
                tuple(map(str, state["passed"])),
                None if state["after"] is None else str(state["after"]),
                int(state["listed"]),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise CursorError(
                f"The sensor's cursor cannot be read ({error}). Reset it in the page of the sensor: nothing is lost or "
                "loaded twice by that."
            ) from error
        return memory if memory.epoch == epoch else Memory(epoch, after=memory.after, listed=memory.listed)


@dataclass
class Scan:
    """What a pass, or the part of one that the time allowed, came to."""

    memory: Memory
    whole: bool = False
    objects: int = 0
    """Objects of the feed listed in the whole pass so far."""
    others: int = 0
    """Objects listed by this look that are not of the feed."""
    new: list[SourceObject] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)


def scan(
    source: ObjectSource,
    memory: Memory,
    wanted: Callable[[str], bool],
    record: Callable[[Sequence[SourceObject]], Sequence[SourceObject]],
    out_of_time: Callable[[], bool],
) -> Scan:
    """Lists from where the last look stopped; gives chunks that are not as remembered to `record`, which returns the
    objects that were new. `wanted` says of an object id whether it is of this feed. Ends at the end of the listing, or
    at the end of a chunk when `out_of_time`. Errors of the source pass through: what was recorded stays recorded."""
    result = Scan(memory, objects=memory.listed)
    passed = list(memory.passed)
    chunk: list[SourceObject] = []
    since_the_clock = 0

    def end_chunk() -> None:
        if not chunk:
            return
        digest = _digest(chunk)
        if digest not in memory.known:
            result.new += record(chunk)
        passed.append(digest)
        result.objects += len(chunk)

    for entry in source.walk(memory.after):
        since_the_clock += 1
        if isinstance(entry, Refused):
            result.refused.append(entry)
            continue
        cut = since_the_clock >= _LONGEST_CHUNK
        if wanted(entry.object_id):
            chunk.append(entry)
            cut = cut or zlib.crc32(entry.object_id.encode()) & _CUT_MASK == 0
        else:
            result.others += 1
        if cut:
            end_chunk()
            chunk.clear()
            since_the_clock = 0
            if out_of_time():
                result.memory = Memory(memory.epoch, memory.known, tuple(passed), entry.object_id, result.objects)
                return result
    end_chunk()
    result.whole = True
    result.memory = Memory(memory.epoch, frozenset(passed))
    return result


def _digest(chunk: Sequence[SourceObject]) -> str:
    text = "\0".join([f"{entry.object_id}\0{entry.version}" for entry in chunk])
    return base64.b85encode(blake2b(text.encode(), digest_size=_DIGEST_BYTES).digest()).decode()
