"""The one way in which the platform changes a table: under its lock, fenced, with nothing to lose in COMMIT."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import duckdb

from platform_shared import faults
from platform_shared.warehouse.connection import LAKE, Warehouse
from platform_shared.warehouse.fence import AUTHOR, ensure_fence, fence_token
from platform_shared.warehouse.kept_files import kept_files
from platform_shared.warehouse.locks import table_lock
from platform_shared.warehouse.sql import literal


@contextmanager
def table_transaction(
    warehouse: Warehouse,
    connection: duckdb.DuckDBPyConnection,
    schema: str,
    name: str,
    *,
    message: str,
    details: Mapping[str, str],
    before_commit: Callable[[], None] = lambda: None,
) -> Iterator[None]:
    """Commits what the body does to the table `schema.name`, or nothing of it if anything raises.

    `message` and `details` stand in the lake's snapshot. `before_commit` is called last and vetoes by raising. Raises
    LockLostError if the lock was lost before COMMIT, duckdb.TransactionException if COMMIT failed: for a lost lock, for
    a conflict, or because the catalog did not answer, in which case the commit may count.
    """
    with table_lock(warehouse.server, f"{schema}.{name}") as lock:
        ensure_fence(lock)
        files = kept_files(warehouse.data_path, lock, schema, name)
        files.bring_back_leftovers()
        before = files.present()
        extra = json.dumps({**details, "lock": fence_token(lock)}, sort_keys=True)
        connection.execute("BEGIN")
        try:
            connection.execute(
                f"CALL {LAKE}.set_commit_message({literal(AUTHOR)}, {literal(message)}, extra_info => {literal(extra)})"
            )
            yield
            before_commit()
            lock.check()
            kept = files.keep(before)
        except BaseException:
            _rollback(connection)
            raise
        try:
            faults.point("warehouse.before_commit")
            connection.execute("COMMIT")
        except BaseException:
            _rollback(connection)
            files.bring_back(kept)
            files.drop(kept)
            raise
        files.drop(kept)
        faults.point("warehouse.after_commit")


def _rollback(connection: duckdb.DuckDBPyConnection) -> None:
    try:
        connection.execute("ROLLBACK")
    except duckdb.Error:
        # The transaction is gone already (a failed COMMIT ends it); the error that led here is the one to show.
        return
