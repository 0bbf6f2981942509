"""Compares what the source has, what the ledger says and what the table holds: the proof that nothing is missing."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import duckdb

from platform_shared.ingestion.feed import ObjectFeed
from platform_shared.ingestion.objects import ObjectSource, Refused, SourceObject
from platform_shared.ingestion.reading import rejects_table
from platform_shared.ledger import Ledger, Unit, UnitState
from platform_shared.warehouse import TableName, Warehouse

_NAMED = 20


class Difference(StrEnum):
    """What can be wrong with an object."""

    UNSEEN = "in the source, unknown to the ledger"
    NOT_IN_EFFECT = "in the source, but another version was loaded"
    STUCK = "waits for too long"
    ROWS_MISSING = "loaded according to the ledger, but the table has other rows of it"
    ROWS_UNKNOWN = "rows in the table, unknown to the ledger"


@dataclass(frozen=True)
class Held:
    """Rows of one object in the table, and how many were rejected; `version` is that of its rows."""

    version: str | None
    rows: int
    rejects: int


@dataclass
class Reconciliation:
    """What a comparison found. Counts are of objects."""

    listed: int = 0
    loaded: int = 0
    waiting: int = 0
    quarantined: int = 0
    rows: int = 0
    rejects: int = 0
    differences: dict[Difference, list[str]] = field(default_factory=dict)

    @property
    def is_clean(self) -> bool:
        """Whether all three agree. What waits and what is in quarantine is known, and no difference."""
        return not self.differences

    def add(self, difference: Difference, object_id: str) -> None:
        """Notes a difference of an object."""
        self.differences.setdefault(difference, []).append(object_id)

    def lines(self) -> list[str]:
        """In words, a line each."""
        lines = []
        for difference, names in self.differences.items():
            shown = ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
            lines.append(f"{len(names)} {difference.value}: {shown}")
        return lines


def compare(
    listing: Iterable[SourceObject | Refused],
    units: Sequence[Unit],
    held: Mapping[str, Held],
    now: datetime,
    patience: timedelta,
) -> Reconciliation:
    """Compares the three, object by object.

    `units` are all of the feed. An object that is being worked on is not compared with the table. What came or waits
    for less than `patience` is on its way. Deleted objects stay loaded: a listing without them is no difference.
    """
    result = Reconciliation(rows=sum(each.rows for each in held.values()))
    result.rejects = sum(each.rejects for each in held.values())
    known = {(unit.object_id, unit.version) for unit in units}
    overtaken = _overtaken(units)
    for entry in listing:
        if isinstance(entry, Refused):
            continue
        result.listed += 1
        age = now.timestamp() - entry.changed_ns / 1e9
        if (entry.object_id, entry.version) not in known and age >= patience.total_seconds():
            result.add(Difference.UNSEEN, entry.object_id)
        if (entry.object_id, entry.version) in overtaken:
            result.add(Difference.NOT_IN_EFFECT, entry.object_id)
    by_object: dict[str, list[Unit]] = {}
    for unit in units:
        by_object.setdefault(unit.object_id, []).append(unit)
    for object_id, versions in sorted(by_object.items()):
        _compare_object(result, object_id, versions, held.get(object_id, Held(None, 0, 0)), now, patience)
    for object_id in sorted(held.keys() - by_object.keys()):
        result.add(Difference.ROWS_UNKNOWN, object_id)
    return result


def _overtaken(units: Sequence[Unit]) -> set[tuple[str, str]]:
    """Versions that count as replaced: superseded, or ended before another one was loaded; none of objects that are
    being worked on."""
    working = {u.object_id for u in units if u.state in (UnitState.DISCOVERED, UnitState.REQUESTED)}
    newest: dict[str, datetime] = {}
    for unit in units:
        if unit.state is UnitState.LOADED and unit.finished_at is not None:
            newest[unit.object_id] = max(unit.finished_at, newest.get(unit.object_id, unit.finished_at))
    return {
        (unit.object_id, unit.version)
        for unit in units
        if unit.object_id not in working
        and unit.finished_at is not None
        and (unit.state is UnitState.SUPERSEDED or unit.finished_at < newest.get(unit.object_id, unit.finished_at))
    }


def _compare_object(
    result: Reconciliation,
    object_id: str,
    versions: Sequence[Unit],
    held: Held,
    now: datetime,
    patience: timedelta,
) -> None:
    waiting = [unit for unit in versions if unit.state in (UnitState.DISCOVERED, UnitState.REQUESTED)]
    if waiting:
        result.waiting += 1
        if all(now - unit.first_seen_at >= patience for unit in waiting):
            result.add(Difference.STUCK, object_id)
        return
    ended = sorted((unit for unit in versions if unit.finished_at), key=lambda unit: unit.finished_at or now)
    good = [unit for unit in ended if unit.state is UnitState.LOADED]
    if ended and ended[-1].state is UnitState.QUARANTINED:
        result.quarantined += 1
    if not good:
        # A version that a dead run may have committed before it was overtaken has rows, rightly.
        if held.rows and not any(unit.days for unit in versions):
            result.add(Difference.ROWS_UNKNOWN, object_id)
        return
    result.loaded += 1
    newest = good[-1]
    may_be_newer = any(unit.days for unit in ended[ended.index(newest) + 1 :] if unit.state is not UnitState.UNCHANGED)
    expected = (newest.row_count or 0, newest.reject_count or 0)
    of_version = held.rows == 0 or held.version == newest.version
    if not may_be_newer and ((held.rows, held.rejects) != expected or not of_version):
        result.add(Difference.ROWS_MISSING, object_id)


def reconcile(
    feed: ObjectFeed, source: ObjectSource, ledger: Ledger, warehouse: Warehouse, now: datetime, patience: timedelta
) -> Reconciliation:
    """Reads all three and compares them.

    Objects that the ledger does not know, or not as the current version, make the feed's sensor compare its whole
    listing with the ledger at its next look. Raises SourceError where the source cannot be read.
    """
    listing = [entry for entry in source.walk() if isinstance(entry, Refused) or feed.is_wanted(entry.object_id)]
    # After the listing: what came meanwhile is seen by the ledger only. Before the table: what ends meanwhile is open.
    units = ledger.units(feed.name)
    result = compare(listing, units, held_by_table(feed, warehouse), now, patience)
    if {Difference.UNSEEN, Difference.NOT_IN_EFFECT} & result.differences.keys():
        ledger.feeds.forget_listings(feed.name)
    return result


def held_by_table(feed: ObjectFeed, warehouse: Warehouse) -> dict[str, Held]:
    """Rows and rejects of each object."""
    table = TableName(feed.contract.schema, feed.contract.table)
    held: dict[str, Held] = {}
    with warehouse.connect(read_only=True) as connection:
        rows = _rows(connection, f"SELECT _source_object, max(_source_version), count(*) FROM {table.sql} GROUP BY 1")
        rejects = _rows(connection, f"SELECT _source_object, count(*) FROM {rejects_table(table).sql} GROUP BY 1")
    for object_id, version, number in rows:
        held[object_id] = Held(version, number, 0)
    for object_id, number in rejects:
        before = held.get(object_id, Held(None, 0, 0))
        held[object_id] = Held(before.version, before.rows, number)
    return held


def _rows(connection: duckdb.DuckDBPyConnection, sql: str) -> list[tuple[Any, ...]]:
    try:
        return connection.execute(sql).fetchall()
    except duckdb.CatalogException:
        return []  # nothing was loaded yet
