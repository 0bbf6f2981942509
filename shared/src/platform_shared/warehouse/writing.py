"""The write path of raw tables: write an immutable file, then register it in a short transaction (rules R1 and R2)."""

import json
import os
import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from platform_shared import faults
from platform_shared.warehouse.connection import LAKE, Warehouse
from platform_shared.warehouse.locks import LockLostError, table_lock
from platform_shared.warehouse.sql import identifier, literal, literals

OBJECT_COLUMN = "_source_object"
"""Column that says which source object a row came from; replacing an object replaces its rows."""

_ATTEMPTS = 3


@dataclass(frozen=True)
class TableName:
    """A table of the lake."""

    schema: str
    name: str

    @property
    def sql(self) -> str:
        """Qualified and quoted."""
        return f"{LAKE}.{identifier(self.schema)}.{identifier(self.name)}"

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"


@dataclass(frozen=True)
class Written:
    """An immutable Parquet file that no table knows of yet."""

    path: str
    rows: int
    size_bytes: int


def create_table(
    warehouse: Warehouse, connection: duckdb.DuckDBPyConnection, table: TableName, columns: Mapping[str, str]
) -> None:
    """Creates schema and table if they are not there; `columns` maps names to DuckDB types."""
    exists = (
        "SELECT 1 FROM duckdb_tables() WHERE database_name = "
        f"{literal(LAKE)} AND schema_name = {literal(table.schema)} AND table_name = {literal(table.name)}"
    )
    if connection.execute(exists).fetchone():
        return
    declared = ", ".join(f"{identifier(name)} {type_}" for name, type_ in columns.items())
    # One lock for all schemas and tables: concurrent CREATE SCHEMA collides in the catalog.
    with table_lock(warehouse.server, "ddl"):
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {LAKE}.{identifier(table.schema)}")
        connection.execute(f"CREATE TABLE IF NOT EXISTS {table.sql} ({declared})")


def write_parquet(
    warehouse: Warehouse, connection: duckdb.DuckDBPyConnection, table: TableName, batch: str, select: str
) -> Written:
    """Writes the rows of `select` to a Parquet file of a unique name, outside any transaction and lock, and fsyncs it.

    DuckLake itself does not fsync, and after a crash in COMMIT it deletes files that it wrote and may have committed.
    """
    safe_batch = re.sub(r"[^A-Za-z0-9._-]", "_", batch)[:80]
    path = Path(warehouse.data_path, "batches", table.schema, table.name, f"{safe_batch}-{uuid.uuid4().hex}.parquet")
    path.parent.mkdir(parents=True, exist_ok=True)
    copied = connection.execute(f"COPY ({select}) TO {literal(str(path))} (FORMAT parquet, COMPRESSION zstd)")
    row = copied.fetchone()
    faults.point("warehouse.after_copy")
    for entry in (path, path.parent):
        descriptor = os.open(entry, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    faults.point("warehouse.after_fsync")
    return Written(str(path), int(row[0]) if row else 0, path.stat().st_size)


def replace_objects(
    warehouse: Warehouse,
    connection: duckdb.DuckDBPyConnection,
    table: TableName,
    objects: Sequence[str],
    written: Written,
    *,
    message: str,
    details: Mapping[str, str],
    before_commit: Callable[[], None] = lambda: None,
) -> int:
    """Replaces all rows of `objects` by the file `written`, in one transaction; returns the snapshot id.

    Repeating it with a newly written file changes nothing. `before_commit` is called last, with the lock held, and
    vetoes by raising. `message` and `details` stand in the lake's snapshot. Conflicts and a lost lock are tried again,
    three times in all.
    """
    if not objects:
        raise ValueError("replace_objects needs at least one object")
    names = literals(objects)
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            with table_lock(warehouse.server, str(table)) as still_held:
                connection.execute("BEGIN")
                try:
                    connection.execute(
                        f"CALL {LAKE}.set_commit_message('platform', {literal(message)}, "
                        f"extra_info => {literal(json.dumps(dict(details), sort_keys=True))})"
                    )
                    # The range lets DuckLake skip files by their statistics, which an IN list does not.
                    connection.execute(
                        f"DELETE FROM {table.sql} WHERE {OBJECT_COLUMN} BETWEEN {literal(min(objects))} "
                        f"AND {literal(max(objects))} AND {OBJECT_COLUMN} IN ({names})"
                    )
                    faults.point("warehouse.after_delete")
                    if written.rows:
                        connection.execute(
                            f"CALL ducklake_add_data_files({literal(LAKE)}, {literal(table.name)}, "
                            f"{literal(written.path)}, schema => {literal(table.schema)}, hive_partitioning => false)"
                        )
                    before_commit()
                    still_held()
                    faults.point("warehouse.before_commit")
                    connection.execute("COMMIT")
                except BaseException:
                    _rollback(connection)
                    raise
                faults.point("warehouse.after_commit")
                row = connection.execute(f"SELECT id FROM {LAKE}.current_snapshot()").fetchone()
                return int(row[0]) if row else 0
        except (LockLostError, duckdb.TransactionException):
            if attempt == _ATTEMPTS:
                raise
    raise AssertionError("unreachable")


def _rollback(connection: duckdb.DuckDBPyConnection) -> None:
    try:
        connection.execute("ROLLBACK")
    except duckdb.Error:
        # The transaction is gone already (a failed COMMIT ends it); the error that led here is the one to show.
        return
