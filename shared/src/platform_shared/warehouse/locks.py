"""One writer a table at a time (rule R2): DuckLake 1.0 loses conflicts between concurrent delete-and-insert."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg2

from platform_shared.postgres import PostgresServer


class LockLostError(RuntimeError):
    """The session that holds a table's lock is gone: what was about to be committed must not be."""


@contextmanager
def table_lock(server: PostgresServer, table: str) -> Iterator[Callable[[], None]]:
    """Holds the lock of `schema.table`; yields a check that raises LockLostError, to be called right before COMMIT.

    It is a session lock in the catalog's own database: Postgres frees it when this process dies, kill -9 included.
    Needs a direct connection; a pooler in transaction mode breaks session locks.
    """
    key = int.from_bytes(hashlib.blake2b(table.encode(), digest_size=8).digest(), "big", signed=True)
    connection = server.connect()
    try:
        connection.autocommit = True
        cursor = connection.cursor()
        cursor.execute("SELECT pg_advisory_lock(%s)", (key,))

        def still_held() -> None:
            try:
                cursor.execute(
                    "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND granted AND pid = pg_backend_pid()"
                )
                held = cursor.fetchone() is not None
            except psycopg2.Error as error:
                raise LockLostError(f"The lock of {table} is lost: {error}") from error
            if not held:
                raise LockLostError(f"The lock of {table} is lost.")

        yield still_held
    finally:
        connection.close()
