"""The write path of raw tables: write an immutable file, then register it in a short transaction (rules R1 and R2)."""

import os
import re
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from platform_shared import faults
from platform_shared.warehouse.connection import LAKE, Warehouse
from platform_shared.warehouse.kept_files import fsync, kept_files
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
    try:
        copied = connection.execute(f"COPY ({select}) TO {literal(str(path))} (FORMAT parquet, COMPRESSION zstd)")
        row = copied.fetchone()
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    faults.point("warehouse.after_copy")
    # Up to the data path: a folder that is new is a name in the one above.
    for entry in (path, *path.parents[:4]):
        fsync(entry)
    faults.point("warehouse.after_fsync")
    return Written(str(path), int(row[0]) if row else 0, path.stat().st_size)


def _safe(name: str) -> str:
    """A name as part of a path."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", name)


def add_columns(
    warehouse: Warehouse, connection: duckdb.DuckDBPyConnection, table: TableName, columns: Mapping[str, str]
) -> None:
    """Adds those of `columns` (name -> DuckDB type) that the table does not have; in rows that are there they are NULL.

    May be called by several at once, and again. Raises ValueError, and adds nothing, if a column is there with another
    type; names in other letter case are the same. Raises LookupError if the table is not there.
    """
    if not _missing_columns(connection, table, columns):
        return
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            with table_transaction(
                warehouse, connection, table.schema, table.name, message="add columns", details=dict(columns)
            ):
                # Somebody else may have added them while we waited for the lock.
                for name, type_ in _missing_columns(connection, table, columns).items():
                    connection.execute(f"ALTER TABLE {table.sql} ADD COLUMN {identifier(name)} {type_}")
            return
        except (LockLostError, duckdb.TransactionException):
            if attempt == _ATTEMPTS:
                raise


def _missing_columns(
    connection: duckdb.DuckDBPyConnection, table: TableName, columns: Mapping[str, str]
) -> dict[str, str]:
    rows = connection.execute(
        f"SELECT lower(column_name), data_type FROM duckdb_columns() WHERE database_name = {literal(LAKE)} "
        f"AND schema_name = {literal(table.schema)} AND table_name = {literal(table.name)}"
    ).fetchall()
    there = dict(rows)
    missing = {name: type_ for name, type_ in columns.items() if name.lower() not in there}
    for name in columns.keys() - missing.keys():
        row = connection.execute(f"SELECT typeof(CAST(NULL AS {columns[name]}))").fetchone()
        wanted, found = row[0] if row else "", there[name.lower()]
        if wanted != found:
            raise ValueError(f"Column {name!r} of {table} is {found}; it cannot be added as {wanted}")
    return missing


@dataclass(frozen=True)
class Rejects:
    """The table of an object's bad lines, and the file with the new ones; None if there are none now."""

    table: TableName
    written: Written | None


def replace_objects(
    warehouse: Warehouse,
    connection: duckdb.DuckDBPyConnection,
    table: TableName,
    objects: Sequence[str],
    written: Written,
    *,
    message: str,
    details: Mapping[str, str],
    rejects: Rejects | None = None,
    before_commit: Callable[[], None] = lambda: None,
) -> int | None:
    """Replaces all rows of `objects` by the file `written`, in one transaction.

    Returns the snapshot's id, or None if there was nothing to change.

    With `rejects` their rows in that table are replaced, too, in the same transaction. A file may lack columns of its
    table: they are NULL. Repeating it with newly written files changes nothing; the same file must not be given twice.
    `before_commit` is called last, with the lock held, and vetoes by raising. `message` and `details` stand in the
    lake's snapshot. Conflicts, a lost lock and a commit without an answer are tried again, three times in all.
    """
    if not objects:
        raise ValueError("replace_objects needs at least one object")
    before = _last_snapshot(connection)
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            with (
                _second_table(warehouse, rejects.table if rejects else None) as check_second,
                table_transaction(
                    warehouse,
                    connection,
                    table.schema,
                    table.name,
                    message=message,
                    details=details,
                    before_commit=_one_by_one(before_commit, check_second),
                ),
            ):
                _replace(connection, table, objects, written, fresh_name=attempt > 1)
                if rejects:
                    _replace(connection, rejects.table, objects, rejects.written, fresh_name=attempt > 1)
            break
        except (LockLostError, duckdb.TransactionException):
            if attempt == _ATTEMPTS:
                raise
    after = _last_snapshot(connection)
    return None if after == before else after


def _last_snapshot(connection: duckdb.DuckDBPyConnection) -> int | None:
    """Id of the last snapshot that this connection committed; a transaction that changed nothing makes none."""
    row = connection.execute(f"SELECT id FROM {LAKE}.last_committed_snapshot()").fetchone()
    return None if row is None or row[0] is None else int(row[0])


def _replace(
    connection: duckdb.DuckDBPyConnection,
    table: TableName,
    objects: Sequence[str],
    written: Written | None,
    *,
    fresh_name: bool,
) -> None:
    # The range lets DuckLake skip files by their statistics, which an IN list does not.
    connection.execute(
        f"DELETE FROM {table.sql} WHERE {OBJECT_COLUMN} BETWEEN {literal(min(objects))} "
        f"AND {literal(max(objects))} AND {OBJECT_COLUMN} IN ({literals(objects)})"
    )
    faults.point("warehouse.after_delete")
    if written and written.rows:
        path = _second_name(written.path) if fresh_name else written.path
        connection.execute(
            f"CALL ducklake_add_data_files({literal(LAKE)}, {literal(table.name)}, {literal(path)}, "
            f"schema => {literal(table.schema)}, hive_partitioning => false, allow_missing => true)"
        )


def _one_by_one(*functions: Callable[[], None]) -> Callable[[], None]:
    def call() -> None:
        for function in functions:
            function()

    return call


@contextmanager
def _second_table(warehouse: Warehouse, table: TableName | None) -> Iterator[Callable[[], None]]:
    """Makes a second table a part of a transaction on another one; the function goes right before COMMIT.

    The commit is fenced by the lock of the first table, which every writer of the second holds; the lock of the second
    keeps maintenance away. It comes first: a transaction must begin with both locks held.
    """
    if table is None:
        yield lambda: None
        return
    with table_lock(warehouse.server, str(table)) as lock:
        files = kept_files(warehouse.data_path, lock, table.schema, table.name)
        files.bring_back_leftovers()
        before = files.present()
        kept: list[str] = []

        def check() -> None:
            lock.check()
            kept.extend(files.keep(before))

        try:
            yield check
        except BaseException:
            files.bring_back(kept)
            raise
        finally:
            files.drop(kept)


def _second_name(path: str) -> str:
    """The same immutable file under a fresh name.

    The commit before may count although it seemed to fail. Then the file is in the catalog, and replaced by this try:
    under one name, the clean-up of the replaced file would take the new one.
    """
    fresh = str(Path(path).with_name(f"{uuid.uuid4().hex}.parquet"))
    os.link(path, fresh)
    fsync(Path(fresh).parent)
    return fresh
