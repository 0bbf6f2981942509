"""Connections to the lake."""

import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from platform_shared.postgres import CATALOG_SCHEMA, PostgresServer, first_use, postgres
from platform_shared.settings import Home, platform_home
from platform_shared.warehouse.extensions import extension_directory
from platform_shared.warehouse.sql import literal

LAKE = "lake"
"""Name under which the lake is attached, here and in dbt's profile."""


@dataclass(frozen=True)
class Warehouse:
    """Where the lake is and how much of the machine one connection may take.

    `memory_limit` is a DuckDB size (`"1GB"`): each run is a process of its own, and DuckDB's default of 80 % of the
    memory *each* over-commits.
    """

    server: PostgresServer
    data_path: str
    extensions: Path
    memory_limit: str = "1GB"
    threads: int = 2

    @staticmethod
    def of(home: Home | None = None, *, memory_limit: str = "1GB", threads: int = 2) -> "Warehouse":
        """The platform's warehouse; starts the embedded Postgres if it is down."""
        home = home or platform_home()
        return Warehouse(postgres(home), f"{home.lake}/", home.duckdb_extensions, memory_limit, threads)

    @contextmanager
    def connect(self, *, read_only: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
        """A DuckDB instance of its own with the lake attached as `lake` and UTC as its time zone.

        Writers call this in run processes only: DuckDB may abort the process if the catalog vanishes in a commit.
        """
        connection = duckdb.connect(
            config={
                "extension_directory": str(extension_directory(self.extensions)),
                "autoinstall_known_extensions": "false",
                "memory_limit": self.memory_limit,
                "threads": str(self.threads),
                # What exceeds the memory; by default DuckDB would put it into the working directory.
                "temp_directory": str(Path(tempfile.gettempdir(), f"duckdb-{uuid.uuid4().hex}")),
            }
        )
        try:
            connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
            for name in ("postgres_scanner", "ducklake"):
                connection.load_extension(name)
            connection.execute("SET ducklake_max_retry_count = 100; SET ducklake_retry_wait_ms = 50")
            connection.execute(self._catalog_secret())
            self._make_catalog(connection)
            self._attach(connection, *(["READ_ONLY"] if read_only else []))
            yield connection
        finally:
            connection.close()

    def _make_catalog(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Attaching a lake for the first time makes its catalog; two at once would collide."""
        with first_use(self.server, f"{CATALOG_SCHEMA}.ducklake_sort_expression") as fresh:
            if fresh:
                self._attach(connection)
                connection.execute(f"DETACH {LAKE}")

    def _attach(self, connection: duckdb.DuckDBPyConnection, *options: str) -> None:
        all_options = [
            f"DATA_PATH {literal(self.data_path)}",
            f"METADATA_SCHEMA {literal(CATALOG_SCHEMA)}",
            "DATA_INLINING_ROW_LIMIT 0",
            "META_SECRET 'catalog'",
            *options,
        ]
        connection.execute(f"ATTACH 'ducklake:postgres:' AS {LAKE} ({', '.join(all_options)})")

    def _catalog_secret(self) -> str:
        """The catalog's address as a secret: DuckDB redacts it where an attach string would show the password."""
        parameters = self.server.libpq()
        parts = [f"{'DATABASE' if name == 'dbname' else name} {literal(value)}" for name, value in parameters.items()]
        return f"CREATE SECRET catalog (TYPE postgres, {', '.join(parts)})"
