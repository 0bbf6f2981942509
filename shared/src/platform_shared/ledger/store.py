"""Units of ingestion: `discovered -> requested -> loaded | unchanged | superseded | quarantined`, with leases."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.sql.dml import ReturningUpdate
from sqlalchemy.types import TypeEngine

from platform_shared.ledger.feeds import Feeds, new_epoch, note_days
from platform_shared.ledger.messages import Message, put_message
from platform_shared.ledger.migrate import ensure_schema
from platform_shared.ledger.tables import UNITS
from platform_shared.postgres import PLATFORM_SCHEMA, PostgresServer

_ROWS_AT_ONCE = 1000


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


_REPLAYED = (UnitState.LOADED, UnitState.UNCHANGED, UnitState.QUARANTINED)


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
    days: tuple[str, ...] | None = None
    """Days (ISO) whose rows may have been committed, noted before the commit; none of a table without partitions. None
    if it never came to a commit."""
    changed_at: datetime | None = None
    """When the version was written, as the source says."""
    row_count: int | None = None
    reject_count: int | None = None
    finished_at: datetime | None = None
    outages: int = 0
    """Failures in a row of the feed's runs, this unit's among them, that were no object's."""
    waiting_since: datetime | None = None
    """When the first of the versions was seen that were overwritten before they were tried, this one the last."""


class Seen(NamedTuple):
    """A version of an object as a listing shows it; `changed_at` is when the source says that it was written."""

    object_id: str
    version: str
    size_bytes: int
    changed_at: datetime


@dataclass(frozen=True)
class Lease:
    """Units that one batch may load until `expires_at`."""

    feed: str
    batch_id: str
    expires_at: datetime
    units: tuple[tuple[str, str], ...]
    """(object id, version) of each unit."""


@dataclass(frozen=True)
class Outcome:
    """How one unit of a batch ended."""

    object_id: str
    version: str
    state: UnitState
    content_sha256: str | None = None
    row_count: int | None = None
    reason: str | None = None
    reject_count: int | None = None
    relist: bool = False
    """The version was not there any more. If it is listed again (a folder that was not mounted, a newer version that
    was deleted), it is the current one: listings are compared with the ledger anew."""


MessageOf = Callable[[Sequence[Outcome]], Message | None]
"""The message about units that just ended, if there is something to say; stored in the transaction that ends them."""


@dataclass(frozen=True)
class Totals:
    """Rows of a feed that are loaded, and that were rejected."""

    rows: int
    rejects: int


@dataclass(frozen=True)
class Outage:
    """Runs of a feed fail for reasons that are no object's: how often in a row, the last reason, the next try."""

    failures: int
    reason: str
    retry_at: datetime


