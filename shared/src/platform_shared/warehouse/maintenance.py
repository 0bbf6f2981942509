"""Keeping the lake small and sound: compaction, expiry, and a look for files that are listed but not there."""

import os

import duckdb

from platform_shared.warehouse.connection import LAKE, Warehouse
from platform_shared.warehouse.kept_files import kept_files
from platform_shared.warehouse.locks import table_lock
from platform_shared.warehouse.sql import literal
from platform_shared.warehouse.transactions import table_transaction
from platform_shared.warehouse.writing import TableName

MINIMUM_KEEP_HOURS = 24


def tables(connection: duckdb.DuckDBPyConnection) -> list[TableName]:
    """All tables of the lake."""
    rows = connection.execute(
        f"SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = {literal(LAKE)} ORDER BY ALL"
    ).fetchall()
    return [TableName(schema, name) for schema, name in rows]


def compact(warehouse: Warehouse, connection: duckdb.DuckDBPyConnection, table: TableName) -> None:
    """Rewrites files of which much is deleted, and merges small neighbours."""
    arguments = f"{literal(LAKE)}, {literal(table.name)}, schema => {literal(table.schema)}"
    for call in (
        f"ducklake_rewrite_data_files({arguments}, delete_threshold => 0.2)",
        f"ducklake_merge_adjacent_files({arguments})",
    ):
        with table_transaction(warehouse, connection, table.schema, table.name, message="compact", details={}):
            connection.execute(f"CALL {call}")


def expire(connection: duckdb.DuckDBPyConnection, *, keep_hours: int) -> None:
    """Forgets snapshots older than `keep_hours`, and deletes files that for so long no snapshot has listed.

    Raises ValueError below 24 hours: expiring a snapshot that is newer than an open transaction loses its deletes.
    Files that a killed process left before its commit stay: DuckLake's function for them fails when any file vanishes
    while it looks, and would empty a lake that is opened with another catalog by mistake.
    """
    if keep_hours < MINIMUM_KEEP_HOURS:
        raise ValueError(f"keep_hours={keep_hours}: snapshots of the last {MINIMUM_KEEP_HOURS} hours must be kept")
    older = f"older_than => now() - INTERVAL {literal(f'{keep_hours} hours')}"
    connection.execute(f"CALL ducklake_expire_snapshots({literal(LAKE)}, {older})")
    connection.execute(f"CALL ducklake_cleanup_old_files({literal(LAKE)}, {older})")


def missing_files(connection: duckdb.DuckDBPyConnection, table: TableName) -> list[str]:
    """Files that the catalog lists for the current snapshot and that cannot be read (a crash of the catalog)."""
    rows = connection.execute(
        f"SELECT unnest([data_file, delete_file]) FROM ducklake_list_files({literal(LAKE)}, {literal(table.name)}, "
        f"schema => {literal(table.schema)})"
    ).fetchall()
    return [path for (path,) in rows if path is not None and not os.access(path, os.R_OK)]


def bring_back_files(warehouse: Warehouse, table: TableName) -> list[str]:
    """Restores what a process that died in a commit on `table` may have lost; returns the paths.

    Every write does the same first; this is for a table that is not written to and that `missing_files` complains of.
    """
    with table_lock(warehouse.server, str(table)) as lock:
        return kept_files(warehouse.data_path, lock, table.schema, table.name).bring_back_leftovers()
