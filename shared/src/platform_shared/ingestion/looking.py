"""One look at a feed: list, record, plan, lease. The sensor's side of safe ingestion, without Dagster."""

import hashlib
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import Enum
from pathlib import Path

from platform_shared import faults
from platform_shared.ingestion.closing import empty_days
from platform_shared.ingestion.feed import ObjectFeed
from platform_shared.ingestion.landing import LandingFolder, sha256
from platform_shared.ingestion.objects import (
    ObjectSource,
    Refused,
    SourceError,
    SourceMissingError,
    SourceObject,
    VersionGoneError,
)
from platform_shared.ingestion.planning import Batch, Plan, plan
from platform_shared.ingestion.quarantine import quarantine_message, set_aside
from platform_shared.ingestion.scanning import Memory, Scan, scan
from platform_shared.ledger import Ledger, Look, Message, Outbox, Outcome, Seen, Unit, UnitState
from platform_shared.partitions import FIRST_BUSINESS_DATE
from platform_shared.together import written_together

_COMPARED_BYTES = 64 * 1024**2
_KEPT_BYTES = 256 * 1024**2
"""Largest object whose bytes a look copies to the quarantine."""
_PLANNED_UNITS = 10_000
_NAMED = 20
_ANNOUNCED_AT_ONCE = 1000
"""Empty periods between two looks at the clock."""


class RunState(Enum):
    """What became of the run that has a batch."""

    UNKNOWN = "unknown"
    """There is none, or it is at work: its lease decides."""
    WAITING = "waiting"
    """It waits for its turn."""
    ENDED = "ended"


RunOf = Callable[[str, str | None], tuple[RunState, str]]
"""The state of the run of a batch (its id, and the run that took it), and the run in words."""

Announce = Callable[[str | None, bool], None]
"""Announces a partition (None: the table, if it has none): one with rows, or (true) an empty one."""


@dataclass
class Looked:
    """What a look came to: batches to be run, what was new, and what to remember."""

    memory: Memory
    batches: list[Batch] = field(default_factory=list)
    new: list[SourceObject] = field(default_factory=list)
    objects: int | None = None
    """Objects of the source, after a whole listing."""
    why_nothing: str | None = None
    set_aside: bool = False
    """Whether something went to the quarantine, without a run."""


