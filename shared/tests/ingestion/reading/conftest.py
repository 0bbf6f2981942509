"""Reads files of a test into a folder, without a lake: a plain DuckDB stands for it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest

from platform_shared.contracts import Column
from platform_shared.ingestion.reading import Format, Partition, ReadBatch, ReadLimits, Shape, Source, read_batch
from platform_shared.postgres import PostgresServer
from platform_shared.warehouse import TableName, Warehouse, Written, literal

LOADED_AT = "2025-03-04T05:06:07+00:00"

COLUMNS = (
    Column("id", "BIGINT", "Key.", required=True),
    Column("price", "DECIMAL(12,2)", "US dollars."),
    Column("day", "DATE", "Day."),
    Column("name", "VARCHAR", "Name."),
)
PARTITION = Partition("day_", "day", date(2025, 1, 1), date(2025, 12, 31))
ALL_BUT_FEW = ReadLimits(threshold=0.9)
"""Objects with a bad line in them still load."""


@dataclass
class Desk:
    """Where a test reads its files."""

    folder: Path
    connection: duckdb.DuckDBPyConnection
    shape: Shape
    reads: int = 0

    def read(self, files: Mapping[str, str | bytes], **changes: Any) -> ReadBatch:
        """Reads files of these names and contents; `changes` are those of the shape."""
        self.reads += 1
        sources = []
        for number, (name, content) in enumerate(files.items()):
            path = self.folder / f"{self.reads}-{number}"
            path.write_bytes(content.encode() if isinstance(content, str) else content)
            sources.append(Source(name, f"version of {name}", path))
        return self.read_sources(sources, **changes)

    def read_sources(self, sources: Sequence[Source], **changes: Any) -> ReadBatch:
        server: PostgresServer = None  # type: ignore[assignment]
        warehouse = Warehouse(server, f"{self.folder}/lake/", self.folder)
        shape = replace(self.shape, **changes)
        table = TableName("raw", "things")
        return read_batch(warehouse, self.connection, table, "batch 7", sources, shape, LOADED_AT, self.folder)

    def rows(self, read: ReadBatch, columns: str = "id, price, CAST(day AS VARCHAR), name") -> list[tuple[Any, ...]]:
        """The good rows, in order."""
        return self._select(read.written, columns)

    def rejects(self, read: ReadBatch, columns: str = "line, column_name, reason, content") -> list[tuple[Any, ...]]:
        """The bad rows, in order."""
        return self._select(read.rejected, columns)

    def parquet(self, select: str) -> bytes:
        """The bytes of a Parquet file with these rows."""
        path = self.folder / "made.parquet"
        self.connection.execute(f"COPY ({select}) TO {literal(str(path))} (FORMAT parquet)")
        return path.read_bytes()

    def _select(self, written: Written | None, columns: str) -> list[tuple[Any, ...]]:
        if written is None:
            return []
        query = f"SELECT {columns} FROM read_parquet({literal(written.path)}) ORDER BY ALL"
        return self.connection.execute(query).fetchall()


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(config={"threads": "2"}) as opened:
        opened.execute("ATTACH ':memory:' AS lake; SET TimeZone = 'UTC'")
        yield opened


@pytest.fixture
def desk(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> Callable[..., Desk]:
    """A desk for objects of a format; `changes` are those of the shape."""

    def make(format_: Format, **changes: Any) -> Desk:
        shape = Shape(COLUMNS, format_, partition=PARTITION, limits=ALL_BUT_FEW)
        return Desk(tmp_path, connection, replace(shape, **changes))

    return make
