"""The write path of the warehouse: four writers, any of whom may die at any point, and a reader who sees no half batch.

120 batches of five objects each, in order per writer, many of them delivered again by their own or by another writer,
at the same time or later; compaction and expiry run meanwhile. Every writer is ended by SIGKILL once at each named
point, and sessions that hold the table's lock are ended while they hold it.
"""

import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from platform_shared.postgres import PostgresServer, stop_embedded
from platform_shared.settings import Home
from platform_shared.warehouse import TableName, Warehouse, create_table
from platform_shared.warehouse.locks import table_lock
from platform_shared.warehouse.maintenance import missing_files

WORKER = Path(__file__).with_name("warehouse_writer.py")
TABLE = TableName("raw", "deliveries")
POINTS = (
    "warehouse.after_copy",
    "warehouse.after_fsync",
    "warehouse.after_delete",
    "warehouse.before_commit",
    "warehouse.after_commit",
)
WRITERS = ("north", "south", "east", "west")
BATCHES_PER_WRITER = 30
OBJECTS_PER_BATCH = 5
OBJECTS_IN_USE = 15
"""Of a writer: the newest ones."""
LOCK_SESSIONS_KILLED = 8
LEAST_READS = 40
SECONDS = 200
"""Then the test fails; on two idle cores it takes a tenth of that."""


def rows_of(version: int) -> int:
    """Each version of an object has a number of rows, and a sum, of its own."""
    return 10 + version


def first_amount(number: int, version: int) -> int:
    return 100_000 * number + 1_000 * version


def seen_of(number: int, version: int) -> list[int]:
    """What the reader's query gives for one complete version: versions, rows, distinct lines, sum."""
    rows = rows_of(version)
    return [version, version, rows, rows, sum(first_amount(number, version) + line for line in range(rows))]


@dataclass
class Workload:
    """The batches, by name: (object, version, rows, amount of the first row)."""

    batches: dict[str, list[tuple[str, int, int, int]]] = field(default_factory=dict)
    writers: dict[str, list[str]] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)
    versions: Counter[str] = field(default_factory=Counter)
    """The last version of each object."""

    @staticmethod
    def make(seed: int) -> "Workload":
        luck, work = random.Random(seed), Workload()
        for writer in WRITERS:
            names: list[str] = []
            work.writers[writer] = [f"{writer}-{index:02}" for index in range(BATCHES_PER_WRITER)]
            for index, batch in enumerate(work.writers[writer]):
                if index % 3 == 0:
                    # Objects that are new: a second writer finds nothing to delete, and DuckLake no conflict.
                    chosen = [f"{writer}/it's {len(names) + number}" for number in range(OBJECTS_PER_BATCH)]
                    work.numbers |= {name: len(work.numbers) + number for number, name in enumerate(chosen)}
                    names += chosen
                else:
                    chosen = luck.sample(names[-OBJECTS_IN_USE:], OBJECTS_PER_BATCH)
                work.versions.update(chosen)
                versions = [(name, work.versions[name]) for name in chosen]
                work.batches[batch] = [
                    (name, version, rows_of(version), first_amount(work.numbers[name], version))
                    for name, version in versions
                ]
        return work


@dataclass
class Platform:
    """A platform of its own, with processes that are ended with it."""

    home: Home
    folder: Path
    warehouse: Warehouse
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, role: str, name: str, *options: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, str(WORKER), role, str(self.folder / "plan.json"), str(self.events(name)), *options]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=(self.folder / f"{name}.err").open("ab"))
        self.processes.append(process)
        return process

    def events(self, name: str) -> Path:
        return self.folder / f"{name}.jsonl"

    def noted(self, name: str) -> list[dict[str, Any]]:
        path = self.events(name)
        # The last line may be cut off: a process may be killed while it notes.
        return [json.loads(line) for line in path.read_text().splitlines(True) if line.endswith("\n")]

    def errors(self, name: str) -> str:
        return (self.folder / f"{name}.err").read_text()[-3000:]


@pytest.fixture
def platform() -> Iterator[Platform]:
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        home = Home(Path(folder).resolve() / "home")
        started = Platform(home, Path(folder), Warehouse.of(home))
        try:
            yield started
        finally:
            for process in started.processes:
                if process.poll() is None:
                    process.kill()
                process.wait()
            stop_embedded(home)