class Ledger:
    """The units of all feeds. Safe under several sensors and runs at once; each method is one transaction."""

    def __init__(self, server: PostgresServer) -> None:
        self._engine = sa.create_engine(server.sqlalchemy_url(PLATFORM_SCHEMA), pool_size=1, pool_pre_ping=True)
        ensure_schema(self._engine)

    def close(self) -> None:
        """Gives the connection back."""
        self._engine.dispose()

    @property
    def feeds(self) -> Feeds:
        """What is kept of feeds as a whole."""
        return Feeds(self._engine)

    def record_seen(self, feed: str, listed: Sequence[Seen], now: datetime) -> list[Seen]:
        """Adds versions not seen before as discovered, and returns those.

        The listed version of an object is the current one: others that wait for a batch are superseded. A version that
        was superseded, or that ended before another one was loaded, and is listed again is discovered again: a folder
        that was not mounted for a while, a newest version that was deleted from a bucket that keeps versions.
        Versions that nobody has tried to load are forgotten then: a file that grows for an hour is one unit in the end.
        """
        new: list[Seen] = []
        with self._engine.begin() as connection:
            for start in range(0, len(listed), 1000):
                part = {(seen.object_id, seen.version): seen for seen in listed[start : start + 1000]}
                statement = insert(UNITS).values(
                    [
                        {
                            "feed": feed,
                            "state": UnitState.DISCOVERED,
                            "first_seen_at": now,
                            "waiting_since": now,
                            **seen._asdict(),
                        }
                        for seen in part.values()
                    ]
                )
                statement = statement.on_conflict_do_nothing()
                added = [
                    *connection.execute(statement.returning(UNITS.c.object_id, UNITS.c.version)),
                    *connection.execute(_discover_again(feed, list(part), now)),
                ]
                fresh = [part[row.object_id, row.version] for row in added]
                _move_behind_others(connection, feed, fresh)
                _wait_on_for_others(connection, feed, fresh)
                _supersede_others(connection, feed, fresh, now)
                new += fresh
        return new

    def units(self, feed: str, states: Sequence[UnitState] | None = None, *, limit: int | None = None) -> list[Unit]:
        """All units of a feed, or those in `states`: oldest first, those that pause after a failed try last; the first
        `limit` of them."""
        query = sa.select(UNITS).where(UNITS.c.feed == feed).limit(limit)
        if states is not None:
            query = query.where(UNITS.c.state.in_(states))
        with self._engine.begin() as connection:
            pausing = sa.func.coalesce(UNITS.c.retry_at > sa.func.now(), False)
            order = (pausing, UNITS.c.first_seen_at, UNITS.c.object_id, UNITS.c.version)
            rows = connection.execute(query.order_by(*order))
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
        after its commit has not announced them yet. Days of an earlier load of the same version stay."""
        mine = sa.and_(UNITS.c.feed == feed, UNITS.c.batch_id == batch_id)
        with self._engine.begin() as connection:
            rows = connection.execute(sa.select(UNITS.c.object_id, UNITS.c.days).where(mine))
            before = {row.object_id: row.days or () for row in rows}
            for start in range(0, len(days), _ROWS_AT_ONCE):
                part = list(days.items())[start : start + _ROWS_AT_ONCE]
                given = _values_of(
                    "given",
                    {"object_id": sa.Text(), "days": sa.ARRAY(sa.Text())},
                    [(name, sorted({*before.get(name, ()), *touched})) for name, touched in part],
                )
                connection.execute(
                    sa.update(UNITS).where(mine, UNITS.c.object_id == given.c.object_id).values(days=given.c.days)
                )
            delivered = {date.fromisoformat(day) for touched in days.values() for day in touched}
            note_days(connection, feed, delivered, True, now)

    def days(self, feed: str, object_ids: Sequence[str]) -> list[str]:
        """All days (ISO, sorted) that any version of these objects has had rows of."""
        query = sa.select(sa.func.unnest(UNITS.c.days)).where(
            UNITS.c.feed == feed, UNITS.c.object_id.in_(object_ids), UNITS.c.days.is_not(None)
        )
        with self._engine.begin() as connection:
            return sorted(set(connection.scalars(query)))

    def quarantined(self, feed: str) -> list[Unit]:
        """Units in quarantine whose object has had no good version since."""
        good = [UnitState.LOADED, UnitState.UNCHANGED]
        query = (
            sa.select(UNITS)
            .where(UNITS.c.feed == feed, UNITS.c.state == UnitState.QUARANTINED, ~_overtaken(good))
            .order_by(UNITS.c.object_id)
        )
        with self._engine.begin() as connection:
            return [_unit(row) for row in connection.execute(query)]

    def rejected(self, feed: str) -> dict[str, int]:
        """Rejected rows of each object that is loaded with some, most first."""
        query = (
            sa.select(UNITS.c.object_id, UNITS.c.reject_count)
            .where(UNITS.c.feed == feed, UNITS.c.state == UnitState.LOADED, ~_overtaken([UnitState.LOADED]))
            .where(UNITS.c.reject_count > 0)
            .order_by(UNITS.c.reject_count.desc(), UNITS.c.object_id)
        )
        with self._engine.begin() as connection:
            return {row.object_id: row.reject_count for row in connection.execute(query)}

    def finish(
        self, feed: str, batch_id: str, outcomes: Sequence[Outcome], now: datetime, message_of: MessageOf
    ) -> None:
        """Writes how units ended, for those that the batch still has. An outage of the feed is over with that."""
        mine = sa.and_(UNITS.c.batch_id == batch_id, UNITS.c.state == UnitState.REQUESTED)
        self._end(feed, outcomes, now, mine, message_of, ends_outage=True)

    def close_units(self, feed: str, outcomes: Sequence[Outcome], now: datetime, message_of: MessageOf) -> None:
        """Ends units that no batch has (unchanged, or out of attempts)."""
        self._end(feed, outcomes, now, _free(now), message_of)

    def _end(
        self,
        feed: str,
        outcomes: Sequence[Outcome],
        now: datetime,
        condition: sa.ColumnElement[bool],
        message_of: MessageOf,
        *,
        ends_outage: bool = False,
    ) -> None:
        """State and message in one transaction: what is set aside is told, and what is told is set aside."""
        ended: list[Outcome] = []
        with self._engine.begin() as connection:
            for part in _parts(outcomes):
                ended += _write_ends(connection, feed, part, now, condition)
            if any(outcome.relist for outcome in ended):
                new_epoch(connection, feed)
            if ends_outage:
                connection.execute(
                    sa.update(UNITS)
                    .where(UNITS.c.feed == feed, UNITS.c.state == UnitState.DISCOVERED, UNITS.c.outages > 0)
                    .values(outages=0, retry_at=None)
                )
            message = message_of(ended)
            if message is not None:
                put_message(connection, message, now)

    def give_back(
        self,
        feed: str,
        batch_id: str,
        reason: str,
        now: datetime,
        pauses: Sequence[timedelta] = (),
        *,
        untried: bool = False,
    ) -> int:
        """Frees the units of a batch whose run failed, with the reason; how many.

        After its n-th try a unit waits for the n-th of `pauses` (the last one from then on). `untried`: the failure is
        no unit's (the lake, the source); so is one of a run that never took its units (the launcher, the code). That
        counts no try: an outage is never mistaken for bad input. The pauses then grow with the feed's failures in a
        row, which end with the next batch that is finished.
        """
        other = UNITS.alias("other")
        waiting = other.c.state.in_([UnitState.DISCOVERED, UnitState.REQUESTED])
        in_a_row = (
            sa.select(sa.func.coalesce(sa.func.max(other.c.outages), 0) + 1)
            .where(other.c.feed == feed, waiting)
            .scalar_subquery()
        )
        taken = UNITS.c.lease_holder.is_not(None)
        is_theirs = sa.false() if untried else taken
        failures = sa.case((is_theirs, UNITS.c.attempts), else_=in_a_row)
        instants = [now + pause for pause in pauses] or [now]
        again = sa.case(*((failures <= n, at) for n, at in enumerate(instants, 1)), else_=instants[-1])
        statement = (
            sa.update(UNITS)
            .where(UNITS.c.feed == feed, UNITS.c.batch_id == batch_id, UNITS.c.state == UnitState.REQUESTED)
            .values(
                state=UnitState.DISCOVERED,
                attempts=sa.case((sa.and_(taken, ~is_theirs), UNITS.c.attempts - 1), else_=UNITS.c.attempts),
                outages=sa.case((is_theirs, UNITS.c.outages), else_=in_a_row),
                retry_at=again,
                lease_holder=None,
                lease_expires_at=None,
                reason=reason,
            )
        )
        with self._engine.begin() as connection:
            return connection.execute(statement).rowcount

    def outages(self) -> dict[str, Outage]:
        """Of each feed whose last runs failed for a reason that is no unit's."""
        query = (
            sa.select(UNITS.c.feed, UNITS.c.outages, UNITS.c.reason, UNITS.c.retry_at)
            .where(UNITS.c.state == UnitState.DISCOVERED, UNITS.c.outages > 0, UNITS.c.retry_at.is_not(None))
            .order_by(UNITS.c.outages, UNITS.c.retry_at)
        )
        with self._engine.begin() as connection:
            return {row.feed: Outage(row.outages, row.reason, row.retry_at) for row in connection.execute(query)}

    def replay(
        self,
        feed: str,
        now: datetime,
        *,
        object_id: str | None = None,
        quarantined: bool = False,
        since: datetime | None = None,
    ) -> list[str]:
        """Lets the newest version of objects be loaded again, whatever bytes are loaded, with fresh tries.

        Of exactly one object, of those in quarantine, or of those whose newest version ended since an instant. Objects
        that wait or are being loaded are left alone. Returns the ids of the others. Raises ValueError unless exactly
        one choice is made.
        """
        if [object_id is not None, quarantined, since is not None].count(True) != 1:
            raise ValueError("Say one of: an object, the quarantine, or an instant.")
        newer = UNITS.alias("newer")
        condition = sa.and_(
            UNITS.c.feed == feed,
            UNITS.c.state.in_(_REPLAYED),
            ~sa.exists().where(
                newer.c.feed == UNITS.c.feed,
                newer.c.object_id == UNITS.c.object_id,
                newer.c.state != UnitState.SUPERSEDED,
                newer.c.first_seen_at > UNITS.c.first_seen_at,
            ),
        )
        if object_id is not None:
            condition = sa.and_(condition, UNITS.c.object_id == object_id)
        elif quarantined:
            condition = sa.and_(condition, UNITS.c.state == UnitState.QUARANTINED)
        else:
            condition = sa.and_(condition, UNITS.c.finished_at >= since)
        again = (
            sa.update(UNITS)
            .where(condition)
            .values(
                state=UnitState.DISCOVERED,
                attempts=0,
                outages=0,
                waiting_since=now,
                batch_id=None,
                retry_at=None,
                reason=None,
                first_seen_at=_after_others(UNITS.c.first_seen_at, now),
                finished_at=None,
                content_sha256=None,
            )
            .returning(UNITS.c.object_id)
        )
        with self._engine.begin() as connection:
            names = sorted(connection.scalars(again))
            for start in range(0, len(names), 1000):
                # Without the hash of what is loaded, the same bytes are not taken for done.
                connection.execute(
                    sa.update(UNITS)
                    .where(UNITS.c.feed == feed, UNITS.c.object_id.in_(names[start : start + 1000]))
                    .values(content_sha256=None)
                )
        return names

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

    def totals(self) -> dict[str, Totals]:
        """Rows and rejects of the versions that are loaded now, by feed."""
        query = (
            sa.select(
                UNITS.c.feed,
                sa.func.coalesce(sa.func.sum(UNITS.c.row_count), 0).label("rows"),
                sa.func.coalesce(sa.func.sum(UNITS.c.reject_count), 0).label("rejects"),
            )
            .where(UNITS.c.state == UnitState.LOADED, ~_overtaken([UnitState.LOADED]))
            .group_by(UNITS.c.feed)
        )
        with self._engine.begin() as connection:
            return {row.feed: Totals(int(row.rows), int(row.rejects)) for row in connection.execute(query)}

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


