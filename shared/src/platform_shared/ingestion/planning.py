"""What a sensor asks for: a pure function of the ledger and the limits."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from platform_shared.ledger import Lease, Outcome, Unit, UnitState

_TURN_SECONDS = 30


@dataclass(frozen=True)
class Limits:
    """How much a feed asks for at once, how often, and when an object is complete.

    A batch is bounded by objects and bytes; `pauses` are waited after the first, second, … failed try, or failure that
    is no object's, of which there may be any number. An object is
    complete when neither content nor name changed for the time `settle` (zero for senders that rename into place), and,
    if there is a `marker`, when an object of its name with this suffix is there too.
    """

    objects_per_batch: int = 1000
    bytes_per_batch: int = 512 * 1024**2
    batches_in_flight: int = 2
    attempts: int = 3
    pauses: tuple[timedelta, ...] = (timedelta(seconds=30), timedelta(minutes=5), timedelta(minutes=15))
    settle: timedelta = timedelta(seconds=2)
    marker: str | None = None
    lease: timedelta = timedelta(minutes=10)


@dataclass(frozen=True)
class Gate:
    """When there is too little to start a run: fewer than `least_objects`, or fewer than `least_bytes`; but nothing
    waits longer than `longest_wait` for others."""

    least_objects: int = 1
    least_bytes: int = 0
    longest_wait: timedelta = timedelta(minutes=15)

    def is_open(self, ready: Sequence[Unit], now: datetime) -> bool:
        """Whether these units are enough, or the oldest has waited long enough."""
        if len(ready) >= self.least_objects and sum(unit.size_bytes for unit in ready) >= self.least_bytes:
            return True
        return any(now - (unit.waiting_since or unit.first_seen_at) >= self.longest_wait for unit in ready)


@dataclass(frozen=True)
class Batch:
    """Units for one run. `attempt` is the number of this try, from 1; `failures` how many failed before it in a row, be
    it for the units or for an outage."""

    lease: Lease
    attempt: int
    failures: int = 0


@dataclass(frozen=True)
class Plan:
    """What a tick does: new batches, and units that end without one. Counts are of units that wait, by reason."""

    batches: tuple[Batch, ...] = ()
    ended: tuple[Outcome, ...] = ()
    in_flight: int = 0
    settling: int = 0
    """Still being written, or without their marker."""
    pausing: int = 0
    """After a failed try, or behind another version of the object."""
    gathering: int = 0
    """Too few or too small for a run."""
    queued: int = 0
    """Complete; wait for a batch in flight to end."""
    held: int = 0
    """Complete; wait until `held_until`, because the last run failed for a reason that is no object's."""
    held_until: datetime | None = None


def plan(
    feed: str,
    open_units: Sequence[Unit],
    unchanged: Mapping[tuple[str, str], str],
    unmarked: Collection[str],
    limits: Limits,
    gate: Gate,
    now: datetime,
) -> Plan:
    """Plans one tick over the units that are not at an end (`open_units`: discovered or requested).

    - Of several versions of one object the one seen last is current; the others are superseded.
    - A version in `unchanged` ((object, version) -> SHA-256) has the bytes of the loaded one and ends as such.
    - A unit whose tries are used up goes to quarantine with the last error as the reason.
    - Objects in `unmarked` lack their marker, and wait.
    - The rest is asked for, oldest first, in bounded batches; an object of which another version is in flight waits,
      so that versions of one object are loaded in their order.
    - Tries after the first go in ever smaller batches: what breaks a run takes fewer and fewer others with it. While
      new objects wait, one place is for such tries and the others are not; where there is only one place, they take
      turns. So neither starves the other.
    - While runs fail for reasons that are no object's (`Unit.outages`), one batch at a time is asked for, after a
      pause each: new objects would only fail too.
    """
    in_flight = {unit for unit in open_units if unit.state is UnitState.REQUESTED and not _expired(unit, now)}
    busy = {unit.object_id for unit in in_flight}
    newest: dict[str, Unit] = {}
    for unit in sorted(open_units, key=_age):
        newest[unit.object_id] = unit

    ended: list[Outcome] = []
    first_tries: list[Unit] = []
    retries: list[Unit] = []
    settling = pausing = 0
    for unit in open_units:
        if unit in in_flight:
            continue
        key = (unit.object_id, unit.version)
        if unit is not newest[unit.object_id]:
            ended.append(Outcome(*key, UnitState.SUPERSEDED, reason="a newer version is there"))
        elif key in unchanged:
            ended.append(
                Outcome(*key, UnitState.UNCHANGED, unchanged[key], reason="the same bytes as the loaded version")
            )
        elif unit.attempts >= limits.attempts:
            last = unit.reason or "the run ended without a word, its lease ran out"
            reason = f"{unit.object_id}: {unit.attempts} tries failed; the last one: {last}"
            if unit.days is not None:
                reason += " (a try that died may have brought its rows into the table all the same)"
            ended.append(Outcome(*key, UnitState.QUARANTINED, reason=reason))
        elif (unit.retry_at is not None and unit.retry_at > now) or unit.object_id in busy:
            pausing += 1
        elif unit.object_id in unmarked or not _settled(unit, limits, now):
            settling += 1
        else:
            (retries if unit.attempts else first_tries).append(unit)

    slots = max(0, limits.batches_in_flight - len({unit.batch_id for unit in in_flight}))
    outages = max((unit.outages for unit in open_units), default=0)
    if outages:
        slots = min(slots, 0 if in_flight else 1)
    held_until = max((u.retry_at for u in open_units if u.outages and u.retry_at and u.retry_at > now), default=None)
    if held_until is not None:
        slots = 0
    gathering = 0 if gate.is_open(first_tries, now) else len(first_tries)
    if gathering:
        first_tries = []
    room = slots if not first_tries else min(slots, _room_for_retries(in_flight, limits, now))
    again = _batches(feed, retries, room, limits, now)
    new = _batches(feed, first_tries, slots - len(again), limits, now)
    batches = tuple(replace(batch, failures=max(batch.attempt - 1, outages)) for batch in again + new)
    waiting = len(first_tries) + len(retries) - sum(len(batch.lease.units) for batch in batches)
    return Plan(
        batches,
        tuple(ended),
        in_flight=len(in_flight),
        settling=settling,
        pausing=pausing,
        gathering=gathering,
        queued=waiting if held_until is None else 0,
        held=0 if held_until is None else waiting,
        held_until=held_until,
    )


