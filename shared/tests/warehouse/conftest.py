"""A lake of the test's own, and a relay that stands between it and its Postgres."""

import select
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import duckdb
import pytest

from platform_shared import faults
from platform_shared.settings import Home
from platform_shared.warehouse import TableName, Warehouse, create_table, literal, replace_objects, write_parquet


@pytest.fixture
def warehouse(platform_home: Home) -> Warehouse:
    return Warehouse.of(platform_home, memory_limit="256MB", threads=1)


@pytest.fixture
def connection(warehouse: Warehouse) -> Iterator[duckdb.DuckDBPyConnection]:
    with warehouse.connect() as opened:
        yield opened


@pytest.fixture(autouse=True)
def _no_faults() -> Iterator[None]:
    yield
    faults.install(None)


class Lake:
    """One table `raw.orders` (object, value), and the few things that tests do with it."""

    table = TableName("raw", "orders")

    def __init__(self, warehouse: Warehouse, connection: duckdb.DuckDBPyConnection) -> None:
        self.warehouse, self.connection = warehouse, connection
        create_table(warehouse, connection, self.table, {"_source_object": "VARCHAR", "value": "INTEGER"})

    def put(self, value: int, *objects: str, rows: int = 2, **options: Any) -> int:
        """Replaces each object by `rows` rows of this value."""
        return put(self.warehouse, self.connection, self.table, value, *objects, rows=rows, **options)

    def rows(self) -> list[tuple[str, int, int]]:
        """(object, value, number of rows), as a reader of its own sees them."""
        query = f"SELECT _source_object, value, count(*) FROM {self.table.sql} GROUP BY ALL ORDER BY ALL"
        with self.warehouse.connect(read_only=True) as reader:
            return reader.execute(query).fetchall()


def put(
    warehouse: Warehouse,
    connection: duckdb.DuckDBPyConnection,
    table: TableName,
    value: int,
    *objects: str,
    rows: int = 2,
    **options: Any,
) -> int:
    names = ", ".join(f"({literal(name)})" for name in objects)
    select = f"SELECT name AS _source_object, {value} AS value FROM (VALUES {names}) AS o(name), range({rows})"
    written = write_parquet(warehouse, connection, table, f"batch {value}", select)
    details = {"batch": str(value), **options.pop("details", {})}
    return replace_objects(warehouse, connection, table, objects, written, message="test", details=details, **options)


@pytest.fixture
def lake(warehouse: Warehouse, connection: duckdb.DuckDBPyConnection) -> Lake:
    return Lake(warehouse, connection)


@pytest.fixture
def another_writer(warehouse: Warehouse) -> Iterator[Callable[..., int]]:
    """`Lake.put` over a connection of another writer."""
    with warehouse.connect() as opened:
        yield lambda value, *objects, **options: put(warehouse, opened, Lake.table, value, *objects, **options)


_COMMIT = b"Q\0\0\0\x0bCOMMIT\0"
"""As a client sends it."""


class Relay:
    """Passes sessions on to a Postgres socket, from a socket of its own or from a port of 127.0.0.1.

    Once armed, it passes the next COMMIT on, waits until the server has done it, and breaks the session off instead of
    passing on the answer.
    """

    def __init__(self, target: str, folder: Path | None) -> None:
        self._target = target
        self.armed = False
        self.lost = 0
        self._listener = socket.socket(socket.AF_UNIX if folder else socket.AF_INET)
        self._listener.bind(str(folder / ".s.PGSQL.5432") if folder else ("127.0.0.1", 0))
        self._listener.listen(50)
        self.port = 5432 if folder else self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX) as server, suppress(OSError):
            server.connect(self._target)
            while True:
                readable, _, _ = select.select([client, server], [], [])
                for source, sink in ((client, server), (server, client)):
                    if source not in readable:
                        continue
                    data = source.recv(1 << 16)
                    if not data:
                        return
                    sink.sendall(data)
                    if source is client and self.armed and data == _COMMIT:
                        self.armed = False
                        self.lost += 1
                        server.recv(1 << 16)
                        return


@pytest.fixture
def relay(warehouse: Warehouse) -> Iterator[Callable[..., tuple[Relay, str]]]:
    """Opens a relay to the test's Postgres: the relay, and the host to connect to."""
    target = f"{warehouse.server.libpq()['host']}/.s.PGSQL.5432"
    opened: list[Relay] = []
    with tempfile.TemporaryDirectory(prefix="relay-") as folder:

        def open_relay(*, tcp: bool = False) -> tuple[Relay, str]:
            opened.append(Relay(target, None if tcp else Path(folder)))
            return opened[-1], "127.0.0.1" if tcp else folder

        yield open_relay
        for each in opened:
            each.close()
