"""Whatever a source, looks, runs and crashes do in whatever order: each object ends with the rows of exactly one of its
versions, the current one if it is good; a bad one is in quarantine; every partition with rows was announced.

The looks and loads are the real ones, on the real ledger and the real lake, from files and from S3. A killed run ends
at a named point, with nothing after it.
"""

import itertools
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from platform_shared import faults
from platform_shared.contracts import Column, Contract
from platform_shared.ingestion.bucket import Bucket
from platform_shared.ingestion.feed import Landing, ObjectFeed
from platform_shared.ingestion.landing import LandingFolder
from platform_shared.ingestion.loading import BatchLoader
from platform_shared.ingestion.looking import Looker, RunState
from platform_shared.ingestion.objects import ObjectSource
from platform_shared.ingestion.planning import Limits
from platform_shared.ingestion.reading import Format
from platform_shared.ledger import Ledger, Outbox, UnitState
from platform_shared.partitions import BUSINESS_DAYS
from platform_shared.postgres import postgres
from platform_shared.settings import Home
from platform_shared.testing.s3_server import S3Server
from platform_shared.warehouse import Warehouse

NAMES = ["a.csv", "b/c.csv", "ü b.csv"]
DAYS = ["2026-03-02", "2026-03-03"]
KILL_POINTS = [
    "warehouse.after_copy",
    "warehouse.after_delete",
    "warehouse.before_commit",
    "warehouse.after_commit",
    "ingestion.before_announce",
    "ingestion.before_ledger",
]
CONTRACT = Contract(
    schema="raw",
    table="interleaved",
    owner="ingestion",
    description="Rows of the test.",
    partitions=BUSINESS_DAYS,
    columns=(Column("id", "BIGINT", "Number.", required=True), Column("day", "DATE", "Day.", required=True)),
)
FEED = ObjectFeed(
    name="interleaved",
    contract=CONTRACT,
    location=Landing("interleaved"),
    format=Format.CSV,
    period="day",
    # More tries than crashes: what is good is never set aside here.
    limits=Limits(objects_per_batch=2, attempts=1000, pauses=(timedelta(seconds=10),)),
)
Rows = tuple[tuple[int, str], ...]


class Killed(BaseException):
    """Not an Exception: nothing may handle it, as nothing handles a kill."""


class Upstream(Protocol):
    """What delivers."""

    source: ObjectSource

    def put(self, name: str, content: bytes) -> None: ...

    def delete(self, name: str) -> None: ...

    def resend(self, name: str, content: bytes) -> None: ...


