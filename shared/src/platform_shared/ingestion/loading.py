"""Loads one batch: the run's side of safe ingestion, without Dagster."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import duckdb

from platform_shared import faults
from platform_shared.clock import Clock
from platform_shared.contracts import Contract
from platform_shared.ingestion.csv_loader import PROVENANCE, BusinessDate, Source, read_csv_batch
from platform_shared.ingestion.landing import sha256, stat_landed
from platform_shared.ingestion.planning import Limits
from platform_shared.ingestion.quarantine import quarantined
from platform_shared.ledger import LeaseLostError, Ledger, Outcome, Unit, UnitState
from platform_shared.warehouse import TableName, Warehouse, create_table, identifier, literal, replace_objects


@dataclass(frozen=True)
class LoadedDay:
    """A touched partition: the day (ISO), and its rows in the table after the load, where they were counted."""

    day: str
    rows: int | None


@dataclass
class BatchResult:
    """What a batch did. Counts are of files and rows; `bytes` of the files loaded."""

    loaded: int = 0
    unchanged: int = 0
    superseded: int = 0
    rows: int = 0
    bytes: int = 0
    days: list[LoadedDay] = field(default_factory=list)
    set_aside: dict[str, str] = field(default_factory=dict)
    """Object id -> reason."""


@dataclass(frozen=True)
class BatchLoader:
    """Loads batches of one feed of CSV files into the contract's table."""

    feed: str
    contract: Contract
    business_date_column: str
    business_date_expression: str
    first_day: date
    landing: Path
    quarantine: Path
    warehouse: Warehouse
    ledger: Ledger
    clock: Clock
    limits: Limits

    def load(
        self, batch_id: str, holder: str, last_day: date, announce: Callable[[BatchResult], None]
    ) -> BatchResult | None:
        """Loads what the batch still has to load; None if another run has it or it is done already.

        `announce` is called after the warehouse's commit and before the ledger's: a crash in between announces twice
        and never not at all. On an error the units go back to the ledger with the error as the reason.
        """
        units = self.ledger.take(self.feed, batch_id, holder, self.clock(), self.limits.lease)
        if not units:
            return None
        try:
            return self._load(units, batch_id, holder, last_day, announce)
        except LeaseLostError:
            raise
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"[:2000]
            self.ledger.give_back(self.feed, batch_id, reason, self.clock(), self.limits.pauses)
            raise

    def _load(
        self,
        units: Sequence[Unit],
        batch_id: str,
        holder: str,
        last_day: date,
        announce: Callable[[BatchResult], None],
    ) -> BatchResult:
        result = BatchResult()
        outcomes: list[Outcome] = []
        hashes: dict[str, str] = {}
        wanted: list[Unit] = []
        loaded_before = self.ledger.loaded_hashes(self.feed, [unit.object_id for unit in units])
        for unit in units:
            if not self._is_current(unit):
                outcomes.append(self._superseded(unit))
                continue
            try:
                hashes[unit.object_id] = sha256(self.landing / unit.object_id)
            except FileNotFoundError:
                outcomes.append(self._superseded(unit))
                continue
            except OSError as error:
                reason = f"{unit.object_id} cannot be read: {error.strerror or type(error).__name__}"
                outcomes.append(Outcome(unit.object_id, unit.version, UnitState.QUARANTINED, reason=reason))
                result.set_aside[unit.object_id] = reason
                continue
            if loaded_before.get(unit.object_id) == hashes[unit.object_id]:
                result.unchanged += 1
                outcomes.append(
                    Outcome(
                        unit.object_id,
                        unit.version,
                        UnitState.UNCHANGED,
                        hashes[unit.object_id],
                        reason="the same bytes as the loaded version",
                    )
                )
            else:
                wanted.append(unit)

        if wanted:
            outcomes += self._write(wanted, hashes, batch_id, holder, last_day, result)
        result.superseded = sum(outcome.state is UnitState.SUPERSEDED for outcome in outcomes)
        outcomes = [
            quarantined(self.quarantine, self.feed, self.contract.owner, self.landing, outcome, self.clock())
            if outcome.state is UnitState.QUARANTINED
            else outcome
            for outcome in outcomes
        ]
        self._add_days_of_earlier_tries(units, outcomes, result)
        faults.point("ingestion.before_announce")
        announce(result)
        faults.point("ingestion.before_ledger")
        self.ledger.finish(self.feed, batch_id, outcomes, self.clock())
        return result

    def _write(
        self,
        wanted: Sequence[Unit],
        hashes: dict[str, str],
        batch_id: str,
        holder: str,
        last_day: date,
        result: BatchResult,
    ) -> list[Outcome]:
        table = TableName(self.contract.schema, self.contract.table)
        days = BusinessDate(self.business_date_column, self.business_date_expression, self.first_day, last_day)
        outcomes: list[Outcome] = []
        with self.warehouse.connect() as connection:
            columns = {**self.contract.types, self.business_date_column: "DATE", **PROVENANCE}
            create_table(self.warehouse, connection, table, columns)
            while True:
                sources = [Source(u.object_id, u.version, self.landing / u.object_id) for u in wanted]
                now = self.clock().isoformat()
                self._prolong(batch_id)
                read = read_csv_batch(self.warehouse, connection, table, batch_id, sources, self.contract, days, now)
                changed = {unit.object_id for unit in wanted if not self._is_current(unit)}
                if not changed:
                    break
                # Half of one version and half of another may have been read: once more, without those files.
                outcomes += [self._superseded(unit) for unit in wanted if unit.object_id in changed]
                wanted = [unit for unit in wanted if unit.object_id not in changed]
            for unit in wanted:
                name, digest = unit.object_id, hashes[unit.object_id]
                if name in read.bad:
                    outcomes.append(Outcome(name, unit.version, UnitState.QUARANTINED, digest, reason=read.bad[name]))
                    result.set_aside[name] = read.bad[name]
                else:
                    rows = read.loaded[name].rows
                    outcomes.append(Outcome(name, unit.version, UnitState.LOADED, digest, rows))
                    result.loaded += 1
                    result.rows += rows
                    result.bytes += unit.size_bytes
            if read.written is None:
                return outcomes
            good = sorted(read.loaded)
            touched = {name: [day.isoformat() for day in read.loaded[name].days] for name in good}
            self.ledger.note_days(self.feed, batch_id, touched, self.clock())
            self._prolong(batch_id)
            held = [(unit.object_id, unit.version) for unit in wanted]
            replace_objects(
                self.warehouse,
                connection,
                table,
                good,
                read.written,
                message=f"load {self.feed}",
                details={"batch": batch_id, "run_id": holder},
                before_commit=lambda: self.ledger.assert_held(self.feed, batch_id, holder, held),
            )
            result.days = self._days(connection, table, self.ledger.days(self.feed, good))
        return outcomes

    def _add_days_of_earlier_tries(
        self, units: Sequence[Unit], outcomes: Sequence[Outcome], result: BatchResult
    ) -> None:
        """A try that died after its commit has not announced its days; who ends the unit does."""
        loaded = {(o.object_id, o.version) for o in outcomes if o.state is UnitState.LOADED}
        left = {day for unit in units if (unit.object_id, unit.version) not in loaded for day in unit.days}
        result.days += [LoadedDay(day, None) for day in sorted(left - {day.day for day in result.days})]

    def _days(self, connection: duckdb.DuckDBPyConnection, table: TableName, touched: Sequence[str]) -> list[LoadedDay]:
        if not touched:
            return []
        day = f"CAST({identifier(self.business_date_column)} AS VARCHAR)"
        first, last = (f"DATE {literal(edge)}" for edge in (touched[0], touched[-1]))
        rows = connection.execute(
            f"SELECT {day}, count(*) FROM {table.sql} "
            f"WHERE {identifier(self.business_date_column)} BETWEEN {first} AND {last} GROUP BY 1"
        ).fetchall()
        counts = dict(rows)
        return [LoadedDay(name, counts.get(name, 0)) for name in touched]

    def _prolong(self, batch_id: str) -> None:
        """A long read or a wait for the table's lock must not look like a dead run."""
        self.ledger.prolong(self.feed, batch_id, self.clock() + self.limits.lease)

    def _is_current(self, unit: Unit) -> bool:
        file = stat_landed(self.landing, unit.object_id)
        return file is not None and file.version == unit.version

    def _superseded(self, unit: Unit) -> Outcome:
        return Outcome(unit.object_id, unit.version, UnitState.SUPERSEDED, reason="changed or gone before it was read")
