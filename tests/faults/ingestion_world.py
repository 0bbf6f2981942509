"""A feed with its source, and all that becomes of it: what the ingestion's fault tests have in common.

A look or a load that something happens to is a process (`World.start`), others are calls; both are the real ones, on
the real ledger and the real lake. Time is `World.now`, which moves when the test says so.
"""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from platform_shared.contracts import Column, Contract
from platform_shared.ingestion.bucket import Bucket
from platform_shared.ingestion.feed import BucketPrefix, Landing, ObjectFeed
from platform_shared.ingestion.loading import BatchLoader
from platform_shared.ingestion.looking import Looker, RunState
from platform_shared.ingestion.objects import ObjectSource
from platform_shared.ingestion.planning import Limits
from platform_shared.ingestion.quarantine import kept_name
from platform_shared.ingestion.reading import Format
from platform_shared.ingestion.reconciling import reconcile
from platform_shared.ledger import Ledger, Message, Outbox, Unit, UnitState
from platform_shared.partitions import BUSINESS_DAYS
from platform_shared.postgres import postgres
from platform_shared.settings import Home
from platform_shared.warehouse import TableName, Warehouse
from platform_shared.warehouse.maintenance import missing_files

PROCESS = Path(__file__).with_name("ingestion_process.py")
MON, TUE = "2026-03-02", "2026-03-03"
BUCKET = "deliveries"
PATIENCE = timedelta(minutes=30)
PATIENCE_SECONDS = 60
"""Then something will never happen."""
Row = tuple[int, str]

CONTRACT = Contract(
    schema="raw",
    table="deliveries",
    owner="ingestion",
    description="Rows of the test.",
    partitions=BUSINESS_DAYS,
    columns=(Column("id", "BIGINT", "Number.", required=True), Column("day", "DATE", "Day.", required=True)),
)
TABLE = TableName(CONTRACT.schema, CONTRACT.table)
FEEDS = {
    name: ObjectFeed(
        name=name,
        contract=CONTRACT,
        location=location,
        format=Format.CSV,
        period="day",
        # A whole period without deliveries is another matter.
        grace=timedelta(days=365_000),
        limits=Limits(attempts=3, pauses=(timedelta(seconds=30), timedelta(minutes=5))),
    )
    for name, location in {
        "files": Landing("files"),
        "objects": BucketPrefix(BUCKET, "in"),
    }.items()
}


def open_source(feed: ObjectFeed, home: Home) -> ObjectSource:
    """As a run or a sensor opens it; S3 with the patience of a test."""
    resources = SimpleNamespace(folders=SimpleNamespace(home=lambda: home))
    if "s3" in feed.location.resource_keys:
        from platform_shared.object_storage import ObjectStorage

        resources.s3 = ObjectStorage(connect_timeout_seconds=1, read_timeout_seconds=1, max_attempts=2)
    source = feed.location.open(resources)
    # A listing has several pages, of two objects each.
    return replace(source, page_size=2) if isinstance(source, Bucket) else source


def looker(
    feed: ObjectFeed, home: Home, ledger: Ledger, outbox: Outbox, ended: set[str], announce: Callable[[str], None]
) -> Looker:
    """Looks at the feed; `ended` are the batches whose run is known to have ended."""
    return Looker(
        feed,
        open_source(feed, home),
        ledger,
        outbox,
        home.quarantine,
        lambda batch, _: (RunState.ENDED if batch in ended else RunState.UNKNOWN, f"run of {batch} ended as FAILURE"),
        lambda day, _: announce(day),
    )


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def csv(*rows: Row) -> bytes:
    return "\n".join(["id,day", *(f"{number},{day}" for number, day in rows), ""]).encode()


