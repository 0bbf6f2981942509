"""Rejects are replaced together with the rows of their objects; columns are added once."""

import dataclasses
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from platform_shared import faults
from platform_shared.postgres import PostgresServer
from platform_shared.warehouse import (
    Rejects,
    TableName,
    Warehouse,
    add_columns,
    create_table,
    literal,
    replace_objects,
    write_parquet,
)
from platform_shared.warehouse.maintenance import expire, missing_files

TABLE, REJECTS = TableName("raw", "orders"), TableName("raw", "orders_rejects")


class Both:
    """A table and its rejects."""

    def __init__(self, warehouse: Warehouse, connection: duckdb.DuckDBPyConnection) -> None:
        self.warehouse, self.connection = warehouse, connection
        create_table(warehouse, connection, TABLE, {"_source_object": "VARCHAR", "value": "INTEGER"})
        create_table(warehouse, connection, REJECTS, {"_source_object": "VARCHAR", "reason": "VARCHAR"})

    def put(self, value: int, rejects: dict[str, int], **options: Any) -> int:
        """One row of this value for each object, and so many rejects."""
        rows = ", ".join(f"({literal(name)}, {value})" for name in rejects)
        written = write_parquet(
            self.warehouse, self.connection, TABLE, "b", f"FROM (VALUES {rows}) AS o(_source_object, value)"
        )
        bad = ", ".join(f"({literal(name)}, {number})" for name, number in rejects.items())
        rejected = None
        if any(rejects.values()):
            select = f"SELECT name AS _source_object, '{value}' AS reason FROM (VALUES {bad}) AS o(name, n), range(n)"
            rejected = write_parquet(self.warehouse, self.connection, REJECTS, "b", select)
        return replace_objects(
            self.warehouse,
            self.connection,
            TABLE,
            list(rejects),
            written,
            rejects=Rejects(REJECTS, rejected),
            message="test",
            details={},
            **options,
        )

    def rows(self) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
        """(object, value) of the rows, and (object, value, number) of the rejects."""
        with self.warehouse.connect(read_only=True) as reader:
            return (
                reader.execute(f"SELECT _source_object, value FROM {TABLE.sql} ORDER BY ALL").fetchall(),
                reader.execute(
                    f"SELECT _source_object, reason, count(*) FROM {REJECTS.sql} GROUP BY ALL ORDER BY ALL"
                ).fetchall(),
            )


@pytest.fixture
def both(warehouse: Warehouse, connection: duckdb.DuckDBPyConnection) -> Both:
    return Both(warehouse, connection)


def test_rejects_go_with_their_rows(both: Both) -> None:
    both.put(1, {"a": 2, "b": 0, "c": 1})
    assert both.rows() == ([("a", 1), ("b", 1), ("c", 1)], [("a", "1", 2), ("c", "1", 1)])
    both.put(2, {"a": 1, "b": 1})
    assert both.rows() == ([("a", 2), ("b", 2), ("c", 1)], [("a", "2", 1), ("b", "2", 1), ("c", "1", 1)])
    both.put(3, {"a": 0, "b": 0})
    assert both.rows() == ([("a", 3), ("b", 3), ("c", 1)], [("c", "1", 1)])


def test_it_is_one_snapshot(both: Both) -> None:
    both.put(1, {"a": 1})
    snapshot = both.put(2, {"a": 3})
    for version, values in ((snapshot - 1, (1, 1)), (snapshot, (2, 3))):
        at = f"AT (VERSION => {version})"
        assert both.connection.execute(
            f"SELECT (SELECT max(value) FROM {TABLE.sql} {at}), (SELECT count(*) FROM {REJECTS.sql} {at})"
        ).fetchall() == [values]


def test_a_veto_leaves_both_as_they_were(both: Both) -> None:
    both.put(1, {"a": 1, "b": 1})

    def veto() -> None:
        raise KeyError("stale")

    with pytest.raises(KeyError, match="stale"):
        both.put(2, {"a": 3}, before_commit=veto)
    assert both.rows() == ([("a", 1), ("b", 1)], [("a", "1", 1), ("b", "1", 1)])
    both.put(3, {"a": 0})
    assert both.rows() == ([("a", 3), ("b", 1)], [("b", "1", 1)])


def test_both_tables_are_locked(both: Both, warehouse: Warehouse) -> None:
    held = []

    def look() -> None:
        session = warehouse.server.connect()
        with session.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1")
            held.append(cursor.fetchone())
        session.close()

    both.put(1, {"a": 1}, before_commit=look)
    assert held == [(2,)]


def test_a_lost_lock_of_the_rejects_is_noticed_and_tried_again(both: Both, warehouse: Warehouse) -> None:
    both.put(1, {"a": 1})
    killed = []

    def kill_sessions() -> None:
        if killed:
            return
        session = warehouse.server.connect()
        with session, session.cursor() as cursor:
            # The rejects' lock is the first that was taken.
            cursor.execute(
                "SELECT pg_terminate_backend(l.pid) FROM pg_locks l JOIN pg_stat_activity a USING (pid) "
                "WHERE locktype = 'advisory' AND granted AND objsubid = 1 ORDER BY a.backend_start LIMIT 1"
            )
            killed.append(cursor.fetchone())
        session.close()

    both.put(2, {"a": 2}, before_commit=kill_sessions)
    assert killed == [(True,)]
    assert both.rows() == ([("a", 2)], [("a", "2", 2)])


