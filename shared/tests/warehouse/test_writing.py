"""Replacing objects: all or nothing, any number of times, whatever their names."""

import json
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from platform_shared import faults
from platform_shared.settings import Home
from platform_shared.warehouse import TableName, Warehouse, create_table, identifier, replace_objects, write_parquet

CREATE = """
import sys
from platform_shared.warehouse import TableName, Warehouse, create_table
warehouse = Warehouse.of()
print("ready", flush=True)
sys.stdin.readline()
with warehouse.connect() as connection:
    for name in ("a", "b"):
        create_table(warehouse, connection, TableName("raw", name), {"_source_object": "VARCHAR", "value": "INTEGER"})
"""


def test_tables_are_created_by_several_processes_at_once(warehouse: Warehouse) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", CREATE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(5)
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        # All import first, so that they really meet in a catalog that is not there yet.
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        errors = [process.communicate(timeout=60)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert [process.returncode for process in processes] == [0] * 5, "\n".join(errors)
    with warehouse.connect(read_only=True) as connection:
        tables = connection.execute("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'raw' ORDER BY ALL")
        assert tables.fetchall() == [("a",), ("b",)]


def test_a_repeated_batch_changes_nothing(lake: Any) -> None:
    first = lake.put(1, "a", "b", "c")
    assert lake.rows() == [("a", 1, 2), ("b", 1, 2), ("c", 1, 2)]
    assert lake.put(1, "a", "b", "c") > first
    assert lake.rows() == [("a", 1, 2), ("b", 1, 2), ("c", 1, 2)]


def test_a_batch_replaces_its_objects_and_no_others(lake: Any) -> None:
    lake.put(1, "a", "b", "c")
    lake.put(2, "a", "c", rows=3)
    assert lake.rows() == [("a", 2, 3), ("b", 1, 2), ("c", 2, 3)]


def test_an_object_without_rows_is_emptied(lake: Any) -> None:
    lake.put(1, "a", "b")
    lake.put(2, "a", rows=0)
    assert lake.rows() == [("b", 1, 2)]
    lake.put(3, "a")
    assert lake.rows() == [("a", 3, 2), ("b", 1, 2)]


def test_a_batch_of_no_object_is_refused(lake: Any) -> None:
    written = write_parquet(
        lake.warehouse, lake.connection, lake.table, "b", "SELECT 'a' AS _source_object, 1 AS value"
    )
    with pytest.raises(ValueError, match="at least one object"):
        replace_objects(lake.warehouse, lake.connection, lake.table, [], written, message="m", details={})


def test_a_table_that_is_not_there_is_named(lake: Any) -> None:
    table = TableName("raw", "nothing")
    written = write_parquet(lake.warehouse, lake.connection, table, "b", "SELECT 'a' AS _source_object")
    with pytest.raises(LookupError, match=r"table raw\.nothing"):
        replace_objects(lake.warehouse, lake.connection, table, ["a"], written, message="m", details={})


def test_a_veto_leaves_the_old_rows(lake: Any) -> None:
    lake.put(1, "a", "b")

    def veto() -> None:
        raise KeyError("stale")

    with pytest.raises(KeyError, match="stale"):
        lake.put(2, "a", before_commit=veto)
    assert lake.rows() == [("a", 1, 2), ("b", 1, 2)]
    # The connection is of use afterwards, and nothing of the refused transaction is left in it.
    lake.put(3, "b")
    assert lake.rows() == [("a", 1, 2), ("b", 3, 2)]


def test_the_veto_comes_after_the_rows_are_in_and_under_the_lock(lake: Any, warehouse: Warehouse) -> None:
    held = []

    def look() -> None:
        connection = warehouse.server.connect()
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1")
            held.append(cursor.fetchone())
        connection.close()

    lake.put(1, "a", before_commit=look)
    assert held == [(1,)]


def test_the_snapshot_says_what_was_done(lake: Any) -> None:
    snapshot = lake.put(7, "a", details={"run_id": "r'1\""})
    [(author, message, extra)] = lake.connection.execute(
        f"SELECT author, commit_message, commit_extra_info FROM lake.snapshots() WHERE snapshot_id = {snapshot}"
    ).fetchall()
    said = json.loads(extra)
    assert (author, message, said["batch"], said["run_id"]) == ("platform", "test", "7", "r'1\"")


def test_the_snapshot_is_the_batchs_own(lake: Any, warehouse: Warehouse) -> None:
    """Other tables have other locks: somebody may commit before we can ask for our snapshot."""

    def commit_elsewhere(name: str) -> None:
        if name == "warehouse.after_commit":
            with warehouse.connect() as connection:
                columns = {"_source_object": "VARCHAR"}
                create_table(warehouse, connection, TableName("raw", "other"), columns)

    faults.install(commit_elsewhere)
    snapshot = lake.put(1, "a")
    counts = [
        lake.connection.execute(f"SELECT count(*) FROM {lake.table.sql} AT (VERSION => {version})").fetchone()
        for version in (snapshot - 1, snapshot)
    ]
    assert counts == [(0,), (2,)]


AWKWARD = ["it's", '"quoted"', "a b/c.csv", "../up", "x'); DROP TABLE lake.raw.orders; --", "naïve 表", "%s", "\\"]


def test_objects_of_any_name(lake: Any) -> None:
    lake.put(1, *AWKWARD)
    lake.put(2, *AWKWARD[::2])
    expected = [(name, 2 if index % 2 == 0 else 1, 2) for index, name in enumerate(AWKWARD)]
    assert lake.rows() == sorted(expected)


@pytest.mark.parametrize("name", AWKWARD)
def test_schemas_tables_and_columns_of_any_name(
    name: str, warehouse: Warehouse, connection: duckdb.DuckDBPyConnection
) -> None:
    table = TableName(f"schema {name}", f"table {name}")
    for _ in range(2):
        create_table(warehouse, connection, table, {"_source_object": "VARCHAR", name: "INTEGER"})
    for value in (1, 2):
        select = f"SELECT 'a' AS _source_object, {value} AS {identifier(name)} UNION ALL SELECT 'b{value}', 0"
        written = write_parquet(warehouse, connection, table, name, select)
        assert Path(written.path).is_relative_to(Path(warehouse.data_path, "batches"))
        replace_objects(warehouse, connection, table, ["a", f"b{value}"], written, message="m", details={})
    rows = connection.execute(f"SELECT _source_object, {identifier(name)} FROM {table.sql} ORDER BY ALL").fetchall()
    assert rows == [("a", 2), ("b1", 0), ("b2", 0)]


def test_decimals_and_instants_come_back_as_they_were(
    warehouse: Warehouse, connection: duckdb.DuckDBPyConnection
) -> None:
    table = TableName("raw", "typed")
    create_table(
        warehouse,
        connection,
        table,
        {"_source_object": "VARCHAR", "price": "DECIMAL(18,4)", "big": "DECIMAL(38,2)", "moment": "TIMESTAMPTZ"},
    )
    price, big = Decimal("-12345678901234.5678"), Decimal("123456789012345678901234567890123456.78")
    written = write_parquet(
        warehouse,
        connection,
        table,
        "b",
        f"SELECT 'a' AS _source_object, {price}::DECIMAL(18,4) AS price, '{big}'::DECIMAL(38,2) AS big, "
        "TIMESTAMPTZ '2026-03-29 03:30:00.123456+02:00' AS moment UNION ALL SELECT 'a', NULL, NULL, NULL",
    )
    replace_objects(warehouse, connection, table, ["a"], written, message="m", details={})
    with warehouse.connect(read_only=True) as reader:
        rows = reader.execute(f"SELECT price, big, moment FROM {table.sql} ORDER BY price NULLS LAST").fetchall()
    assert rows[0][:2] == (price, big)
    assert rows[0][2].astimezone(UTC) == datetime(2026, 3, 29, 1, 30, 0, 123456, tzinfo=UTC)
    assert rows[1] == (None, None, None)


def test_rows_that_do_not_fit_the_table_change_nothing(lake: Any) -> None:
    lake.put(1, "a")
    select = "SELECT 'a' AS _source_object, 2 AS value, 'x' AS unknown"
    written = write_parquet(lake.warehouse, lake.connection, lake.table, "b", select)
    with pytest.raises(duckdb.Error, match="unknown"):
        replace_objects(lake.warehouse, lake.connection, lake.table, ["a"], written, message="m", details={})
    assert lake.rows() == [("a", 1, 2)]


def test_each_written_file_has_a_name_of_its_own(lake: Any, platform_home: Home) -> None:
    written = [write_parquet(lake.warehouse, lake.connection, lake.table, "b", "SELECT 1 AS x") for _ in range(2)]
    assert len({each.path for each in written}) == 2
    assert [(each.rows, each.size_bytes) for each in written] == [
        (1, Path(each.path).stat().st_size) for each in written
    ]
    assert all(Path(each.path).is_relative_to(platform_home.lake) for each in written)


def test_replacing_nothing_by_nothing_makes_no_snapshot(lake: Any) -> None:
    """An object without rows that was not there before, in a transaction of its own."""
    written = write_parquet(
        lake.warehouse, lake.connection, lake.table, "empty", "SELECT 'a' AS _source_object, 1 AS value LIMIT 0"
    )
    assert replace_objects(lake.warehouse, lake.connection, lake.table, ["a"], written, message="m", details={}) is None
    assert lake.rows() == []