def _discover_again(feed: str, listed: Sequence[tuple[str, str]], now: datetime) -> ReturningUpdate[tuple[str, str]]:
    """Of the listed versions those that are current again."""
    return (
        sa.update(UNITS)
        .where(
            UNITS.c.feed == feed,
            sa.tuple_(UNITS.c.object_id, UNITS.c.version).in_(listed),
            sa.or_(
                UNITS.c.state == UnitState.SUPERSEDED,
                sa.and_(UNITS.c.finished_at.is_not(None), _overtaken([UnitState.LOADED])),
            ),
        )
        .values(
            state=UnitState.DISCOVERED,
            first_seen_at=_after_others(UNITS.c.first_seen_at, now),
            reason=None,
            finished_at=None,
            batch_id=None,
            retry_at=None,
            attempts=0,
            outages=0,
            waiting_since=now,
            row_count=None,
            reject_count=None,
        )
        .returning(UNITS.c.object_id, UNITS.c.version)
    )


def _parts(outcomes: Sequence[Outcome]) -> Iterator[Sequence[Outcome]]:
    """In their order, and in each part an object once: versions of one object end one after the other."""
    part: dict[str, Outcome] = {}
    for outcome in outcomes:
        if outcome.object_id in part or len(part) == _ROWS_AT_ONCE:
            yield list(part.values())
            part = {}
        part[outcome.object_id] = outcome
    if part:
        yield list(part.values())


