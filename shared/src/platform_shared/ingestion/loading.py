"""Loads one batch: the run's side of safe ingestion, without Dagster."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import duckdb
from sqlalchemy.exc import SQLAlchemyError

from platform_shared import faults
from platform_shared.clock import Clock
from platform_shared.contracts import Contract
from platform_shared.ingestion.landing import sha256
from platform_shared.ingestion.objects import ObjectSource, SourceError, VersionGoneError
from platform_shared.ingestion.planning import Limits
from platform_shared.ingestion.quarantine import quarantine_message, set_aside
from platform_shared.ingestion.reading import PROVENANCE, REJECTS, ReadBatch, Shape, Source, read_batch, rejects_table
from platform_shared.ingestion.scratch import scratch_folder
from platform_shared.ledger import LeaseLostError, Ledger, Message, Outcome, Unit, UnitState
from platform_shared.warehouse import (
    Rejects,
    TableName,
    Warehouse,
    add_columns,
    create_table,
    identifier,
    literal,
    replace_objects,
)

_FETCHES_AT_ONCE = 8
_SURROUNDINGS = (OSError, SourceError, SQLAlchemyError, duckdb.IOException)
"""Errors of disks, networks and servers. What is wrong with an object itself never comes as an error of the load."""


@dataclass(frozen=True)
class LoadedPartition:
    """A touched partition: its key, and its rows in the table after the load, where they were counted."""

    key: str
    rows: int | None


@dataclass
class BatchResult:
    """What a batch did. Counts are of objects and rows; `bytes` of the objects loaded."""

    loaded: int = 0
    unchanged: int = 0
    superseded: int = 0
    rows: int = 0
    rejects: int = 0
    bytes: int = 0
    seconds: float = 0.0
    oldest: datetime | None = None
    """When the oldest object loaded was written, as the source says."""
    partitions: list[LoadedPartition] = field(default_factory=list)
    table_rows: int | None = None
    """Rows of a table without partitions after the load."""
    may_have_changed: bool = False
    """An earlier try that died may have changed the table, and nobody said so."""
    set_aside: dict[str, str] = field(default_factory=dict)
    """Object id -> reason."""
    new_columns: dict[str, str] = field(default_factory=dict)
    """Columns that drift added to the table, with their types."""


@dataclass(frozen=True)
class BatchLoader:
    """Loads batches of one feed into the contract's table."""

    feed: str
    contract: Contract
    shape: Shape
    source: ObjectSource
    quarantine: Path
    warehouse: Warehouse
    ledger: Ledger
    clock: Clock
    limits: Limits

    def load(self, batch_id: str, holder: str, announce: Callable[[BatchResult], None]) -> BatchResult | None:
        """Loads what the batch still has to load; None if another run has it or it is done already.

        `announce` is called after the warehouse's commit and before the ledger's: a crash in between announces twice
        and never not at all. On an error the units go back to the ledger with the error as the reason; only one in
        reading them, and not one of the disk or the network, counts as a try of theirs.
        """
        units = self.ledger.take(self.feed, batch_id, holder, self.clock(), self.limits.lease)
        if not units:
            return None
        with scratch_folder() as folder:
            load = _Load(self, batch_id, holder, folder)
            try:
                with self._lease_kept(batch_id):
                    return load.run(units, announce)
            except LeaseLostError:
                raise
            except Exception as error:
                reason = f"{type(error).__name__}: {error}"[:2000]
                untried = not load.is_reading or isinstance(error, _SURROUNDINGS)
                # If the ledger is away, the error is still the one above, and the lease runs out by itself.
                with suppress(SQLAlchemyError):
                    self.ledger.give_back(
                        self.feed, batch_id, reason, self.clock(), self.limits.pauses, untried=untried
                    )
                raise

    @contextmanager
    def _lease_kept(self, batch_id: str) -> Iterator[None]:
        """Prolongs the lease for as long as this process works on the batch: a large object must not look like a dead
        run, a dead run ends its lease by saying nothing."""
        ended = threading.Event()

        def keep() -> None:
            while not ended.wait(self.limits.lease.total_seconds() / 4):
                try:
                    self.ledger.prolong(self.feed, batch_id, self.clock() + self.limits.lease)
                except SQLAlchemyError:
                    continue  # the ledger is away; if that lasts, the fence before the commit stops the load

        thread = threading.Thread(target=keep, name=f"lease of {batch_id}", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


class _Load:
    """One run of a batch."""

    def __init__(self, loader: BatchLoader, batch_id: str, holder: str, folder: Path) -> None:
        self._loader, self._batch_id, self._holder, self._folder = loader, batch_id, holder, folder
        self.is_reading = False
        """Whether an error now may be one of the objects that are read."""
        self._table = TableName(loader.contract.schema, loader.contract.table)
        self._result = BatchResult()
        self._outcomes: list[Outcome] = []
        self._stayed: set[tuple[str, str]] = set()
        self._paths: dict[str, Path] = {}
        self._hashes: dict[str, str] = {}

    def run(self, units: Sequence[Unit], announce: Callable[[BatchResult], None]) -> BatchResult:
        loader, result = self._loader, self._result
        began = time.monotonic()
        faults.point("ingestion.before_fetch")
        wanted = self._fetch(units)
        if wanted:
            self._write(wanted)
        result.superseded = sum(outcome.state is UnitState.SUPERSEDED for outcome in self._outcomes)
        self._keep_what_is_set_aside()
        self._add_partitions_of_earlier_tries(units)
        result.seconds = time.monotonic() - began
        faults.point("ingestion.before_announce")
        announce(result)
        faults.point("ingestion.before_ledger")
        loader.ledger.finish(loader.feed, self._batch_id, self._outcomes, loader.clock(), self._message)
        return result

    def _fetch(self, units: Sequence[Unit]) -> list[Unit]:
        """Gets the bytes; ends units whose version is gone, unreadable, or loaded already. Returns the others."""
        loaded = self._loader.ledger.loaded_hashes(self._loader.feed, [unit.object_id for unit in units])
        wanted = []
        with ThreadPoolExecutor(_FETCHES_AT_ONCE) as pool:
            fetches = [pool.submit(self._get, unit) for unit in units]
            for unit, fetch in zip(units, fetches, strict=True):
                name = unit.object_id
                try:
                    self._paths[name], self._hashes[name] = fetch.result()
                except (VersionGoneError, FileNotFoundError):
                    self._supersede(unit)
                except PermissionError as error:
                    self._end(unit, UnitState.QUARANTINED, f"{name} cannot be read: {error.strerror}")
                except BaseException:
                    pool.shutdown(cancel_futures=True)
                    raise
                else:
                    if loaded.get(name) == self._hashes[name]:
                        self._result.unchanged += 1
                        self._end(unit, UnitState.UNCHANGED, "the same bytes as the loaded version")
                    else:
                        wanted.append(unit)
        return wanted

    def _get(self, unit: Unit) -> tuple[Path, str]:
        path = self._loader.source.fetch(unit.object_id, unit.version, self._folder)
        return path, sha256(path)

    def _write(self, wanted: list[Unit]) -> None:
        loader, result = self._loader, self._result
        rejects = rejects_table(self._table)
        with loader.warehouse.connect() as connection:
            create_table(loader.warehouse, connection, self._table, self._columns())
            create_table(loader.warehouse, connection, rejects, REJECTS)
            wanted, read = self._read(connection, wanted)
            for unit in wanted:
                self._note_read(unit, read)
            if read.written is None:
                return
            good = sorted(read.loaded)
            if read.added:
                add_columns(loader.warehouse, connection, self._table, read.added)
                result.new_columns = dict(read.added)
            touched = {name: [day.isoformat() for day in read.loaded[name].partitions] for name in good}
            loader.ledger.note_days(loader.feed, self._batch_id, touched, loader.clock())
            held = [(unit.object_id, unit.version) for unit in wanted]
            replace_objects(
                loader.warehouse,
                connection,
                self._table,
                good,
                read.written,
                rejects=Rejects(rejects, read.rejected),
                message=f"load {loader.feed}",
                details={"batch": self._batch_id, "run_id": self._holder},
                before_commit=lambda: loader.ledger.assert_held(loader.feed, self._batch_id, self._holder, held),
            )
            if loader.shape.partition is None:
                result.table_rows = _count(connection, f"SELECT count(*) FROM {self._table.sql}")
            else:
                result.partitions = self._counted(connection, loader.ledger.days(loader.feed, good))

    def _read(self, connection: duckdb.DuckDBPyConnection, wanted: list[Unit]) -> tuple[list[Unit], ReadBatch]:
        """Reads until no object changed meanwhile: half of one version and half of another may have been read."""
        loader = self._loader
        while True:
            sources = [Source(u.object_id, u.version, self._paths[u.object_id]) for u in wanted]
            now = loader.clock().isoformat()
            self.is_reading = True
            read = read_batch(
                loader.warehouse, connection, self._table, self._batch_id, sources, loader.shape, now, self._folder
            )
            self.is_reading = False
            changed = {unit.object_id for unit in wanted if not self._is_unchanged(unit)}
            if not changed:
                return wanted, read
            for unit in wanted:
                if unit.object_id in changed:
                    self._supersede(unit)
            wanted = [unit for unit in wanted if unit.object_id not in changed]

    def _is_unchanged(self, unit: Unit) -> bool:
        """Whether what was read is what the listing showed; a copy of a pinned version cannot have changed."""
        if self._paths[unit.object_id].is_relative_to(self._folder):
            return True
        found = self._loader.source.current(unit.object_id)
        return found is not None and found.version == unit.version

    def _columns(self) -> dict[str, str]:
        partition = self._loader.shape.partition
        period = {partition.column: "DATE"} if partition else {}
        return {**self._loader.contract.types, **period, **PROVENANCE}

    def _note_read(self, unit: Unit, read: ReadBatch) -> None:
        name, result = unit.object_id, self._result
        if name in read.bad:
            self._end(unit, UnitState.QUARANTINED, read.bad[name])
            return
        found = read.loaded[name]
        self._outcomes.append(
            Outcome(
                name,
                unit.version,
                UnitState.LOADED,
                self._hashes[name],
                found.rows,
                reject_count=found.rejects,
            )
        )
        result.loaded += 1
        result.rows += found.rows
        result.rejects += found.rejects
        result.bytes += unit.size_bytes
        if unit.changed_at is not None and (result.oldest is None or unit.changed_at < result.oldest):
            result.oldest = unit.changed_at

    def _end(self, unit: Unit, state: UnitState, reason: str) -> None:
        if state is UnitState.QUARANTINED:
            self._result.set_aside[unit.object_id] = reason
        digest = self._hashes.get(unit.object_id)
        self._outcomes.append(Outcome(unit.object_id, unit.version, state, digest, reason=reason))

    def _supersede(self, unit: Unit) -> None:
        """Ends a unit whose version is not there any more; one that was loaded before (a replay) stays loaded."""
        if unit.row_count is not None:
            reason = "not in the source any more; its rows stay"
            outcome = Outcome(
                *_key(unit), UnitState.LOADED, None, unit.row_count, reason=reason, reject_count=unit.reject_count
            )
            self._stayed.add(_key(unit))
        else:
            gone = self._loader.source.current(unit.object_id) is None
            reason = "gone before it was read" if gone else "overwritten before it was read"
            outcome = Outcome(*_key(unit), UnitState.SUPERSEDED, reason=reason, relist=True)
        self._outcomes.append(outcome)

    def _keep_what_is_set_aside(self) -> None:
        """The bytes may be gone by now, or the disk full: that is said in the reason, and holds up nothing."""
        for number, outcome in enumerate(self._outcomes):
            path = self._paths.get(outcome.object_id)
            if outcome.state is UnitState.QUARANTINED and path is not None:
                try:
                    set_aside(self._loader.quarantine, self._loader.feed, path, outcome, self._loader.clock())
                except OSError as error:
                    reason = f"{outcome.reason} (Its bytes could not be kept: {error.strerror}.)"
                    self._outcomes[number] = replace(outcome, reason=reason)

    def _add_partitions_of_earlier_tries(self, units: Sequence[Unit]) -> None:
        """A try that died after its commit has not announced its partitions; who ends the unit does."""
        result = self._result
        loaded = {(o.object_id, o.version) for o in self._outcomes if o.state is UnitState.LOADED} - self._stayed
        others = [unit for unit in units if _key(unit) not in loaded and unit.days is not None]
        known = {partition.key for partition in result.partitions}
        left = {day for unit in others for day in unit.days or ()}
        result.partitions += [LoadedPartition(day, None) for day in sorted(left - known)]
        result.may_have_changed = bool(others)

    def _counted(self, connection: duckdb.DuckDBPyConnection, touched: Sequence[str]) -> list[LoadedPartition]:
        partition = self._loader.shape.partition
        if not touched or partition is None:
            return []
        column = identifier(partition.column)
        first, last = (f"DATE {literal(edge)}" for edge in (touched[0], touched[-1]))
        rows = connection.execute(
            f"SELECT CAST({column} AS VARCHAR), count(*) FROM {self._table.sql} "
            f"WHERE {column} BETWEEN {first} AND {last} GROUP BY 1"
        ).fetchall()
        counts = dict(rows)
        return [LoadedPartition(key, counts.get(key, 0)) for key in touched]

    def _message(self, ended: Sequence[Outcome]) -> Message | None:
        return quarantine_message(self._loader.feed, self._loader.contract.owner, ended, self._loader.clock())


def _key(unit: Unit) -> tuple[str, str]:
    return unit.object_id, unit.version


def _count(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    row = connection.execute(query).fetchone()
    return int(row[0]) if row else 0
