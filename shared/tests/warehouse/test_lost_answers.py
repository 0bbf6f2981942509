"""COMMIT counts and its answer is lost: the catalog's server, or the way to it, dies in that moment."""

import dataclasses
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from platform_shared import faults
from platform_shared.postgres import PostgresServer
from platform_shared.warehouse import Warehouse
from platform_shared.warehouse.maintenance import bring_back_files, compact, expire, missing_files
from platform_shared.warehouse.transactions import table_transaction


@pytest.fixture
def lost(lake: Any, relay: Callable[..., Any], warehouse: Warehouse) -> Iterator[tuple[duckdb.DuckDBPyConnection, Any]]:
    """A connection to the lake through a relay that can lose the answer to COMMIT."""
    between, host = relay()
    server = PostgresServer(warehouse.server.url.set(query={"host": host, "port": "5432"}))
    lake.put(1, "a", "b", "c")
    lake.put(1, "d")
    with dataclasses.replace(warehouse, server=server).connect() as connection:
        yield connection, between


def arm_at_commit(between: Any) -> None:
    def hook(name: str) -> None:
        if name == "warehouse.before_commit" and not between.lost:
            between.armed = True

    faults.install(hook)


def pass_a_day(warehouse: Warehouse) -> None:
    """Makes all snapshots and all files that wait for deletion a day older, and expires them."""
    for _ in range(2):
        session = warehouse.server.connect()
        with session, session.cursor() as cursor:
            for table, column in (("snapshot", "snapshot_time"), ("files_scheduled_for_deletion", "schedule_start")):
                cursor.execute(f"UPDATE lake.ducklake_{table} SET {column} = {column} - interval '25 hours'")
        session.close()
        with warehouse.connect() as connection:
            expire(connection, keep_hours=24)


@pytest.mark.parametrize("objects", [("d",), ("a",), ("a", "d"), ("a", "b", "c"), ("new",)], ids=str)
def test_a_batch_counts_once_and_the_table_stays_readable(
    objects: tuple[str, ...], lake: Any, lost: Any, warehouse: Warehouse
) -> None:
    """Objects that are a file of their own, a part of one (which makes DuckLake write a file of deleted rows), new."""
    lake.connection, between = lost
    expected = sorted(({name: (name, 1, 2) for name in "abcd"} | {name: (name, 2, 2) for name in objects}).values())
    arm_at_commit(between)
    lake.put(2, *objects)
    assert between.lost == 1
    assert lake.rows() == expected
    with warehouse.connect(read_only=True) as reader:
        assert missing_files(reader, lake.table) == []
    assert not list(Path(warehouse.data_path).rglob("*.kept"))
    # The clean-up of what the first, uncertain commit left must not take what the second one wrote.
    faults.install(None)
    pass_a_day(warehouse)
    assert lake.rows() == expected
    lake.put(3, *objects)
    pass_a_day(warehouse)
    assert [row for row in lake.rows() if row[0] in objects] == [(name, 3, 2) for name in sorted(objects)]


def test_a_commit_that_nobody_tries_again_leaves_the_table_readable(lake: Any, lost: Any, warehouse: Warehouse) -> None:
    connection, between = lost
    arm_at_commit(between)
    with (
        pytest.raises(duckdb.TransactionException),
        table_transaction(warehouse, connection, "raw", "orders", message="m", details={}),
    ):
        connection.execute(f"DELETE FROM {lake.table.sql} WHERE _source_object = 'a'")
    assert between.lost == 1
    assert lake.rows() == [("b", 1, 2), ("c", 1, 2), ("d", 1, 2)]


def test_a_compaction_loses_no_file(lake: Any, lost: Any, warehouse: Warehouse) -> None:
    connection, between = lost
    lake.put(2, "b")
    expected = lake.rows()
    for number in (1, 2):
        # Rewriting, then merging.
        between.lost = 0
        arm_at_commit(between)
        with pytest.raises(duckdb.TransactionException):
            compact(warehouse, connection, lake.table)
        assert between.lost == 1, number
        assert lake.rows() == expected
    faults.install(None)
    compact(warehouse, connection, lake.table)
    pass_a_day(warehouse)
    assert lake.rows() == expected


def test_what_a_dead_process_could_not_bring_back_is_brought_back_by_the_next(
    lake: Any, lost: Any, warehouse: Warehouse
) -> None:
    """A process may be killed, or abort, after DuckLake's clean-up and before ours."""
    lake.put(2, "a")
    [deleted] = Path(warehouse.data_path).rglob("*-delete.parquet")
    with warehouse.server.connect() as session, session.cursor() as cursor:
        cursor.execute("SELECT table_id FROM lake.ducklake_table WHERE table_name = 'orders'")
        (table,) = cursor.fetchone()
    session.close()
    kept = Path(warehouse.data_path, "kept", str(table))

    kept.mkdir(parents=True, exist_ok=True)
    (kept / f"{deleted.name}.kept").hardlink_to(deleted)
    deleted.unlink()
    with warehouse.connect(read_only=True) as reader:
        assert missing_files(reader, lake.table) == [str(deleted)]
    with pytest.raises(duckdb.IOException, match="Cannot open file"):
        lake.rows()
    assert bring_back_files(warehouse, lake.table) == [str(deleted)]
    assert lake.rows() == [("a", 2, 2), ("b", 1, 2), ("c", 1, 2), ("d", 1, 2)]
    assert bring_back_files(warehouse, lake.table) == []

    # Not before a day has passed is it sure that the process does not live, and lose the file later.
    deleted.unlink()
    lake.put(3, "d")
    assert lake.rows() == [("a", 2, 2), ("b", 1, 2), ("c", 1, 2), ("d", 3, 2)]
    assert len(list(kept.iterdir())) == 1
    deleted.unlink()
    [second] = kept.iterdir()
    os.utime(second, (1, 1))
    lake.put(4, "d")
    assert lake.rows() == [("a", 2, 2), ("b", 1, 2), ("c", 1, 2), ("d", 4, 2)]
    assert not list(kept.iterdir())


def test_ducklake_alone_makes_the_table_unreadable(lake: Any, lost: Any) -> None:
    """The negative control. If this fails, DuckLake has learned it, and `kept_files` may go."""
    connection, between = lost
    connection.execute("BEGIN")
    connection.execute(f"DELETE FROM {lake.table.sql} WHERE _source_object = 'a'")
    between.armed = True
    with pytest.raises(duckdb.TransactionException):
        connection.execute("COMMIT")
    with pytest.raises(duckdb.IOException, match="Cannot open file"):
        lake.rows()