def _write_ends(
    connection: sa.Connection, feed: str, outcomes: Sequence[Outcome], now: datetime, condition: sa.ColumnElement[bool]
) -> list[Outcome]:
    """In one statement: a batch has hundreds. Returns those that were units under the condition."""
    names = ("object_id", "version", "state", "content_sha256", "row_count", "reject_count", "reason")
    rows = [tuple(getattr(outcome, name) for name in names) for outcome in outcomes]
    end = _values_of("given", {name: UNITS.c[name].type for name in names}, rows)
    statement = (
        sa.update(UNITS)
        .where(UNITS.c.feed == feed, UNITS.c.object_id == end.c.object_id, UNITS.c.version == end.c.version, condition)
        .values(
            state=end.c.state,
            content_sha256=sa.func.coalesce(end.c.content_sha256, UNITS.c.content_sha256),
            row_count=end.c.row_count,
            reject_count=end.c.reject_count,
            reason=end.c.reason,
            lease_holder=None,
            lease_expires_at=None,
            finished_at=_after_others(UNITS.c.finished_at, now),
        )
        .returning(UNITS.c.object_id, UNITS.c.version)
    )
    written = {(row.object_id, row.version) for row in connection.execute(statement)}
    return [outcome for outcome in outcomes if (outcome.object_id, outcome.version) in written]