class Process:
    """A look or a load in a process of its own; `said` is what it has said so far."""

    def __init__(self, role: str, order: dict[str, Any], errors: Path, environment: dict[str, str]) -> None:
        self._errors = errors
        self.said: list[dict[str, Any]] = []
        self._process = subprocess.Popen(
            [sys.executable, str(PROCESS), role, json.dumps(order)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors.open("ab"),
            env={**os.environ, **environment},
        )

    def reach(self, point: str) -> None:
        """Waits until it stands still at the point, which it must."""
        while (said := self._listen()) is not None:
            if "reached" in said:
                assert said["reached"] == point
                return
        raise AssertionError(f"{point} was never reached:\n{self.errors}")

    def go_on(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")
        self._process.stdin.flush()

    def kill(self) -> None:
        """kill -9."""
        self._process.kill()
        assert self.end() == -9

    def end(self) -> int:
        """Waits for its end; the exit code."""
        while self._listen() is not None:
            continue
        code = self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()
        return code

    def close(self) -> None:
        if self._process.returncode is None:
            self._process.kill()
            self.end()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def errors(self) -> str:
        traces = [said["trace"] for said in self.said if "trace" in said]
        return "\n".join([*traces, self._errors.read_text()[-3000:]])

    @property
    def error(self) -> str:
        """The error that it ended with."""
        return next(said["error"] for said in self.said if "error" in said)

    def _listen(self) -> dict[str, Any] | None:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.endswith(b"\n"):
            return None
        self.said.append(json.loads(line))
        return self.said[-1]


class World:
    """The source, what a test put there, and the platform that loads it."""

    def __init__(self, home: Home, feed: str = "files") -> None:
        self.home, self.feed = home, FEEDS[feed]
        # What is delivered has always been complete for long.
        self.now = datetime.now(UTC) + timedelta(hours=1)
        self.cursor: str | None = None
        self.ended: set[str] = set()
        self.announced: set[str] = set()
        # What killed processes leave behind goes with the test.
        scratch = home.root / "scratch"
        scratch.mkdir(parents=True)
        self.environment = {"TMPDIR": str(scratch)}
        """Of the processes to come, besides this one's."""
        self.good: dict[str, list[Row]] = {}
        """The rows that must be in the table in the end, by object."""
        self.bad: set[str] = set()
        """Objects that must be in quarantine in the end."""
        self.content: dict[str, bytes] = {}
        """What was put last, by object."""
        self._heard: set[str] = set()
        self._next_row = 0
        self._processes: list[Process] = []
        self.ledger = Ledger(postgres(home))
        self.outbox = Outbox(postgres(home))
        home.dagster.mkdir(exist_ok=True)

    def close(self) -> None:
        for process in self._processes:
            process.close()
        self.ledger.close()
        self.outbox.close()

    # --- the source

    def rows(self, number: int, day: str = MON) -> list[Row]:
        """So many rows that no object has had yet."""
        self._next_row += number
        return [(each, day) for each in range(self._next_row - number, self._next_row)]

    def deliver(self, name: str, number: int = 2, day: str = MON) -> None:
        """A good object, with rows of its own."""
        self.good[name] = self.rows(number, day)
        self.bad.discard(name)
        self.put(name, csv(*self.good[name]))

    def deliver_bad(self, name: str, size: int = 0) -> None:
        """An object that is none of the feed's; rows of an earlier version stay."""
        self._next_row += 1
        self.bad.add(name)
        self.put(name, b"no csv of ours %d\n" % self._next_row + b"x" * size)

    def put(self, name: str, content: bytes) -> None:
        """The content appears complete under the name."""
        self.content[name] = content
        source = open_source(self.feed, self.home)
        if isinstance(source, Bucket):
            source.client.put_object(Bucket=BUCKET, Key=f"in/{name}", Body=content)
            return
        path = self.home.landing / self.feed.name / name
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f".{path.name}.tmp")
        fresh.write_bytes(content)
        fresh.replace(path)

    def put_all_again(self) -> None:
        """A source that has lost everything gets it again."""
        for name, content in self.content.items():
            self.put(name, content)

    # --- the platform

    def start(self, role: str, *at: str, batch: str | None = None) -> Process:
        """Starts a look, or a load of the batch, that stands still at the points."""
        order = {
            "feed": self.feed.name,
            "now": self.now.isoformat(),
            "at": at,
            "cursor": self.cursor,
            "ended": sorted(self.ended),
            "batch": batch,
            "holder": f"run of {batch}",
        }
        process = Process(role, order, self.home.root / "processes.log", self.environment)
        self._processes.append(process)
        return process

    def look(self, *, keep_cursor: bool = True) -> list[str]:
        """One look; the batches that it asks for."""
        looking = looker(self.feed, self.home, self.ledger, self.outbox, self.ended, self.announced.add)
        looked = looking.look(self.cursor, self.now)
        if keep_cursor:
            self.cursor = looked.memory.cursor()
        self.now += timedelta(seconds=5)
        return [batch.lease.batch_id for batch in looked.batches]

    def load(self, batch: str) -> None:
        """The batch's run, from its begin to its end."""
        loader = BatchLoader(
            self.feed.name,
            self.feed.contract,
            self.feed.shape(self.now),
            open_source(self.feed, self.home),
            self.home.quarantine,
            Warehouse.of(self.home, threads=1),
            self.ledger,
            lambda: self.now,
            self.feed.limits,
        )
        loader.load(
            batch,
            f"run of {batch}",
            lambda result: self.announced.update(partition.key for partition in result.partitions),
        )
        self.ended.add(batch)

    def ask(self) -> str:
        """One look, which asks for one batch: that batch."""
        (batch,) = self.look()
        return batch

    def load_all(self) -> None:
        """Looks and loads until nothing waits; leases and pauses run out meanwhile."""
        for _ in range(20):
            self.now += timedelta(minutes=11)
            batches = self.look()
            for batch in batches:
                self.load(batch)
            if not batches and not self.waiting():
                return
        raise AssertionError(f"it never comes to rest: {self.waiting()}")

    def replay(self) -> list[str]:
        """Lets what is in quarantine be tried again; of what is set aside then, there is another message."""
        self._heard |= {message.key for message in self.messages()}
        return self.ledger.replay(self.feed.name, self.now, quarantined=True)

    # --- what became of it

    def units(self, *states: UnitState) -> list[Unit]:
        return self.ledger.units(self.feed.name, list(states) or None)

    def waiting(self) -> list[Unit]:
        return self.units(UnitState.DISCOVERED, UnitState.REQUESTED)

    def states(self) -> Counter[str]:
        return Counter(unit.state.value for unit in self.units())

    def messages(self) -> list[Message]:
        """Since the last replay."""
        return [message for message in self.outbox.undelivered() if message.key not in self._heard]

    def table(self) -> dict[str, list[Row]]:
        """Rows by object; each object has rows of one version."""
        with Warehouse.of(self.home, threads=1).connect(read_only=True) as connection:
            assert missing_files(connection, TABLE) == []
            found = connection.execute(
                f"SELECT _source_object, id, CAST(day AS VARCHAR), _source_version FROM {TABLE.sql} ORDER BY ALL"
            ).fetchall()
        versions = {(name, version) for name, _, _, version in found}
        assert len(versions) == len({name for name, _ in versions})
        rows: dict[str, list[Row]] = {}
        for name, number, day, _ in found:
            rows.setdefault(name, []).append((number, day))
        return rows

    def snapshots(self) -> int:
        """How many changes of the lake there have been."""
        with Warehouse.of(self.home, threads=1).connect(read_only=True) as connection:
            (number,) = connection.execute("SELECT count(*) FROM lake.snapshots()").fetchone() or (0,)
        return int(number)

    def check(self) -> None:
        """Every row is there once, or its object is in quarantine with its bytes; nobody waits; all three agree."""
        assert self.table() == self.good
        assert self.waiting() == []
        quarantined = self.ledger.quarantined(self.feed.name)
        assert {unit.object_id for unit in quarantined} == self.bad
        folder = self.home.quarantine / self.feed.name
        for unit in quarantined:
            kept = folder / kept_name(unit.object_id, unit.version)
            assert kept.is_file()
            note = json.loads(kept.with_name(f"{kept.name}.reason.json").read_text())
            assert (note["object"], note["version"]) == (unit.object_id, unit.version)
        told = "\n".join(message.body for message in self.messages())
        for unit in quarantined:
            assert str(unit.reason) in told
            assert told.count(kept_name(unit.object_id, unit.version)) == 1
        assert {day for rows in self.good.values() for _, day in rows} <= self.announced
        found = reconcile(
            self.feed,
            open_source(self.feed, self.home),
            self.ledger,
            Warehouse.of(self.home, threads=1),
            self.now,
            PATIENCE,
        )
        assert found.is_clean, found.lines()
        assert found.rows == sum(len(rows) for rows in self.good.values())