def test_a_commit_whose_answer_is_lost_counts_once_in_both(
    both: Both, relay: Callable[..., Any], warehouse: Warehouse
) -> None:
    """The rejects of one of two objects go, which makes DuckLake write a file of deleted rows."""

    both.put(1, {"a": 2, "b": 2})
    between, host = relay()
    server = PostgresServer(warehouse.server.url.set(query={"host": host, "port": "5432"}))

    def arm(name: str) -> None:
        if name == "warehouse.before_commit" and not between.lost:
            between.armed = True

    with dataclasses.replace(warehouse, server=server).connect() as connection:
        both.connection = connection
        faults.install(arm)
        both.put(2, {"a": 1})
    assert between.lost == 1
    faults.install(None)
    expected = ([("a", 2), ("b", 1)], [("a", "2", 1), ("b", "1", 2)])
    assert both.rows() == expected
    assert not list(Path(warehouse.data_path).rglob("*.kept"))
    for _ in range(2):
        session = warehouse.server.connect()
        with session, session.cursor() as cursor:
            for table, column in (("snapshot", "snapshot_time"), ("files_scheduled_for_deletion", "schedule_start")):
                cursor.execute(f"UPDATE lake.ducklake_{table} SET {column} = {column} - interval '25 hours'")
        session.close()
        with warehouse.connect() as connection:
            expire(connection, keep_hours=24)
    assert both.rows() == expected
    with warehouse.connect(read_only=True) as reader:
        assert missing_files(reader, TABLE) == missing_files(reader, REJECTS) == []


def test_a_file_without_a_column_that_was_added_reads_as_null(both: Both) -> None:
    both.put(1, {"a": 0})
    add_columns(both.warehouse, both.connection, TABLE, {"extra": "DOUBLE", "note": "JSON"})
    both.put(2, {"b": 0})
    select = "SELECT 'c' AS _source_object, 3 AS value, 1.5::DOUBLE AS extra, '{\"x\": 1}'::JSON AS note"
    written = write_parquet(both.warehouse, both.connection, TABLE, "b", select)
    replace_objects(both.warehouse, both.connection, TABLE, ["c"], written, message="m", details={})
    rows = both.connection.execute(f"SELECT * FROM {TABLE.sql} ORDER BY ALL").fetchall()
    assert rows == [("a", 1, None, None), ("b", 2, None, None), ("c", 3, 1.5, '{"x": 1}')]


def test_adding_columns_again_changes_nothing(both: Both) -> None:
    def snapshot() -> Any:
        return both.connection.execute("SELECT max(snapshot_id) FROM lake.snapshots()").fetchone()

    add_columns(both.warehouse, both.connection, TABLE, {"extra": "NUMERIC(12,2)", "é \"q' x": "VARCHAR"})
    before = snapshot()
    add_columns(both.warehouse, both.connection, TABLE, {"extra": "DECIMAL(12,2)", "EXTRA": "DECIMAL(12,2)"})
    assert snapshot() == before
    described = both.connection.execute(f"DESCRIBE {TABLE.sql}").fetchall()
    assert [name for name, *_ in described] == ["_source_object", "value", "extra", "é \"q' x"]


def test_another_type_is_refused_and_nothing_is_added(both: Both) -> None:
    with pytest.raises(ValueError, match=r"'value' of raw\.orders is INTEGER; it cannot be added as VARCHAR"):
        add_columns(both.warehouse, both.connection, TABLE, {"new": "BIGINT", "value": "VARCHAR"})
    assert "new" not in str(both.connection.execute(f"DESCRIBE {TABLE.sql}").fetchall())


def test_columns_of_a_table_that_is_not_there(both: Both) -> None:
    with pytest.raises(LookupError, match=r"table raw\.nothing"):
        add_columns(both.warehouse, both.connection, TableName("raw", "nothing"), {"a": "BIGINT"})


ADD = """
import sys
from platform_shared.warehouse import TableName, Warehouse, add_columns
warehouse = Warehouse.of()
with warehouse.connect() as connection:
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(3):
        add_columns(warehouse, connection, TableName("raw", "orders"), {f"c{number}": "BIGINT", "same": "VARCHAR"})
"""


def test_several_may_add_the_same_columns_at_once(both: Both) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", ADD],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        errors = [process.communicate(timeout=60)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert [process.returncode for process in processes] == [0] * 3, "\n".join(errors)
    described = both.connection.execute(f"DESCRIBE {TABLE.sql}").fetchall()
    assert [name for name, *_ in described] == ["_source_object", "value", "c0", "same", "c1", "c2"]