def _room_for_retries(in_flight: Collection[Unit], limits: Limits, now: datetime) -> int:
    if limits.batches_in_flight == 1:
        return int(now.timestamp()) // _TURN_SECONDS % 2
    tries = {unit.batch_id for unit in in_flight if unit.attempts + (unit.lease_holder is None) > 1}
    return 0 if tries else 1


def _batches(feed: str, ready: Sequence[Unit], slots: int, limits: Limits, now: datetime) -> list[Batch]:
    """The batches whose oldest unit has been ready longest, of one number of tries each."""
    by_attempt: dict[int, list[Unit]] = {}
    for unit in sorted(ready, key=lambda u: (_ready_at(u), u.object_id)):
        by_attempt.setdefault(unit.attempts + 1, []).append(unit)
    cuts: list[tuple[datetime, int, Sequence[Unit]]] = []
    for attempt, units in by_attempt.items():
        most_objects = max(1, limits.objects_per_batch // 10 ** (attempt - 1))
        start = 0
        for _ in range(slots):
            end, size = start, 0
            while end < len(units) and end - start < most_objects:
                size += units[end].size_bytes
                if size > limits.bytes_per_batch and end > start:
                    break
                end += 1
            if end > start:
                cuts.append((_ready_at(units[start]), attempt, units[start:end]))
            start = end
    cuts.sort(key=lambda cut: cut[:2])
    return [_batch(feed, units, attempt, limits, now) for _, attempt, units in cuts[:slots]]


def _ready_at(unit: Unit) -> datetime:
    return unit.first_seen_at if unit.retry_at is None else max(unit.first_seen_at, unit.retry_at)


def _batch(feed: str, units: Sequence[Unit], attempt: int, limits: Limits, now: datetime) -> Batch:
    keys = tuple(sorted((unit.object_id, unit.version) for unit in units))
    digest = hashlib.sha256(repr((feed, keys, attempt, now.isoformat())).encode()).hexdigest()[:12]
    batch_id = f"{feed}-{now:%Y%m%dT%H%M%S}-{digest}"
    return Batch(Lease(feed, batch_id, now + limits.lease, keys), attempt)


def _age(unit: Unit) -> tuple[datetime, datetime, str]:
    return unit.first_seen_at, unit.changed_at or unit.first_seen_at, unit.version


def _expired(unit: Unit, now: datetime) -> bool:
    return unit.lease_expires_at is None or unit.lease_expires_at <= now


def _settled(unit: Unit, limits: Limits, now: datetime) -> bool:
    """Old enough by the object's own time, or seen unchanged for that long (a source whose clock is ahead)."""
    times = [unit.first_seen_at] if unit.changed_at is None else [unit.first_seen_at, unit.changed_at]
    return any(now - time >= limits.settle for time in times)
