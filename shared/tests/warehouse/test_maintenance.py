"""Keeping the lake small and sound."""

from pathlib import Path
from typing import Any

import duckdb
import pytest

from platform_shared.warehouse import TableName, Warehouse
from platform_shared.warehouse.maintenance import compact, expire, missing_files, tables


def listed(lake: Any) -> list[tuple[str, str | None]]:
    rows = lake.connection.execute(
        "SELECT data_file, delete_file FROM ducklake_list_files('lake', 'orders', schema => 'raw')"
    )
    return list(rows.fetchall())


def on_disk(warehouse: Warehouse) -> int:
    return len(list(Path(warehouse.data_path).rglob("*.parquet")))


def test_compaction_makes_one_file_of_many_and_keeps_the_rows(lake: Any, warehouse: Warehouse) -> None:
    for value in range(4):
        lake.put(value, f"object {value}", "shared")
    expected = lake.rows()
    assert len(listed(lake)) == 4
    assert any(deleted for _, deleted in listed(lake))
    # The first round rewrites what has deleted rows, and merges; the second merges the rewritten.
    for _ in range(2):
        compact(warehouse, lake.connection, lake.table)
    assert len(listed(lake)) == 1
    assert lake.rows() == expected


def test_compaction_with_nothing_to_do_leaves_no_snapshot(lake: Any, warehouse: Warehouse) -> None:
    lake.put(1, "a")
    count = "SELECT count(*) FROM lake.snapshots()"
    before = lake.connection.execute(count).fetchone()
    compact(warehouse, lake.connection, lake.table)
    assert lake.connection.execute(count).fetchone() == before


def test_objects_of_a_merged_file_are_replaced_one_by_one(lake: Any, warehouse: Warehouse) -> None:
    lake.put(1, "a", "b")
    lake.put(1, "c")
    compact(warehouse, lake.connection, lake.table)
    lake.put(2, "b")
    assert lake.rows() == [("a", 1, 2), ("b", 2, 2), ("c", 1, 2)]


@pytest.mark.parametrize("hours", [23, 0, -1])
def test_less_than_a_day_of_snapshots_is_refused(hours: int, connection: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(ValueError, match="24 hours"):
        expire(connection, keep_hours=hours)


def test_expiry_takes_what_is_old_and_no_longer_read(lake: Any, warehouse: Warehouse) -> None:
    for value in range(4):
        lake.put(value, "a", "b")
    expire(lake.connection, keep_hours=24)
    assert on_disk(warehouse) == 4, "all is younger than a day"

    session = warehouse.server.connect()
    with session, session.cursor() as cursor:
        cursor.execute("UPDATE lake.ducklake_snapshot SET snapshot_time = snapshot_time - interval '25 hours'")
    session.close()
    expire(lake.connection, keep_hours=24)
    assert on_disk(warehouse) == 4, "files are kept for a day after the snapshots that list them"

    session = warehouse.server.connect()
    with session, session.cursor() as cursor:
        column = "schedule_start"
        cursor.execute(
            f"UPDATE lake.ducklake_files_scheduled_for_deletion SET {column} = {column} - interval '25 hours'"
        )
    session.close()
    expire(lake.connection, keep_hours=24)
    assert on_disk(warehouse) == 1
    assert lake.rows() == [("a", 3, 2), ("b", 3, 2)]


def test_files_that_are_gone_are_found(lake: Any) -> None:
    lake.put(1, "a", "b")
    lake.put(2, "a")
    lake.put(1, "c")
    assert missing_files(lake.connection, lake.table) == []
    gone = [path for row in listed(lake) for path in row if path]
    assert len(gone) == 4, "three of data, one of deleted rows"
    for path in gone:
        Path(path).unlink()
    assert sorted(missing_files(lake.connection, lake.table)) == sorted(gone)


def test_all_tables_are_listed(lake: Any) -> None:
    lake.connection.execute("CREATE SCHEMA lake.marts; CREATE TABLE lake.marts.daily (x INTEGER)")
    lake.connection.execute("CREATE VIEW lake.marts.view AS SELECT 1 AS x")
    assert tables(lake.connection) == [TableName("marts", "daily"), TableName("raw", "orders")]