def lay_out(platform: Platform, work: Workload) -> Path:
    """Table, the test's book and the plan; returns the stop file."""
    stop = platform.folder / "stop"
    plan = {
        "home": str(platform.home.root),
        "table": [TABLE.schema, TABLE.name],
        "batches": work.batches,
        "writers": work.writers,
        "stop": str(stop),
        "reading": str(platform.folder / "reading"),
    }
    (platform.folder / "plan.json").write_text(json.dumps(plan))
    with platform.warehouse.connect() as connection:
        columns = {"_source_object": "VARCHAR", "version": "INTEGER", "line": "INTEGER", "amount": "BIGINT"}
        create_table(platform.warehouse, connection, TABLE, columns)
    execute(platform.warehouse.server, "CREATE TABLE current_versions (object text PRIMARY KEY, version integer)")
    for table in ("started", "deliveries"):
        execute(platform.warehouse.server, f"CREATE TABLE {table} (batch text PRIMARY KEY)")
    return stop


def execute(server: PostgresServer, statement: str) -> list[Any]:
    connection = server.connect()
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []
    finally:
        connection.close()


class LockKiller:
    """Ends sessions that hold the table's lock: one each time that so many more batches are delivered."""

    def __init__(self, server: PostgresServer, batches: int) -> None:
        with table_lock(server, str(TABLE)) as lock:
            self._key = lock.key
        self._connection = server.connect()
        self._connection.autocommit = True
        self._due = [batches * (index + 1) // (LOCK_SESSIONS_KILLED + 2) for index in range(LOCK_SESSIONS_KILLED)]
        self.killed = 0

    def look(self) -> None:
        with self._connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM deliveries")
            (delivered,) = cursor.fetchone()
            if self.killed < len(self._due) and delivered >= self._due[self.killed]:
                cursor.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted "
                    "AND objsubid = 1 AND ((classid::bigint << 32) | objid::bigint) = %s",
                    (self._key,),
                )
                self.killed += len(cursor.fetchall())

    def close(self) -> None:
        self._connection.close()


def run_writers(platform: Platform, killer: LockKiller) -> Counter[int]:
    """Runs all writers to their end, each with one death at each point; returns how often which exit code was seen."""
    codes: Counter[int] = Counter()
    deaths = {writer: [*POINTS[index:], *POINTS[:index]] for index, writer in enumerate(WRITERS)}
    incarnations: Counter[str] = Counter()
    running: dict[str, subprocess.Popen[bytes]] = {}

    def start(writer: str) -> None:
        number = incarnations[writer]
        incarnations[writer] += 1
        options = ["--writer", writer, "--incarnation", str(number)]
        if number < len(POINTS):
            options += ["--die-at", deaths[writer][number], "--hit", str(1 + number % 3)]
        running[writer] = platform.start("write", writer, *options)

    for writer in WRITERS:
        start(writer)
    deadline = time.monotonic() + SECONDS
    while running:
        assert time.monotonic() < deadline, f"{sorted(running)} still run after {SECONDS} s"
        for writer, process in list(running.items()):
            code = process.poll()
            if code is None:
                continue
            codes[code] += 1
            del running[writer]
            if code == -signal.SIGKILL:
                start(writer)
            else:
                assert code == 0, platform.errors(writer)
        killer.look()
        time.sleep(0.02)
    return codes


def assert_reads_are_consistent(reads: Sequence[dict[str, Any]], work: Workload) -> None:
    """Each object of each read is absent or one complete version, and never older than in the read before."""
    allowed = {
        name: [seen_of(work.numbers[name], version) for version in range(1, last + 1)]
        for name, last in work.versions.items()
    }
    before: dict[str, int] = {}
    for read in reads:
        for name, seen in read["objects"].items():
            assert seen in allowed[name], f"snapshot {read['snapshot']}: {name} is {seen}"
        versions = {name: seen[0] for name, seen in read["objects"].items()}
        for name, version in before.items():
            assert versions.get(name, 0) >= version, f"snapshot {read['snapshot']}: {name} went back from {version}"
        before = versions


