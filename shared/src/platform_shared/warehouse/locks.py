"""One writer a table at a time (rule R2): DuckLake 1.0 loses conflicts between concurrent delete-and-insert."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg2
import psycopg2.errors

from platform_shared.postgres import PostgresServer

if TYPE_CHECKING:
    from psycopg2.extensions import cursor

_COME_BACK_SECONDS = 5
HELD = (
    "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1 "
    "AND ((classid::bigint << 32) | objid::bigint) = {key} AND pid = {session}"
)
"""Whether the session holds the lock of that key: a row or none."""


class LockLostError(RuntimeError):
    """The session that holds a table's lock is gone: what was about to be committed must not be."""


@dataclass(frozen=True)
class TableLock:
    """A held lock: its key, and the server's process id of the session that holds it."""

    table: str
    key: int
    session: int
    cursor: "cursor"

    def ask(self, query: str, values: tuple[str, ...] = ()) -> tuple[Any, ...] | None:
        """The first row of a query in the session that holds the lock. Raises LockLostError if that is gone."""
        try:
            self.cursor.execute(query, values or None)
            row: tuple[Any, ...] | None = self.cursor.fetchone() if self.cursor.description else None
        except psycopg2.Error as error:
            if self.cursor.connection.closed:
                raise LockLostError(f"The lock of {self.table} is lost: {error}") from error
            raise
        return row

    def check(self) -> None:
        """Raises LockLostError unless the lock is still held."""
        if self.ask(HELD.format(key=self.key, session=self.session)) is None:
            raise LockLostError(f"The lock of {self.table} is lost.")


@contextmanager
def table_lock(server: PostgresServer, table: str, waiting: Callable[[], object] = lambda: None) -> Iterator[TableLock]:
    """Holds the lock of `schema.table`. Raises LockLostError if the session dies while it waits.

    `waiting` is called once if it has to wait for long. While it waits, signals are heard every few seconds.

    It is a session lock in the catalog's own database: Postgres frees it when this process dies, kill -9 included.
    Needs a direct connection; a pooler in transaction mode breaks session locks.
    """
    key = int.from_bytes(hashlib.blake2b(table.encode(), digest_size=8).digest(), "big", signed=True)
    connection = server.connect()
    try:
        connection.autocommit = True
        lock = TableLock(table, key, connection.info.backend_pid, connection.cursor())
        _wait(lock, waiting)
        # Who had the lock before may have lost it in its commit (fence.py); after this, that commit has ended.
        lock.ask(f"SELECT pg_advisory_xact_lock({commit_key(key)})")
        yield lock
    finally:
        connection.close()


def _wait(lock: TableLock, waiting: Callable[[], object]) -> None:
    """A process that waits in the database hears no signal: it comes back now and then, and waits again."""
    lock.ask(f"SET lock_timeout = '{_COME_BACK_SECONDS}s'")
    told = False
    while True:
        try:
            lock.ask(f"SELECT pg_advisory_lock({lock.key})")
            break
        except psycopg2.errors.LockNotAvailable:
            if not told:
                waiting()
            told = True
    lock.ask("SET lock_timeout = 0")


def commit_key(key: int) -> int:
    """Key of the second lock of a table, which a commit itself holds."""
    return key ^ 1
