"""Processes of the write path's fault test: `warehouse_writer.py ROLE PLAN.json EVENTS.jsonl [options]`.

A writer delivers its batches in order and, now and then, a batch once more, its own or another's; it ends itself with
SIGKILL at the named point it is told. The maintainer compacts and expires until the stop file is there. The reader
reads until then, in one query a time, and notes all it sees.
"""

import argparse
import json
import os
import random
import signal
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import duckdb
import psycopg2

from platform_shared import faults
from platform_shared.postgres import PostgresServer
from platform_shared.settings import Home
from platform_shared.warehouse import (
    LockLostError,
    TableName,
    Warehouse,
    literal,
    replace_objects,
    table_lock,
    write_parquet,
)
from platform_shared.warehouse.maintenance import compact, expire

LOSSES = (LockLostError, duckdb.Error, psycopg2.Error)
"""What a delivery may fail with when its lock's session is killed; it is delivered again."""


class StaleError(RuntimeError):
    """The batch has an object of which there is a newer version."""


class Events:
    """Notes of a process for the test, one JSON object a line; each is on record before `note` returns."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def note(self, **event: Any) -> None:
        os.write(self._file, json.dumps(event).encode() + b"\n")


class Plan:
    """The test's batches: each a list of [object, version, rows, amount of the first row]."""

    def __init__(self, path: Path) -> None:
        plan = json.loads(path.read_text())
        self.warehouse = Warehouse.of(Home(Path(plan["home"])), memory_limit="256MB", threads=1)
        self.table = TableName(*plan["table"])
        self.batches: dict[str, list[tuple[str, int, int, int]]] = plan["batches"]
        self.own: dict[str, list[str]] = plan["writers"]
        self.stop = Path(plan["stop"])
        self.reading = Path(plan["reading"])

    def again(self, book: "Book", writer: str, luck: random.Random) -> str:
        """A batch to deliver once more: one that another writer is delivering now, if there is; else mostly one that is
        still current, for others are refused, and mostly another writer's."""
        delivered, current = book.delivered_batches(), book.current()
        under_way = [batch for batch in book.started() if batch not in {*delivered, *self.own[writer]}]
        fresh = [
            batch for batch in delivered if all(current[name] == version for name, version, _, _ in self.batches[batch])
        ]
        foreign = [batch for batch in fresh if batch not in self.own[writer]]
        choices = luck.choices([under_way, foreign, fresh, delivered], weights=[6, 2, 1, 1])[0]
        return luck.choice(choices or delivered)


class Book:
    """The test's stand-in for the ledger: the current version of each object, and the batches that were delivered."""

    def __init__(self, server: PostgresServer) -> None:
        self._connection = server.connect()
        self._connection.autocommit = True

    def start(self, batch: str, versions: Iterable[tuple[str, int]]) -> None:
        """These versions exist now: older ones must not be loaded from here on."""
        with self._connection.cursor() as cursor:
            for name, version in versions:
                cursor.execute(
                    "INSERT INTO current_versions VALUES (%s, %s) ON CONFLICT (object) "
                    "DO UPDATE SET version = greatest(current_versions.version, excluded.version)",
                    (name, version),
                )
            cursor.execute("INSERT INTO started VALUES (%s) ON CONFLICT DO NOTHING", (batch,))

    def started(self) -> list[str]:
        return self._batches("started")

    def assert_current(self, versions: Sequence[tuple[str, int]]) -> None:
        with self._connection.cursor() as cursor:
            cursor.execute(
                "SELECT object, version FROM current_versions WHERE object = ANY(%s)", ([name for name, _ in versions],)
            )
            if dict(cursor.fetchall()) != dict(versions):
                raise StaleError

    def delivered(self, batch: str) -> None:
        with self._connection.cursor() as cursor:
            cursor.execute("INSERT INTO deliveries (batch) VALUES (%s) ON CONFLICT DO NOTHING", (batch,))

    def delivered_batches(self) -> list[str]:
        return self._batches("deliveries")

    def _batches(self, table: str) -> list[str]:
        with self._connection.cursor() as cursor:
            cursor.execute(f"SELECT batch FROM {table} ORDER BY batch")
            return [batch for (batch,) in cursor.fetchall()]

    def current(self) -> dict[str, int]:
        with self._connection.cursor() as cursor:
            cursor.execute("SELECT object, version FROM current_versions")
            return dict(cursor.fetchall())


def deliver(plan: Plan, book: Book, connection: duckdb.DuckDBPyConnection, batch: str) -> None:
    objects = plan.batches[batch]
    select = " UNION ALL ".join(
        f"SELECT {literal(name)} AS _source_object, {version} AS version, range::INTEGER AS line, "
        f"{first} + range AS amount FROM range({rows})"
        for name, version, rows, first in objects
    )
    written = write_parquet(plan.warehouse, connection, plan.table, batch, select)
    versions = [(name, version) for name, version, _, _ in objects]
    replace_objects(
        plan.warehouse,
        connection,
        plan.table,
        [name for name, _ in versions],
        written,
        message="deliver",
        details={"batch": batch},
        before_commit=lambda: book.assert_current(versions),
    )


