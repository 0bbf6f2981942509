"""One writer a table: what happens when the session that holds the lock dies, at the worst moments."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import duckdb
import psycopg2
import pytest

from platform_shared import faults
from platform_shared.postgres import PostgresServer
from platform_shared.warehouse import LockLostError, Warehouse, create_table, table_lock
from platform_shared.warehouse.transactions import table_transaction

LOCK_SESSIONS = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1"


@pytest.fixture
def execute(warehouse: Warehouse) -> Iterator[Callable[..., list[tuple[Any, ...]]]]:
    connection = warehouse.server.connect()
    connection.autocommit = True

    def run(statement: str) -> list[tuple[Any, ...]]:
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall()) if cursor.description else []

    yield run
    connection.close()


class Reached:
    """Calls `act` at the named point, up to `times`; counts how often the point was reached."""

    def __init__(self, point: str, act: Callable[[], object], times: int = 1) -> None:
        self._point, self._act, self._times, self.count = point, act, times, 0
        faults.install(self)

    def __call__(self, name: str) -> None:
        if name == self._point:
            self.count += 1
            if self.count <= self._times:
                self._act()


@pytest.fixture
def kill_lock(execute: Callable[..., list[tuple[Any, ...]]]) -> Callable[[], None]:
    """Ends the session that holds the lock, and waits until the lock is free."""

    def kill() -> None:
        [(session,)] = execute(LOCK_SESSIONS)
        # Up to 5 s, until it is gone.
        assert execute(f"SELECT pg_terminate_backend({session}, 5000)") == [(True,)]

    return kill


def test_overlapping_transactions_without_the_lock_double_a_batch(lake: Any, warehouse: Warehouse) -> None:
    """The negative control: why there is a lock."""
    with warehouse.connect() as one, warehouse.connect() as other:
        for connection in (one, other):
            connection.execute("BEGIN")
            connection.execute(f"DELETE FROM {lake.table.sql} WHERE _source_object = 'a'")
            connection.execute(f"INSERT INTO {lake.table.sql} SELECT 'a', 1 FROM range(2)")
        one.execute("COMMIT")
        other.execute("COMMIT")
    assert lake.rows() == [("a", 1, 4)]


def test_with_the_lock_the_second_writer_waits(
    lake: Any, another_writer: Callable[..., int], execute: Callable[..., list[tuple[Any, ...]]]
) -> None:
    order: list[str] = []
    waiting = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"

    def deliver() -> None:
        another_writer(2, "a")
        order.append("second")

    thread = threading.Thread(target=deliver)

    def start_the_second_and_let_it_wait() -> None:
        faults.install(None)
        thread.start()
        while not execute(waiting):
            assert thread.is_alive()
        order.append("first")

    Reached("warehouse.before_commit", start_the_second_and_let_it_wait)
    lake.put(1, "a")
    thread.join(30)
    assert order == ["first", "second"]
    assert lake.rows() == [("a", 2, 2)]


def test_tables_do_not_wait_for_each_other(lake: Any, warehouse: Warehouse) -> None:
    with table_lock(warehouse.server, "raw.something_else"):
        lake.put(1, "a")
    assert lake.rows() == [("a", 1, 2)]


def test_a_lock_lost_early_is_tried_again(lake: Any, kill_lock: Callable[[], None]) -> None:
    lake.put(1, "a", "b")
    deleted = Reached("warehouse.after_delete", kill_lock)
    lake.put(2, "a")
    assert deleted.count == 2
    assert lake.rows() == [("a", 2, 2), ("b", 1, 2)]


def test_a_lock_lost_right_before_commit_commits_nothing_and_is_tried_again(
    lake: Any, kill_lock: Callable[[], None]
) -> None:
    lake.put(1, "a", "b")
    seen = []

    def kill_and_look_later() -> None:
        kill_lock()
        seen.append(lake.rows())

    before_commit = Reached("warehouse.before_commit", kill_and_look_later)
    lake.put(2, "a")
    assert before_commit.count == 2
    assert seen == [[("a", 1, 2), ("b", 1, 2)]]
    assert lake.rows() == [("a", 2, 2), ("b", 1, 2)]
    [(commits,)] = lake.connection.execute(
        "SELECT count(*) FROM lake.snapshots() WHERE commit_message = 'test'"
    ).fetchall()
    assert commits == 2


def test_a_lock_lost_three_times_is_an_error(lake: Any, kill_lock: Callable[[], None]) -> None:
    lake.put(1, "a")
    deleted = Reached("warehouse.after_delete", kill_lock, times=3)
    with pytest.raises(LockLostError, match=r"raw\.orders"):
        lake.put(2, "a")
    assert deleted.count == 3
    assert lake.rows() == [("a", 1, 2)]


def test_who_lost_the_lock_cannot_commit_over_the_next_holder(
    lake: Any, another_writer: Callable[..., int], kill_lock: Callable[[], None]
) -> None:
    """Between the last look at the lock and COMMIT another writer comes and goes, with the same new object."""

    def let_the_other_in() -> None:
        kill_lock()
        another_writer(1, "a")

    before_commit = Reached("warehouse.before_commit", let_the_other_in)
    lake.put(1, "a")
    assert before_commit.count == 3
    assert lake.rows() == [("a", 1, 2)]


def test_without_the_fence_it_could(
    lake: Any,
    another_writer: Callable[..., int],
    kill_lock: Callable[[], None],
    execute: Callable[..., list[tuple[Any, ...]]],
) -> None:
    """The negative control of the test before."""
    lake.put(9, "z")

    def let_the_other_in() -> None:
        kill_lock()
        another_writer(1, "a")
        [(trigger,)] = execute(
            "SELECT tgname FROM pg_trigger WHERE tgrelid = 'lake.ducklake_snapshot_changes'::regclass"
        )
        execute(f"DROP TRIGGER {trigger} ON lake.ducklake_snapshot_changes")

    Reached("warehouse.before_commit", let_the_other_in)
    lake.put(1, "a")
    assert lake.rows() == [("a", 1, 4), ("z", 9, 2)]


def test_the_next_holder_waits_for_a_commit_that_has_lost_its_lock(
    warehouse: Warehouse, execute: Callable[..., list[tuple[Any, ...]]]
) -> None:
    with table_lock(warehouse.server, "raw.orders") as lock:
        key = lock.key
    entered = threading.Event()

    def enter() -> None:
        with table_lock(warehouse.server, "raw.orders"):
            entered.set()

    # What the fence does in a commit.
    commit = warehouse.server.connect()
    with commit.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s # 1::bigint)", (key,))
    thread = threading.Thread(target=enter)
    thread.start()
    while not execute("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"):
        assert not entered.is_set()
    commit.rollback()
    commit.close()
    assert entered.wait(30)
    thread.join(30)


def test_a_session_that_dies_while_it_waits_is_a_lost_lock(
    warehouse: Warehouse, execute: Callable[..., list[tuple[Any, ...]]]
) -> None:
    errors: list[BaseException] = []

    def wait_for_it() -> None:
        try:
            with table_lock(warehouse.server, "raw.orders"):
                errors.append(AssertionError("entered"))
        except LockLostError as error:
            errors.append(error)

    with table_lock(warehouse.server, "raw.orders"):
        thread = threading.Thread(target=wait_for_it)
        thread.start()
        while not (sessions := execute("SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")):
            assert thread.is_alive()
        execute(f"SELECT pg_terminate_backend({sessions[0][0]}, 5000)")
        thread.join(30)
    assert [type(error) for error in errors] == [LockLostError]


def test_a_lock_that_was_given_back_is_not_held(warehouse: Warehouse) -> None:
    with table_lock(warehouse.server, "raw.orders") as lock:
        lock.check()
        lock.ask("SELECT pg_advisory_unlock_all()")
        with pytest.raises(LockLostError):
            lock.check()


def test_a_fence_is_made_once_by_several_writers(
    lake: Any, warehouse: Warehouse, execute: Callable[..., list[tuple[Any, ...]]]
) -> None:
    errors: list[BaseException] = []

    def write(number: int) -> None:
        table = type(lake.table)("raw", f"t{number}")
        try:
            with warehouse.connect() as connection:
                create_table(warehouse, connection, table, {"_source_object": "VARCHAR"})
                with table_transaction(warehouse, connection, "raw", f"t{number}", message="m", details={}):
                    connection.execute(f"INSERT INTO {table.sql} VALUES ('a')")
        except (duckdb.Error, psycopg2.Error) as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not errors
    [(fences,)] = execute("SELECT count(*) FROM pg_trigger WHERE tgrelid = 'lake.ducklake_snapshot_changes'::regclass")
    assert fences == 1


def test_others_commit_without_a_lock_as_they_do(lake: Any, warehouse: Warehouse) -> None:
    """dbt writes natively, and people may set messages of their own."""
    lake.put(1, "a")
    with warehouse.connect() as connection:
        connection.execute("BEGIN")
        connection.execute("CALL lake.set_commit_message('somebody', 'by hand', extra_info => 'no json')")
        connection.execute(f"INSERT INTO {lake.table.sql} VALUES ('b', 5)")
        connection.execute("COMMIT")
        connection.execute(f"INSERT INTO {lake.table.sql} VALUES ('b', 5)")
    assert lake.rows() == [("a", 1, 2), ("b", 5, 2)]


def test_a_catalog_that_is_down_is_told_as_such(warehouse: Warehouse) -> None:
    nowhere = PostgresServer(warehouse.server.url.set(query={"host": "/nowhere"}))
    with pytest.raises(psycopg2.OperationalError, match="/nowhere"), table_lock(nowhere, "raw.orders"):
        pass