def test_the_check_of_reads_finds_what_must_not_be() -> None:
    work = Workload.make(seed=1)
    name = next(name for name, last in work.versions.items() if last >= 2)
    one, two = (seen_of(work.numbers[name], version) for version in (1, 2))
    half = [*one[:2], one[2] - 1, one[3] - 1, one[4] - first_amount(work.numbers[name], 1)]
    doubled = [*one[:2], 2 * one[2], one[3], 2 * one[4]]
    both = [1, 2, one[2] + two[2], max(one[3], two[3]), one[4] + two[4]]
    good: list[dict[str, list[int]]] = [{}, {name: one}, {name: one}, {name: two}]
    assert_reads_are_consistent([{"snapshot": 0, "objects": read} for read in good], work)
    bad: list[list[dict[str, list[int]]]] = [
        [{name: half}],
        [{name: doubled}],
        [{name: both}],
        [{name: one}, {}],
        [{name: two}, {name: one}],
    ]
    for reads in bad:
        with pytest.raises(AssertionError, match="snapshot 0"):
            assert_reads_are_consistent([{"snapshot": 0, "objects": read} for read in reads], work)


def test_every_batch_counts_once_whatever_dies(
    platform: Platform, record_property: Callable[[str, object], None]
) -> None:
    work = Workload.make(seed=20_240_229)
    stop = lay_out(platform, work)
    killer = LockKiller(platform.warehouse.server, len(work.batches))
    started = time.monotonic()
    helpers = {role: platform.start(role, role) for role in ("read", "maintain")}
    try:
        codes = run_writers(platform, killer)
    finally:
        killer.close()
        stop.touch()
    for role, process in helpers.items():
        assert process.wait(60) == 0, platform.errors(role)

    reads, maintenance = platform.noted("read"), platform.noted("maintain")
    writers = [event for writer in WRITERS for event in platform.noted(writer)]
    kinds = Counter(event["kind"] for event in writers if event["event"] == "delivered")
    refused = Counter(event["kind"] for event in writers if event["event"] == "stale")
    deaths = Counter(event["point"] for event in writers if event["event"] == "killed")
    expired = [event["files"] for event in maintenance if event["event"] == "expired"]
    lost = [event for event in (*writers, *maintenance) if event["event"] == "lost"]
    facts = {
        "seconds": round(time.monotonic() - started, 1),
        "delivered": dict(kinds),
        "refused as stale": dict(refused),
        "killed at": dict(deaths),
        "lock sessions killed": killer.killed,
        "deliveries lost": [event["error"] for event in lost],
        "reads": len(reads),
        "compactions": sum(event["event"] == "compacted" for event in maintenance),
        "expiries": len(expired),
        "files expired": sum(expired),
    }
    record_property("facts", facts)
    print(json.dumps(facts, indent=1))

    # What happened is what this test is about.
    assert deaths == {point: len(WRITERS) for point in POINTS}
    assert codes == {0: len(WRITERS), -signal.SIGKILL: len(WRITERS) * len(POINTS)}
    assert killer.killed >= LOCK_SESSIONS_KILLED
    assert kinds["again: own"] >= len(WRITERS)
    assert kinds["again: another's"] >= len(WRITERS) - 1
    assert sum(refused.values()) >= len(WRITERS)
    assert not refused["own"]
    assert facts["compactions"] >= 3
    assert facts["files expired"] > 0

    # And nothing came of it.
    assert len(reads) >= LEAST_READS
    assert_reads_are_consistent(reads, work)
    delivered = execute(platform.warehouse.server, "SELECT batch FROM deliveries ORDER BY batch")
    assert [batch for (batch,) in delivered] == sorted(work.batches)
    expected = sorted(
        (name, version, line, first_amount(work.numbers[name], version) + line)
        for name, version in work.versions.items()
        for line in range(rows_of(version))
    )
    with platform.warehouse.connect(read_only=True) as connection:
        assert connection.execute(f"SELECT * FROM {TABLE.sql} ORDER BY ALL").fetchall() == expected
        (total,) = connection.execute(f"SELECT sum(amount)::BIGINT FROM {TABLE.sql}").fetchone() or (None,)
        assert total == sum(amount for *_, amount in expected)
        assert missing_files(connection, TABLE) == []