def write(plan: Plan, events: Events, writer: str, incarnation: int, die_at: str | None, hit: int) -> None:
    if die_at is not None:
        faults.install(_killer(events, die_at, hit))
    luck = random.Random(f"{writer}/{incarnation}")
    book = Book(plan.warehouse.server)

    def attempt(connection: duckdb.DuckDBPyConnection, batch: str, kind: str) -> bool:
        """False if the delivery was lost."""
        try:
            deliver(plan, book, connection, batch)
        except StaleError:
            events.note(event="stale", kind=kind, batch=batch)
        except LOSSES as error:
            events.note(event="lost", kind=kind, batch=batch, error=f"{type(error).__name__}: {error}"[:300])
            return False
        else:
            book.delivered(batch)
            events.note(event="delivered", kind=kind, batch=batch)
        return True

    def deliver_again(connection: duckdb.DuckDBPyConnection, batch: str) -> bool:
        return attempt(connection, batch, "again: own" if batch in plan.own[writer] else "again: another's")

    with plan.warehouse.connect() as connection:
        done = set(book.delivered_batches())
        for batch in plan.own[writer]:
            if batch in done:
                continue
            book.start(batch, ((name, version) for name, version, _, _ in plan.batches[batch]))
            while not attempt(connection, batch, "own"):
                pass
            if luck.random() < 0.7:
                deliver_again(connection, plan.again(book, writer, luck))
        # Once more what is surely stale, and everybody's newest: for the last writer to get here, all are current.
        delivered = book.delivered_batches()
        newest = [[batch for batch in own if batch in delivered][-1:] for own in plan.own.values()]
        for batch in (plan.own[writer][0], *chain.from_iterable(newest)):
            while not deliver_again(connection, batch):
                pass
    events.note(event="finished")


def _killer(events: Events, die_at: str, hit: int) -> Callable[[str], None]:
    seen = 0

    def hook(name: str) -> None:
        nonlocal seen
        if name == die_at:
            seen += 1
            if seen == hit:
                events.note(event="killed", point=name)
                os.kill(os.getpid(), signal.SIGKILL)

    return hook


def maintain(plan: Plan, events: Events) -> None:
    while not plan.stop.exists():
        try:
            with plan.warehouse.connect() as connection:
                compact(plan.warehouse, connection, plan.table)
                events.note(event="compacted")
                _pass_a_day(plan)
                before = _files(plan)
                expire(connection, keep_hours=24)
                events.note(event="expired", files=len(before - _files(plan)))
        except LOSSES as error:
            events.note(event="lost", kind="maintenance", error=f"{type(error).__name__}: {error}"[:300])
        time.sleep(0.5)


def _pass_a_day(plan: Plan) -> None:
    """Makes all snapshots a day old that the reader has left behind, while no writer is in a transaction."""
    seen = int(plan.reading.read_text()) if plan.reading.exists() else 0
    day = "interval '25 hours'"
    with table_lock(plan.warehouse.server, str(plan.table)) as lock:
        lock.ask(f"UPDATE lake.ducklake_snapshot SET snapshot_time = snapshot_time - {day} WHERE snapshot_id < {seen}")
        lock.ask(f"UPDATE lake.ducklake_files_scheduled_for_deletion SET schedule_start = schedule_start - {day}")


def _files(plan: Plan) -> set[Path]:
    return set(Path(plan.warehouse.data_path).rglob("*.parquet"))


def read(plan: Plan, events: Events) -> None:
    query = (
        "SELECT _source_object, min(version), max(version), count(*), count(DISTINCT line), sum(amount)::BIGINT "
        f"FROM {plan.table.sql} GROUP BY ALL"
    )
    with plan.warehouse.connect(read_only=True) as connection:
        while not plan.stop.exists():
            connection.execute("BEGIN")
            (snapshot,) = connection.execute("SELECT id FROM lake.current_snapshot()").fetchone() or (0,)
            # The file is replaced at once, for `_pass_a_day` to read.
            fresh = plan.reading.with_suffix(".new")
            fresh.write_text(str(snapshot))
            fresh.replace(plan.reading)
            rows = connection.execute(query).fetchall()
            connection.execute("COMMIT")
            events.note(snapshot=snapshot, objects={name: seen for name, *seen in rows})
            time.sleep(0.05)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("role", choices=["write", "maintain", "read"])
    parser.add_argument("plan", type=Path)
    parser.add_argument("events", type=Path)
    parser.add_argument("--writer", default="")
    parser.add_argument("--incarnation", type=int, default=0)
    parser.add_argument("--die-at")
    parser.add_argument("--hit", type=int, default=1)
    options = parser.parse_args()
    plan, events = Plan(options.plan), Events(options.events)
    if options.role == "write":
        write(plan, events, options.writer, options.incarnation, options.die_at, options.hit)
    elif options.role == "maintain":
        maintain(plan, events)
    else:
        read(plan, events)


if __name__ == "__main__":
    main()