@dataclass(frozen=True)
class Looker:
    """Looks at one feed. A look writes the ledger and asks for nothing that another look or a run has."""

    feed: ObjectFeed
    source: ObjectSource
    ledger: Ledger
    outbox: Outbox
    quarantine: Path
    run_of: RunOf
    announce: Announce

    def look(self, cursor: str | None, now: datetime) -> Looked:
        """One look. Errors of the source pass through, and leave cursor and leases as they were."""
        began = time.monotonic()
        feed, ledger = self.feed, self.ledger
        memory = Memory.of(cursor, ledger.feeds.open(feed.name, feed.contract.owner))
        try:
            listed = scan(
                self.source,
                memory,
                feed.is_wanted,
                lambda chunk: self._record(chunk, now),
                lambda: time.monotonic() - began > feed.tick_seconds,
            )
        except SourceMissingError as error:
            if self._was_there_before():
                raise
            return Looked(memory, why_nothing=f"Nothing was delivered yet: {error}")
        listing_seconds = time.monotonic() - began
        if listed.refused:
            self.outbox.put(_refusals(feed, listed.refused), now)
        self._look_after_batches(now)
        planned = self._plan(now)
        self._announce_empty_periods(now, began)
        seconds = time.monotonic() - began
        whole = (listed.objects, now) if listed.whole else (None, None)
        ledger.feeds.note_look(feed.name, Look(now, seconds, listing_seconds, *whole))
        # Last: what is leased by a look that fails afterwards waits until its lease runs out.
        faults.point("looking.before_lease")
        granted = {lease.batch_id for lease in ledger.lease([batch.lease for batch in planned.batches], now)}
        batches = [batch for batch in planned.batches if batch.lease.batch_id in granted]
        faults.point("looking.after_lease")
        return Looked(
            listed.memory,
            batches,
            listed.new,
            listed.objects if listed.whole else None,
            None if batches else _why_nothing(feed, listed, planned),
            any(outcome.state is UnitState.QUARANTINED for outcome in planned.ended),
        )

    def _record(self, chunk: Sequence[SourceObject], now: datetime) -> Sequence[SourceObject]:
        objects = {(entry.object_id, entry.version): entry for entry in chunk}
        seen = [
            Seen(entry.object_id, entry.version, entry.size_bytes, _instant(entry.changed_ns))
            for entry in objects.values()
        ]
        new = self.ledger.record_seen(self.feed.name, seen, now)
        return [objects[each.object_id, each.version] for each in new]

    def _was_there_before(self) -> bool:
        last = self.ledger.feeds.looks().get(self.feed.name)
        return last is not None and last.listed_whole_at is not None

    def _look_after_batches(self, now: datetime) -> None:
        """A run's end shortens the lease of its batch, a run that waits for its turn prolongs it."""
        feed, ledger = self.feed, self.ledger
        requested = ledger.units(feed.name, [UnitState.REQUESTED])
        for batch_id, holder in sorted({(u.batch_id, u.lease_holder or "") for u in requested if u.batch_id}):
            state, run = self.run_of(batch_id, holder or None)
            if state is RunState.ENDED:
                ledger.give_back(feed.name, batch_id, f"{run} without a reason", now, feed.limits.pauses)
            elif state is RunState.WAITING:
                ledger.prolong(feed.name, batch_id, now + feed.limits.lease)

    def _plan(self, now: datetime) -> Plan:
        """Plans, and ends what ends without a batch."""
        feed, ledger = self.feed, self.ledger
        units = ledger.units(feed.name, [UnitState.REQUESTED])
        units += ledger.units(feed.name, [UnitState.DISCOVERED], limit=_PLANNED_UNITS)
        planned = plan(feed.name, units, self._unchanged(units), self._unmarked(units), feed.limits, feed.gate, now)
        by_key = {(unit.object_id, unit.version): unit for unit in units}
        ending = [(by_key[outcome.object_id, outcome.version], outcome) for outcome in planned.ended]
        # A unit that ends here may have been committed by a run that died before it announced its partitions.
        for day in sorted({day for unit, _ in ending for day in unit.days or ()}):
            self.announce(day, False)
        if feed.periods is None and any(unit.days is not None for unit, _ in ending):
            self.announce(None, False)
        ended = [self._with_bytes_kept(outcome, unit.size_bytes, now) for unit, outcome in ending]
        owner = feed.contract.owner
        ledger.close_units(feed.name, ended, now, lambda units: quarantine_message(feed.name, owner, units, now))
        return planned

    def _unchanged(self, units: Sequence[Unit]) -> Mapping[tuple[str, str], str]:
        """Waiting versions whose bytes are the loaded ones, found here to spare a run where the bytes are at hand; the
        loader compares the rest."""
        source, same = self.source, dict[tuple[str, str], str]()
        if not isinstance(source, LandingFolder):
            return same
        waiting = [unit for unit in units if unit.state is UnitState.DISCOVERED]
        loaded = self.ledger.loaded_hashes(self.feed.name, [unit.object_id for unit in waiting]) if waiting else {}
        budget = _COMPARED_BYTES
        for unit in waiting:
            if unit.object_id not in loaded or unit.size_bytes > budget:
                continue
            budget -= unit.size_bytes
            try:
                digest = sha256(source.folder / unit.object_id)
                found = source.current(unit.object_id)
            except OSError:
                continue  # gone or unreadable by now: the loader says which
            if digest == loaded[unit.object_id] and found is not None and found.version == unit.version:
                same[unit.object_id, unit.version] = digest
        return same

    def _unmarked(self, units: Sequence[Unit]) -> set[str]:
        """Waiting objects whose marker is not there yet."""
        marker = self.feed.limits.marker
        if marker is None:
            return set()
        waiting = {unit.object_id for unit in units if unit.state is UnitState.DISCOVERED}
        return {name for name in waiting if self.source.current(f"{name}{marker}") is None}

    def _with_bytes_kept(self, outcome: Outcome, size_bytes: int, now: datetime) -> Outcome:
        """Keeps the bytes of a unit that goes to quarantine here; if that cannot be, the reason says so."""
        if outcome.state is not UnitState.QUARANTINED:
            return outcome
        if size_bytes > _KEPT_BYTES:
            return replace(outcome, reason=f"{outcome.reason} (Too large to be copied here; it stays where it is.)")
        with tempfile.TemporaryDirectory(prefix="platform-look-") as folder:
            try:
                path = self.source.fetch(outcome.object_id, outcome.version, Path(folder))
                set_aside(self.quarantine, self.feed.name, path, outcome, now)
            except (OSError, SourceError, VersionGoneError) as error:
                return replace(outcome, reason=f"{outcome.reason} (Its bytes could not be kept: {_words(error)}.)")
        return outcome

    def _announce_empty_periods(self, now: datetime, began: float) -> None:
        """A period without deliveries is a partition like any other: what waits for whole weeks or for all gets it.

        Years of them are announced over several looks: a tick that takes too long is cut off, and would begin anew.
        """
        feed, periods = self.feed, self.feed.periods
        if periods is None:
            return
        known = self.ledger.feeds.days(feed.name)
        empty = empty_days(
            FIRST_BUSINESS_DATE,
            periods.last_complete(now, feed.grace),
            known.delivered,
            known.empty,
            now=now,
            rest=feed.rest,
            step=periods.days,
        )
        for start in range(0, len(empty), _ANNOUNCED_AT_ONCE):
            if start and time.monotonic() - began > feed.tick_seconds:
                return
            part = empty[start : start + _ANNOUNCED_AT_ONCE]
            # Seen one by one, they would be built in several backfills, one for each look in between.
            with written_together():
                for day in part:
                    self.announce(day.isoformat(), True)
            self.ledger.feeds.note_empty_days(feed.name, part, now)


