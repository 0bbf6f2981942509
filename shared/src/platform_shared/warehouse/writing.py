"""The write path of raw tables: write an immutable file, then register it in a short transaction (rules R1 and R2)."""

import os
import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from platform_shared import faults
from platform_shared.warehouse.connection import LAKE, Warehouse
from platform_shared.warehouse.kept_files import fsync
from platform_shared.warehouse.locks import LockLostError, table_lock
from platform_shared.warehouse.sql import identifier, literal, literals
from platform_shared.warehouse.transactions import table_transaction

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
    folder = Path(warehouse.data_path, "batches", _safe(table.schema), _safe(table.name))
    path = folder / f"{_safe(batch)[:80]}-{uuid.uuid4().hex}.parquet"
    folder.mkdir(parents=True, exist_ok=True)
    copied = connection.execute(f"COPY ({select}) TO {literal(str(path))} (FORMAT parquet, COMPRESSION zstd)")
    row = copied.fetchone()
    faults.point("warehouse.after_copy")
    # Up to the data path: a folder that is new is a name in the one above.
    for entry in (path, *path.parents[:4]):
        fsync(entry)
    faults.point("warehouse.after_fsync")
    return Written(str(path), int(row[0]) if row else 0, path.stat().st_size)


def _safe(name: str) -> str:
    """A name as part of a path."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", name)


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

    Repeating it with a newly written file changes nothing; the same file must not be given twice. `before_commit` is
    called last, with the lock held, and vetoes by raising. `message` and `details` stand in the lake's snapshot.
    Conflicts, a lost lock and a commit without an answer are tried again, three times in all.
    """
    if not objects:
        raise ValueError("replace_objects needs at least one object")
    names = literals(objects)
    for attempt in range(1, _ATTEMPTS + 1):
        path = written.path if attempt == 1 else _second_name(written.path)
        try:
            with table_transaction(
                warehouse,
                connection,
                table.schema,
                table.name,
                message=message,
                details=details,
                before_commit=before_commit,
            ):
                # The range lets DuckLake skip files by their statistics, which an IN list does not.
                connection.execute(
                    f"DELETE FROM {table.sql} WHERE {OBJECT_COLUMN} BETWEEN {literal(min(objects))} "
                    f"AND {literal(max(objects))} AND {OBJECT_COLUMN} IN ({names})"
                )
                faults.point("warehouse.after_delete")
                if written.rows:
                    connection.execute(
                        f"CALL ducklake_add_data_files({literal(LAKE)}, {literal(table.name)}, {literal(path)}, "
                        f"schema => {literal(table.schema)}, hive_partitioning => false)"
                    )
            break
        except (LockLostError, duckdb.TransactionException):
            if attempt == _ATTEMPTS:
                raise
    row = connection.execute(f"SELECT id FROM {LAKE}.last_committed_snapshot()").fetchone()
    return int(row[0]) if row else 0


def _second_name(path: str) -> str:
    """The same immutable file under a fresh name.

    The commit before may count although it seemed to fail. Then the file is in the catalog, and replaced by this try:
    under one name, the clean-up of the replaced file would take the new one.
    """
    fresh = str(Path(path).with_name(f"{uuid.uuid4().hex}.parquet"))
    os.link(path, fresh)
    fsync(Path(fresh).parent)
    return fresh