def _values_of(name: str, types: Mapping[str, TypeEngine[Any]], rows: Sequence[tuple[object, ...]]) -> sa.Subquery:
    """Rows as a table; cast, because a column that has only NULL is text to Postgres."""
    columns = [sa.column(column, type_) for column, type_ in types.items()]
    values = sa.values(*columns, name=f"{name}_rows").data(rows)
    return sa.select(*(sa.cast(values.c[column.name], column.type).label(column.name) for column in columns)).subquery(
        name
    )


def _after_others(column: sa.Column[datetime], now: datetime | sa.Column[datetime]) -> sa.ColumnElement[datetime]:
    """`now`, or a moment after the same of the object's other versions: the order holds whatever clocks say."""
    other = UNITS.alias("other")
    latest = (
        sa.select(sa.func.max(other.c[column.name]))
        .where(other.c.feed == UNITS.c.feed, other.c.object_id == UNITS.c.object_id, other.c.version != UNITS.c.version)
        .scalar_subquery()
    )
    instant = sa.literal(now, column.type) if isinstance(now, datetime) else now
    return sa.func.greatest(instant, latest + timedelta(microseconds=1))


def _move_behind_others(connection: sa.Connection, feed: str, listed: Sequence[Seen]) -> None:
    """A version that is listed now was seen after all others of its object."""
    if not listed:
        return
    connection.execute(
        sa.update(UNITS)
        .where(UNITS.c.feed == feed, _listed(listed))
        .values(first_seen_at=_after_others(UNITS.c.first_seen_at, UNITS.c.first_seen_at))
    )


def _wait_on_for_others(connection: sa.Connection, feed: str, listed: Sequence[Seen]) -> None:
    """A version that takes the place of one that nobody came to try waits since that one did."""
    if not listed:
        return
    other = UNITS.alias("other")
    since = (
        sa.select(sa.func.min(other.c.waiting_since))
        .where(
            other.c.feed == UNITS.c.feed,
            other.c.object_id == UNITS.c.object_id,
            other.c.state == UnitState.DISCOVERED,
            other.c.attempts == 0,
        )
        .scalar_subquery()
    )
    connection.execute(
        sa.update(UNITS)
        .where(UNITS.c.feed == feed, _listed(listed))
        .values(waiting_since=sa.func.least(UNITS.c.waiting_since, since))
    )


def _listed(listed: Sequence[Seen]) -> sa.ColumnElement[bool]:
    return sa.tuple_(UNITS.c.object_id, UNITS.c.version).in_([(seen.object_id, seen.version) for seen in listed])


def _supersede_others(connection: sa.Connection, feed: str, listed: Sequence[Seen], now: datetime) -> None:
    if not listed:
        return
    waiting = sa.and_(
        UNITS.c.feed == feed,
        UNITS.c.object_id.in_([seen.object_id for seen in listed]),
        ~_listed(listed),
        UNITS.c.state == UnitState.DISCOVERED,
        # A try that may have been committed stays, for its days to be announced by whoever ends it.
        UNITS.c.days.is_(None),
    )
    connection.execute(sa.delete(UNITS).where(waiting, UNITS.c.batch_id.is_(None)))
    connection.execute(
        sa.update(UNITS)
        .where(waiting)
        .values(state=UnitState.SUPERSEDED, reason="a newer version is there", finished_at=now)
    )


def _overtaken(states: Sequence[UnitState]) -> sa.ColumnElement[bool]:
    """Whether a later version of the unit's object ended in one of `states`."""
    newer = UNITS.alias("newer")
    return sa.exists().where(
        newer.c.feed == UNITS.c.feed,
        newer.c.object_id == UNITS.c.object_id,
        newer.c.state.in_(states),
        newer.c.finished_at > UNITS.c.finished_at,
    )


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
        days=None if row.days is None else tuple(row.days),
        changed_at=row.changed_at,
        row_count=row.row_count,
        reject_count=row.reject_count,
        finished_at=row.finished_at,
        outages=row.outages,
        waiting_since=row.waiting_since,
    )
