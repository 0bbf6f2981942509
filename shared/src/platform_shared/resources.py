"""The resources that locations share. They find the platform when they are used: loading a location does no I/O."""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
import duckdb

from platform_shared.ledger import Ledger, Outbox
from platform_shared.postgres import postgres
from platform_shared.settings import Home, platform_home
from platform_shared.warehouse import Warehouse


class PlatformFolders(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Landing zone, quarantine and reports."""

    def home(self) -> Home:
        """The folders of this process's platform."""
        return platform_home()


class LedgerResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The ledger and the outbox, in the platform's Postgres."""

    @contextmanager
    def ledger(self) -> Iterator[Ledger]:
        """The ledger, its connection given back at the end."""
        ledger = Ledger(postgres())
        try:
            yield ledger
        finally:
            ledger.close()

    @contextmanager
    def outbox(self) -> Iterator[Outbox]:
        """The outbox, its connection given back at the end."""
        outbox = Outbox(postgres())
        try:
            yield outbox
        finally:
            outbox.close()


class WarehouseResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The lake. `memory_limit` (a DuckDB size) and `threads` are for one connection."""

    memory_limit: str = "1GB"
    threads: int = 2

    def warehouse(self) -> Warehouse:
        """Where the lake is."""
        return Warehouse.of(memory_limit=self.memory_limit, threads=self.threads)

    @contextmanager
    def read(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A read-only connection; readers are never blocked by writers."""
        with self.warehouse().connect(read_only=True) as connection:
            yield connection