class Files:
    """Files in a landing folder, complete when they appear."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.folder, self.source = folder, LandingFolder(folder)
        self._number = itertools.count()

    def put(self, name: str, content: bytes) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.folder / f".{next(self._number)}"
        fresh.write_bytes(content)
        os.replace(fresh, path)

    def delete(self, name: str) -> None:
        (self.folder / name).unlink()

    def resend(self, name: str, content: bytes) -> None:
        """With a modification time of long ago, as copies have that keep it."""
        self.put(name, content)
        os.utime(self.folder / name, (1_000_000_000, 1_000_000_000))


class Objects:
    """Objects of a bucket without versions: the harder case.

    S3's times have whole seconds, and two looks are at least five apart: no object goes back to bytes of the same
    second here, though all looks of a test may fall into one.
    """

    def __init__(self, server: S3Server, prefix: str) -> None:
        self._client, self._prefix = server.client, prefix
        self.source = Bucket(server.client, "interleaved", prefix)
        self._sent: dict[tuple[str, bytes], int] = {}

    def put(self, name: str, content: bytes) -> None:
        while int(time.time()) == self._sent.get((name, content)):
            time.sleep(0.02)
        self._sent[name, content] = int(time.time())
        self._client.put_object(Bucket="interleaved", Key=self._prefix + name, Body=content)

    def delete(self, name: str) -> None:
        self._client.delete_object(Bucket="interleaved", Key=self._prefix + name)

    resend = put


def csv(rows: Rows) -> bytes:
    return "\n".join(["id,day", *(f"{number},{day}" for number, day in rows), ""]).encode()


class Interleaving(RuleBasedStateMachine):
    """The world and what it must come to."""

    def __init__(self, home: Home, upstream: Upstream) -> None:
        super().__init__()
        self.home, self.upstream = home, upstream
        self.warehouse = Warehouse.of(home, threads=1)
        self.ledger, self.outbox = Ledger(postgres(home)), Outbox(postgres(home))
        self.cursor: str | None = None
        self.now = datetime.now(UTC) + timedelta(hours=1)
        self.number = itertools.count(1)
        self.waiting: list[str] = []
        self.ended: set[str] = set()
        self.announced: set[str] = set()
        # What is in the source now, and all rows that each name ever had in a good version.
        self.present: dict[str, tuple[bytes, Rows | None]] = {}
        self.ever: dict[str, set[Rows]] = {}

    # What the source does

    @rule(name=st.sampled_from(NAMES), days=st.lists(st.sampled_from(DAYS), max_size=3))
    def deliver(self, name: str, days: list[str]) -> None:
        rows = tuple((next(self.number), day) for day in days)
        self._put(name, csv(rows), rows)

    @rule(name=st.sampled_from(NAMES))
    def deliver_something_bad(self, name: str) -> None:
        self._put(name, f"no csv of ours {next(self.number)}\n".encode(), None)

    @precondition(lambda self: self.present)
    @rule(data=st.data())
    def send_the_same_again(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.present)))
        self.upstream.resend(name, self.present[name][0])

    @precondition(lambda self: any(self.ever.values()))
    @rule(data=st.data())
    def go_back_to_an_earlier_version(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(name for name, rows in self.ever.items() if rows)))
        rows = data.draw(st.sampled_from(sorted(self.ever[name])))
        self._put(name, csv(rows), rows)

    @precondition(lambda self: self.present)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.present)))
        self.upstream.delete(name)
        del self.present[name]

    def _put(self, name: str, content: bytes, rows: Rows | None) -> None:
        self.upstream.put(name, content)
        self.present[name] = (content, rows)
        if rows is not None:
            self.ever.setdefault(name, set()).add(rows)

    # What the platform does

    @rule()
    def look(self) -> None:
        self._look()

    def _look(self) -> int:
        self.now += timedelta(seconds=5)
        looker = Looker(
            FEED,
            self.upstream.source,
            self.ledger,
            self.outbox,
            self.home.quarantine,
            lambda batch, _: (RunState.ENDED if batch in self.ended else RunState.UNKNOWN, "the run ended"),
            lambda day, _: self.announced.add(day),
        )
        looked = looker.look(self.cursor, self.now)
        self.cursor = looked.memory.cursor()
        batches = [batch.lease.batch_id for batch in looked.batches]
        self.waiting += batches
        return len(batches)

    @rule()
    def lose_the_cursor(self) -> None:
        self.cursor = None

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def run(self, data: st.DataObject) -> None:
        self._load(data.draw(st.sampled_from(self.waiting)))

    @precondition(lambda self: self.waiting)
    @rule(data=st.data(), point=st.sampled_from(KILL_POINTS), seen=st.booleans())
    def run_and_be_killed(self, data: st.DataObject, point: str, seen: bool) -> None:
        """`seen`: Dagster notices that the run ended; else only the lease runs out."""
        self.kill(data.draw(st.sampled_from(self.waiting)), point, seen=seen)

    def kill(self, batch: str, point: str, *, seen: bool) -> bool:
        """Runs a batch that is killed at the point; false if it never got there."""

        def at_point(reached: str) -> None:
            if reached == point:
                raise Killed

        faults.install(at_point)
        try:
            self._load(batch)
        except Killed:
            if seen:
                self.ended.add(batch)
            return True
        finally:
            faults.install(None)
        return False

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def run_that_never_starts(self, data: st.DataObject) -> None:
        batch = data.draw(st.sampled_from(self.waiting))
        self.waiting.remove(batch)
        self.ended.add(batch)

    @rule(minutes=st.sampled_from([1, 11]))
    def time_passes(self, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)

    def _load(self, batch: str) -> None:
        self.waiting.remove(batch)
        loader = BatchLoader(
            FEED.name,
            CONTRACT,
            FEED.shape(self.now),
            self.upstream.source,
            self.home.quarantine,
            self.warehouse,
            self.ledger,
            lambda: self.now,
            FEED.limits,
        )
        loader.load(
            batch, f"run of {batch}", lambda result: self.announced.update(each.key for each in result.partitions)
        )
        self.ended.add(batch)

    # What it must come to

    def teardown(self) -> None:
        try:
            self._come_to_rest()
            self._check()
        finally:
            self.ledger.close()
            self.outbox.close()

    def _come_to_rest(self) -> None:
        for _ in range(100):
            self.now += timedelta(minutes=11)
            asked = self._look()
            while self.waiting:
                self._load(self.waiting[0])
            if not asked and not self.ledger.units(FEED.name, [UnitState.DISCOVERED, UnitState.REQUESTED]):
                return
        raise AssertionError("it never comes to rest")

    def _check(self) -> None:
        with self.warehouse.connect(read_only=True) as connection:
            exists = connection.execute("SELECT count(*) FROM duckdb_tables() WHERE table_name = 'interleaved'")
            if exists.fetchone() == (0,):
                assert not any(rows for _, rows in self.present.values())
                return
            found = connection.execute(
                "SELECT _source_object, id, CAST(day AS VARCHAR), _source_version FROM lake.raw.interleaved ORDER BY id"
            ).fetchall()
        held: dict[str, Rows] = {}
        versions: dict[str, set[str]] = {}
        for name, number, day, version in found:
            held[name] = (*held.get(name, ()), (number, day))
            versions.setdefault(name, set()).add(version)
        assert all(len(of_name) == 1 for of_name in versions.values())
        in_quarantine = {unit.object_id for unit in self.ledger.quarantined(FEED.name)}
        for name in NAMES:
            rows = held.get(name, ())
            if name in self.present and self.present[name][1] is not None:
                assert rows == self.present[name][1], f"{name} has other rows than its current version"
                assert name not in in_quarantine
            else:
                assert rows == () or rows in self.ever[name], f"{name} has rows of no version"
                assert name not in self.present or name in in_quarantine
        assert {day for rows in held.values() for _, day in rows} <= self.announced


@pytest.fixture
def fresh(platform_home: Home) -> Callable[[], None]:
    """Empties ledger and table between two interleavings."""

    def empty() -> None:
        connection = postgres(platform_home).connect()
        with connection, connection.cursor() as cursor:
            cursor.execute("TRUNCATE platform.units, platform.days, platform.feeds, platform.messages")
        connection.close()
        with Warehouse.of(platform_home).connect() as lake:
            lake.execute("DROP TABLE IF EXISTS lake.raw.interleaved; DROP TABLE IF EXISTS lake.raw.interleaved_rejects")

    Ledger(postgres(platform_home)).close()
    return empty


def play(make: Callable[[], Upstream], fresh: Callable[[], None], home: Home) -> None:
    def machine() -> Interleaving:
        fresh()
        return Interleaving(home, make())

    # Shrinking takes minutes; a failure in CI is to be seen at once.
    short = settings.default.max_examples <= 100
    phases = (Phase.generate,) if short else (Phase.generate, Phase.shrink)
    limits = settings(settings.default, max_examples=10 if short else 1000, stateful_step_count=30, phases=phases)
    run_state_machine_as_test(machine, settings=limits)


@pytest.fixture(params=["files", "objects"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Upstream]:
    """Makes an empty upstream."""
    number = itertools.count()
    if request.param == "files":
        return lambda: Files(tmp_path / str(next(number)))
    server: S3Server = request.getfixturevalue("s3_server")
    server.make_bucket("interleaved", versioned=False)
    return lambda: Objects(server, f"{next(number)}/")


@pytest.mark.timeout(1800)
def test_any_interleaving(make: Callable[[], Upstream], fresh: Callable[[], None], platform_home: Home) -> None:
    play(make, fresh, platform_home)


@pytest.mark.parametrize("seen", [True, False], ids=["seen to end", "not seen to end"])
@pytest.mark.parametrize("point", KILL_POINTS)
def test_a_kill_at_each_point(
    make: Callable[[], Upstream], fresh: Callable[[], None], platform_home: Home, point: str, seen: bool
) -> None:
    fresh()
    world = Interleaving(platform_home, make())
    world.deliver("a.csv", DAYS)
    world.look()
    world.time_passes(1)
    world.look()
    (batch,) = world.waiting
    assert world.kill(batch, point, seen=seen)
    world.deliver("a.csv", DAYS[:1])
    world.deliver_something_bad("b/c.csv")
    world.look()
    world.teardown()
