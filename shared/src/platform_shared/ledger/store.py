"""Units of ingestion: `discovered -> requested -> loaded | unchanged | superseded | quarantined`, with leases."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from platform_shared.ledger.messages import Message, put_message
from platform_shared.ledger.migrate import ensure_schema
from platform_shared.ledger.tables import DAYS, UNITS
from platform_shared.postgres import PLATFORM_SCHEMA, PostgresServer


class UnitState(StrEnum):
    """What became of one version of a source object."""

    DISCOVERED = "discovered"
    """Seen; waits for a batch (attempts = 0), or for another try (attempts > 0)."""
    REQUESTED = "requested"
    """Leased to a batch until `lease_expires_at`."""
    LOADED = "loaded"
    UNCHANGED = "unchanged"
    """A new version with the bytes of the loaded one: nothing to do."""
    SUPERSEDED = "superseded"
    """A newer version was seen, or the object vanished, before this one was read."""
    QUARANTINED = "quarantined"


class LeaseLostError(RuntimeError):
    """Another batch or nobody holds the units now: this run must not commit them."""


@dataclass(frozen=True)
class Unit:
    """One version of one source object as the ledger knows it. Instants are UTC-aware, `size_bytes` is as listed."""

    object_id: str
    version: str
    state: UnitState
    size_bytes: int
    first_seen_at: datetime
    attempts: int = 0
    batch_id: str | None = None
    lease_expires_at: datetime | None = None
    content_sha256: str | None = None
    reason: str | None = None
    lease_holder: str | None = None
    retry_at: datetime | None = None
    """After a failure: not to be asked for again before this instant."""
    days: tuple[str, ...] = ()
    """Days (ISO) whose rows may have been committed, noted before the commit."""


@dataclass(frozen=True)
class Lease:
    """Units that one batch may load until `expires_at`."""

    feed: str
    batch_id: str
    expires_at: datetime
    units: tuple[tuple[str, str], ...]
    """(object id, version) of each unit."""


@dataclass(frozen=True)
class FeedDays:
    """Days of a feed: those that (may) have had rows with the instant of the last, and those announced as empty."""

    delivered: Mapping[date, datetime]
    empty: frozenset[date]


@dataclass(frozen=True)
class Outcome:
    """How one unit of a batch ended."""

    object_id: str
    version: str
    state: UnitState
    content_sha256: str | None = None
    row_count: int | None = None
    reason: str | None = None
    message: Message | None = None
    """Goes to the outbox in the transaction that ends the unit."""


class Ledger:
    """The units of all feeds. Safe under several sensors and runs at once; each method is one transaction."""

    def __init__(self, server: PostgresServer) -> None:
        self._engine = sa.create_engine(server.sqlalchemy_url(PLATFORM_SCHEMA), pool_size=1, pool_pre_ping=True)
        ensure_schema(self._engine)

    def close(self) -> None:
        """Gives the connection back."""
        self._engine.dispose()

    def record_seen(self, feed: str, objects: Iterable[tuple[str, str, int]], now: datetime) -> int:
        """Adds versions (object id, version, bytes) not seen before as discovered; returns how many were new.

        A version that was superseded and is listed again is the current one after all (a folder that was not mounted
        for a while): it is discovered again.
        """
        rows = [
            {
                "feed": feed,
                "object_id": object_id,
                "version": version,
                "state": UnitState.DISCOVERED,
                "size_bytes": size,
                "first_seen_at": now,
            }
            for object_id, version, size in objects
        ]
        new = 0
        with self._engine.begin() as connection:
            for start in range(0, len(rows), 1000):
                statement = insert(UNITS).values(rows[start : start + 1000])
                statement = statement.on_conflict_do_update(
                    index_elements=[UNITS.c.feed, UNITS.c.object_id, UNITS.c.version],
                    set_={
                        "state": UnitState.DISCOVERED,
                        "reason": None,
                        "finished_at": None,
                        "batch_id": None,
                        "attempts": 0,
                    },
                    where=UNITS.c.state == UnitState.SUPERSEDED,
                )
                new += connection.execute(statement).rowcount
        return new

    def known(self, feed: str) -> set[tuple[str, str]]:
        """(object id, version) of all that was seen of a feed, but for what a newer version or a deletion overtook."""
        query = sa.select(UNITS.c.object_id, UNITS.c.version).where(
            UNITS.c.feed == feed, UNITS.c.state != UnitState.SUPERSEDED
        )
        with self._engine.begin() as connection:
            return {(row.object_id, row.version) for row in connection.execute(query)}

    def units(self, feed: str, states: Sequence[UnitState] | None = None) -> list[Unit]:
        """All units of a feed, or those in `states`, oldest first."""
        query = sa.select(UNITS).where(UNITS.c.feed == feed)
        if states is not None:
            query = query.where(UNITS.c.state.in_(states))
        with self._engine.begin() as connection:
            rows = connection.execute(query.order_by(UNITS.c.first_seen_at, UNITS.c.object_id, UNITS.c.version))
            return [_unit(row) for row in rows]

    def lease(self, leases: Sequence[Lease], now: datetime) -> list[Lease]:
        """Leases units that are free now (discovered, or requested with an expired lease): compare-and-set.

        Returns what was really leased; a unit that another sensor took in between is left out.
        """
        granted: list[Lease] = []
        with self._engine.begin() as connection:
            for lease in leases:
                statement = (
                    sa.update(UNITS)
                    .where(
                        UNITS.c.feed == lease.feed,
                        sa.tuple_(UNITS.c.object_id, UNITS.c.version).in_(lease.units),
                        _free(now),
                    )
                    .values(
                        state=UnitState.REQUESTED,
                        batch_id=lease.batch_id,
                        lease_holder=None,
                        lease_expires_at=lease.expires_at,
                        retry_at=None,
                    )
                    .returning(UNITS.c.object_id, UNITS.c.version)
                )
                taken = tuple(sorted((row.object_id, row.version) for row in connection.execute(statement)))
                if taken:
                    granted.append(Lease(lease.feed, lease.batch_id, lease.expires_at, taken))
        return granted

    def take(self, feed: str, batch_id: str, holder: str, now: datetime, ttl: timedelta) -> list[Unit]:
        """The run `holder` takes the batch by compare-and-set and gets its units; empty if another run has it.

        The same holder may take it again (a re-executed step). Counts a try: a run that waits in the queue is none.
        """
        statement = (
            sa.update(UNITS)
            .where(
                UNITS.c.feed == feed,
                UNITS.c.batch_id == batch_id,
                UNITS.c.state == UnitState.REQUESTED,
                sa.or_(UNITS.c.lease_holder.is_(None), UNITS.c.lease_holder == holder),
            )
            .values(
                lease_holder=holder,
                lease_expires_at=now + ttl,
                attempts=UNITS.c.attempts + sa.case((UNITS.c.lease_holder.is_(None), 1), else_=0),
            )
            .returning(*UNITS.c)
        )
        with self._engine.begin() as connection:
            return sorted((_unit(row) for row in connection.execute(statement)), key=lambda unit: unit.object_id)

    def prolong(self, feed: str, batch_id: str, expires_at: datetime) -> int:
        """Moves the end of a batch's lease: its run waits for its turn, or is at work. How many units it still has."""
        statement = (
            sa.update(UNITS)
            .where(UNITS.c.feed == feed, UNITS.c.batch_id == batch_id, UNITS.c.state == UnitState.REQUESTED)
            .values(lease_expires_at=expires_at)
        )
        with self._engine.begin() as connection:
            return connection.execute(statement).rowcount

    def assert_held(self, feed: str, batch_id: str, holder: str, units: Sequence[tuple[str, str]]) -> None:
        """Raises LeaseLostError unless `holder` still holds exactly these units: the fence before a commit."""
        query = (
            sa.select(sa.func.count())
            .select_from(UNITS)
            .where(
                UNITS.c.feed == feed,
                UNITS.c.batch_id == batch_id,
                UNITS.c.lease_holder == holder,
                UNITS.c.state == UnitState.REQUESTED,
                sa.tuple_(UNITS.c.object_id, UNITS.c.version).in_(units),
            )
        )
        with self._engine.begin() as connection:
            held = connection.scalar(query)
        if held != len(units):
            raise LeaseLostError(
                f"{feed}: batch {batch_id} holds {held} of its {len(units)} units; a later batch has the others."
            )

    def note_days(self, feed: str, batch_id: str, days: Mapping[str, Sequence[str]], now: datetime) -> None:
        """Notes the days (ISO) that each object of the batch has rows of, before they are committed: a run that dies
        after its commit has not announced them yet."""
        with self._engine.begin() as connection:
            for object_id, touched in days.items():
                connection.execute(
                    sa.update(UNITS)
                    .where(UNITS.c.feed == feed, UNITS.c.batch_id == batch_id, UNITS.c.object_id == object_id)
                    .values(days=list(touched))
                )
            delivered = {date.fromisoformat(day) for touched in days.values() for day in touched}
            self._note_feed_days(connection, feed, delivered, True, now)

    def note_empty_days(self, feed: str, days: Iterable[date], now: datetime) -> None:
        """Notes days that were announced as empty; a day that has had rows stays one that has."""
        with self._engine.begin() as connection:
            self._note_feed_days(connection, feed, days, False, now)

    def _note_feed_days(
        self, connection: sa.Connection, feed: str, days: Iterable[date], delivered: bool, now: datetime
    ) -> None:
        # In order, so that two batches that note the same days do not wait for each other in a circle.
        values = [{"feed": feed, "day": day, "delivered": delivered, "noted_at": now} for day in sorted(days)]
        if values:
            statement = insert(DAYS).values(values)
            connection.execute(
                statement.on_conflict_do_update(
                    index_elements=[DAYS.c.feed, DAYS.c.day],
                    set_={"delivered": statement.excluded.delivered, "noted_at": statement.excluded.noted_at},
                    where=statement.excluded.delivered,
                )
            )

    def feed_days(self, feed: str) -> FeedDays:
        """The days of a feed that were loaded (or came as far as `note_days`), and those announced as empty."""
        query = sa.select(DAYS).where(DAYS.c.feed == feed)
        with self._engine.begin() as connection:
            rows = connection.execute(query).all()
        return FeedDays(
            {row.day: row.noted_at for row in rows if row.delivered},
            frozenset(row.day for row in rows if not row.delivered),
        )

    def days(self, feed: str, object_ids: Sequence[str]) -> list[str]:
        """All days (ISO, sorted) that any version of these objects has had rows of."""
        query = sa.select(sa.func.unnest(UNITS.c.days)).where(
            UNITS.c.feed == feed, UNITS.c.object_id.in_(object_ids), UNITS.c.days.is_not(None)
        )
        with self._engine.begin() as connection:
            return sorted(set(connection.scalars(query)))

    def quarantined(self, feed: str) -> list[Unit]:
        """Units in quarantine whose object has had no good version since."""
        newer = UNITS.alias("newer")
        query = (
            sa.select(UNITS)
            .where(UNITS.c.feed == feed, UNITS.c.state == UnitState.QUARANTINED)
            .where(
                ~sa.exists().where(
                    newer.c.feed == UNITS.c.feed,
                    newer.c.object_id == UNITS.c.object_id,
                    newer.c.state.in_([UnitState.LOADED, UnitState.UNCHANGED]),
                    newer.c.finished_at > UNITS.c.finished_at,
                )
            )
            .order_by(UNITS.c.object_id)
        )
        with self._engine.begin() as connection:
            return [_unit(row) for row in connection.execute(query)]

    def finish(self, feed: str, batch_id: str, outcomes: Sequence[Outcome], now: datetime) -> None:
        """Writes how units ended, for those that the batch still has."""
        mine = sa.and_(UNITS.c.batch_id == batch_id, UNITS.c.state == UnitState.REQUESTED)
        self._end(feed, outcomes, now, mine)

    def close_units(self, feed: str, outcomes: Sequence[Outcome], now: datetime) -> list[Outcome]:
        """Ends units that no batch has (superseded, unchanged, or out of attempts); returns those that it ended."""
        return self._end(feed, outcomes, now, _free(now))

    def _end(
        self, feed: str, outcomes: Sequence[Outcome], now: datetime, condition: sa.ColumnElement[bool]
    ) -> list[Outcome]:
        """State and message in one transaction: what is set aside is told, and what is told is set aside."""
        ended = []
        with self._engine.begin() as connection:
            for outcome in outcomes:
                result = connection.execute(
                    sa.update(UNITS)
                    .where(
                        UNITS.c.feed == feed,
                        UNITS.c.object_id == outcome.object_id,
                        UNITS.c.version == outcome.version,
                        condition,
                    )
                    .values(
                        state=outcome.state,
                        content_sha256=sa.func.coalesce(outcome.content_sha256, UNITS.c.content_sha256),
                        row_count=outcome.row_count,
                        reason=outcome.reason,
                        lease_holder=None,
                        lease_expires_at=None,
                        finished_at=now,
                    )
                )
                if result.rowcount:
                    ended.append(outcome)
                    if outcome.message is not None:
                        put_message(connection, outcome.message, now)
        return ended

    def give_back(self, feed: str, batch_id: str, reason: str, now: datetime, pauses: Sequence[timedelta] = ()) -> int:
        """Frees the units of a batch whose run failed, with the reason; how many.

        A run that failed before it took its units counts as a try too. After the n-th try a unit waits for the n-th of
        `pauses` (the last one from then on), so that an outage is not mistaken for bad input.
        """
        tries = UNITS.c.attempts + sa.case((UNITS.c.lease_holder.is_(None), 1), else_=0)
        instants = [now + pause for pause in pauses] or [now]
        again = sa.case(*((tries <= n, at) for n, at in enumerate(instants, 1)), else_=instants[-1])
        statement = (
            sa.update(UNITS)
            .where(UNITS.c.feed == feed, UNITS.c.batch_id == batch_id, UNITS.c.state == UnitState.REQUESTED)
            .values(
                state=UnitState.DISCOVERED,
                attempts=tries,
                retry_at=again,
                lease_holder=None,
                lease_expires_at=None,
                reason=reason,
            )
        )
        with self._engine.begin() as connection:
            return connection.execute(statement).rowcount

    def loaded_hashes(self, feed: str, object_ids: Sequence[str]) -> Mapping[str, str]:
        """SHA-256 of the bytes that are loaded now, for those objects of which that is certain.

        It is not if a later version came as far as `note_days` and no further: a run that died may have committed it.
        """
        later = UNITS.alias("later")
        may_be_loaded = sa.exists().where(
            later.c.feed == UNITS.c.feed,
            later.c.object_id == UNITS.c.object_id,
            later.c.state != UnitState.LOADED,
            later.c.days.is_not(None),
            sa.or_(later.c.finished_at.is_(None), later.c.finished_at > UNITS.c.finished_at),
        )
        query = (
            sa.select(UNITS.c.object_id, UNITS.c.content_sha256)
            .where(
                UNITS.c.feed == feed,
                UNITS.c.object_id.in_(object_ids),
                UNITS.c.state == UnitState.LOADED,
                UNITS.c.content_sha256.is_not(None),
                ~may_be_loaded,
            )
            .order_by(UNITS.c.finished_at)
        )
        with self._engine.begin() as connection:
            return {row.object_id: row.content_sha256 for row in connection.execute(query)}

    def counts(self) -> dict[str, dict[str, int]]:
        """Number of units by feed and state."""
        query = sa.select(UNITS.c.feed, UNITS.c.state, sa.func.count().label("units")).group_by(
            UNITS.c.feed, UNITS.c.state
        )
        counts: dict[str, dict[str, int]] = {}
        with self._engine.begin() as connection:
            for row in connection.execute(query):
                counts.setdefault(row.feed, {})[row.state] = row.units
        return counts


def _free(now: datetime) -> sa.ColumnElement[bool]:
    return sa.or_(
        UNITS.c.state == UnitState.DISCOVERED,
        sa.and_(UNITS.c.state == UnitState.REQUESTED, UNITS.c.lease_expires_at <= now),
    )


def _unit(row: sa.Row[tuple[object, ...]]) -> Unit:
    return Unit(
        object_id=row.object_id,
        version=row.version,
        state=UnitState(row.state),
        size_bytes=row.size_bytes,
        first_seen_at=row.first_seen_at,
        attempts=row.attempts,
        batch_id=row.batch_id,
        lease_expires_at=row.lease_expires_at,
        content_sha256=row.content_sha256,
        reason=row.reason,
        lease_holder=row.lease_holder,
        retry_at=row.retry_at,
        days=tuple(row.days or ()),
    )