def _refusals(feed: ObjectFeed, refused: Sequence[Refused]) -> Message:
    """One message about all of a look; another one when others come."""
    digest = hashlib.sha256(repr(sorted(refused)).encode()).hexdigest()[:24]
    what = refused[0].name if len(refused) == 1 else f"{len(refused)} names"
    lines = [f"- {each.name}: {each.reason}" for each in refused[:_NAMED]]
    if len(refused) > _NAMED:
        lines.append(f"- … and {len(refused) - _NAMED} more")
    return Message(
        key=f"refused/{feed.name}/{digest}",
        route=feed.contract.owner,
        subject=f"{feed.name}: {what} not loaded",
        body="\n".join([*lines, "They are left where they are."]),
    )


def _why_nothing(feed: ObjectFeed, listed: Scan, planned: Plan) -> str:
    if not listed.whole:
        return f"the listing goes on with the next look; {listed.objects} objects so far"
    if planned.held_until is not None:
        return (
            f"of {listed.objects} objects, {planned.held + planned.pausing} wait until {planned.held_until:%H:%M:%S} "
            "UTC: the last run failed, and for no reason of theirs (`platform feeds` says which)"
        )
    waiting = [
        f"{number} {what}"
        for number, what in (
            (planned.in_flight, "being loaded"),
            (planned.queued, "waiting for a batch in flight"),
            (planned.settling, "still being written"),
            (planned.pausing, "waiting to be tried again"),
            (planned.gathering, "waiting for more to come"),
        )
        if number
    ]
    # A misspelt pattern looks like a sender that sends nothing.
    others = f" ({listed.others} others do not match {feed.pattern!r})" if listed.others and feed.pattern != "*" else ""
    if waiting:
        return f"of {listed.objects} objects: {', '.join(waiting)}{others}"
    return f"nothing new of {listed.objects} objects{others}"


def _words(error: Exception) -> str:
    """Without the path that the text of an OSError has."""
    return error.strerror or type(error).__name__ if isinstance(error, OSError) else str(error)


def _instant(nanoseconds: int) -> datetime:
    """Sources may say any time; what no calendar holds is the last that one does."""
    try:
        return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=nanoseconds // 1000)
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC)
