"""What a sensor asks for: a pure function of the listing, the ledger and the limits."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from platform_shared.ingestion.landing import LandedFile
from platform_shared.ledger import Lease, Outcome, Unit, UnitState


@dataclass(frozen=True)
class Limits:
    """How much a feed asks for. A batch is bounded by files and bytes; `settle` is the age at which a file is complete,
    `pauses` are waited after the first, second, … failed try.

    `settle` guards against writers that do not rename into place: a file is taken when neither content nor name changed
    for that long.
    """

    files_per_batch: int = 400
    bytes_per_batch: int = 512 * 1024**2
    batches_in_flight: int = 2
    attempts: int = 3
    pauses: tuple[timedelta, ...] = (timedelta(seconds=30), timedelta(minutes=5))
    settle: timedelta = timedelta(seconds=2)
    lease: timedelta = timedelta(minutes=10)


@dataclass(frozen=True)
class Batch:
    """Units for one run. `attempt` is the number of this try, from 1."""

    lease: Lease
    attempt: int


@dataclass(frozen=True)
class Plan:
    """What a tick does: new batches, and units that end without one."""

    batches: tuple[Batch, ...] = ()
    ended: tuple[Outcome, ...] = ()
    waiting: int = 0
    """Units that wait: still being written, or for a batch in flight."""
    settling: int = 0
    """Units among them that are still being written."""


def plan(
    feed: str,
    listing: Sequence[LandedFile],
    open_units: Sequence[Unit],
    unchanged: Mapping[tuple[str, str], str],
    limits: Limits,
    now: datetime,
) -> Plan:
    """Plans one tick over the units that are not at an end (`open_units`: discovered or requested).

    - A version that is not the listed one any more is superseded, unless a batch has it right now.
    - A version in `unchanged` ((object, version) -> SHA-256) has the bytes of the loaded one and ends as such.
    - A unit whose tries are used up goes to quarantine with the last error as the reason.
    - The rest is asked for, oldest first, in bounded batches; an object of which another version is in flight waits,
      so that versions of one object are loaded in their order.
    - Tries after the first go in ever smaller batches: what breaks a run takes fewer and fewer others with it.
    """
    current = {file.object_id: file for file in listing}
    in_flight = {unit for unit in open_units if unit.state is UnitState.REQUESTED and not _expired(unit, now)}
    busy = {unit.object_id for unit in in_flight}

    ended: list[Outcome] = []
    ready: list[Unit] = []
    settling = blocked = 0
    for unit in open_units:
        if unit in in_flight:
            continue
        file = current.get(unit.object_id)
        key = (unit.object_id, unit.version)
        if file is None or file.version != unit.version:
            reason = "the file is gone" if file is None else "a newer version is there"
            ended.append(Outcome(*key, UnitState.SUPERSEDED, reason=reason))
        elif key in unchanged:
            ended.append(
                Outcome(*key, UnitState.UNCHANGED, unchanged[key], reason="the same bytes as the loaded version")
            )
        elif unit.attempts >= limits.attempts:
            last = unit.reason or "the run ended without a word, its lease ran out"
            ended.append(
                Outcome(*key, UnitState.QUARANTINED, reason=f"{unit.attempts} tries failed; the last one: {last}")
            )
        elif unit.retry_at is not None and unit.retry_at > now:
            blocked += 1
        elif not _settled(file, unit, limits, now):
            settling += 1
        elif unit.object_id in busy:
            blocked += 1
        else:
            ready.append(unit)

    slots = max(0, limits.batches_in_flight - len({unit.batch_id for unit in in_flight}))
    batches = tuple(_batches(feed, ready, slots, limits, now))
    asked = sum(len(batch.lease.units) for batch in batches)
    return Plan(batches, tuple(ended), waiting=len(ready) - asked + blocked + settling, settling=settling)


def _batches(feed: str, ready: Sequence[Unit], slots: int, limits: Limits, now: datetime) -> list[Batch]:
    batches: list[Batch] = []
    by_attempt: dict[int, list[Unit]] = {}
    for unit in sorted(ready, key=lambda u: (u.first_seen_at, u.object_id)):
        by_attempt.setdefault(unit.attempts + 1, []).append(unit)
    for attempt, units in sorted(by_attempt.items()):
        most_files = max(1, limits.files_per_batch // 10 ** (attempt - 1))
        start = 0
        while start < len(units) and len(batches) < slots:
            end, size = start, 0
            while end < len(units) and end - start < most_files:
                size += units[end].size_bytes
                if size > limits.bytes_per_batch and end > start:
                    break
                end += 1
            batches.append(_batch(feed, units[start:end], attempt, limits, now))
            start = end
    return batches


def _batch(feed: str, units: Sequence[Unit], attempt: int, limits: Limits, now: datetime) -> Batch:
    keys = tuple(sorted((unit.object_id, unit.version) for unit in units))
    digest = hashlib.sha256(repr((feed, keys, attempt, now.isoformat())).encode()).hexdigest()[:12]
    batch_id = f"{feed}-{now:%Y%m%dT%H%M%S}-{digest}"
    return Batch(Lease(feed, batch_id, now + limits.lease, keys), attempt)


def _expired(unit: Unit, now: datetime) -> bool:
    return unit.lease_expires_at is None or unit.lease_expires_at <= now


def _settled(file: LandedFile, unit: Unit, limits: Limits, now: datetime) -> bool:
    """Old enough by the file's own times, or seen unchanged for that long (a source whose clock is ahead)."""
    age = now.timestamp() - file.changed_ns / 1e9
    return age >= limits.settle.total_seconds() or now - unit.first_seen_at >= limits.settle
