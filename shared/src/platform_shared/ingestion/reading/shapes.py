"""What a feed's objects look like, and what reading a batch of them gives."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from pathlib import Path

from platform_shared.contracts import Column
from platform_shared.warehouse import TableName, Written
from platform_shared.warehouse.writing import OBJECT_COLUMN

PROVENANCE: Mapping[str, str] = {
    OBJECT_COLUMN: "VARCHAR",
    "_source_version": "VARCHAR",
    "_batch_id": "VARCHAR",
    "_loaded_at": "TIMESTAMPTZ",
}
"""Columns that every raw table carries beside the source's."""

REJECTS: Mapping[str, str] = {
    **PROVENANCE,
    "line": "BIGINT",
    "column_name": "VARCHAR",
    "reason": "VARCHAR",
    "content": "VARCHAR",
}
"""Columns of a rejects table. `line` is the physical line in the object (header: 1), in Parquet the row from 1.

`content` is the line as it came, cut to `CONTENT_CHARACTERS`.
"""

CONTENT_CHARACTERS = 2_000
"""Of a bad line's content, how much is kept."""

INTERNAL = "__reading_"
"""How names begin that no column may have."""


def rejects_table(table: TableName) -> TableName:
    """Where the bad lines of a table's objects are kept."""
    return TableName(table.schema, f"{table.name}_rejects")


@dataclass(frozen=True)
class Source:
    """A local file to read: where it is, and which version of which object it is.

    The end of the object's id, not of the path, says how it is packed: `.gz` and `.zst`; else it is plain.
    """

    object_id: str
    version: str
    path: Path


class Format(StrEnum):
    """How rows are written."""

    CSV = "csv"
    """RFC 4180 in UTF-8 with a header line: columns by name in any order, line ends of any kind, empty is NULL."""

    JSON_LINES = "json_lines"
    """An object a line, in UTF-8."""

    PARQUET = "parquet"
    """Columns by name; values are converted where that loses nothing."""


class Drift(StrEnum):
    """What becomes of an object with columns that the feed does not declare."""

    REJECT = "reject"
    """The object is bad."""

    ADD_COLUMN = "add_column"
    """The table gets the columns. CSV: text. JSON lines: BIGINT, DOUBLE, BOOLEAN, JSON (nested) or text, by all values
    of the batch. Parquet: the file's type, text where files differ. A column that the table has already keeps its type.
    """

    IGNORE = "ignore"
    """The columns are left out."""


@dataclass(frozen=True)
class Partition:
    """How the partition of a row is found: SQL over the source's columns and `_source_object`, and the days allowed."""

    column: str
    expression: str
    first: date
    last: date

    def __post_init__(self) -> None:
        if self.first > self.last:
            raise ValueError(f"partition {self.column}: the first day {self.first} is after the last one {self.last}")


@dataclass(frozen=True)
class ReadLimits:
    """What is too much for one object. Sizes in bytes, unpacked; `threshold` is a share of lines."""

    threshold: float = 0.01
    """More bad lines than this, and the whole object is bad."""

    max_line_bytes: int = 2 * 1024**2
    """Of a line, a CSV record over several lines, or a text value in Parquet."""

    max_object_bytes: int = 16 * 1024**3

    max_expansion: int = 200
    """Unpacked size to packed size; more is a bomb, above `free_expansion_bytes`."""

    free_expansion_bytes: int = 64 * 1024**2

    def __post_init__(self) -> None:
        if not 0 <= self.threshold <= 1:
            raise ValueError(f"threshold={self.threshold} is no share between 0 and 1")


@dataclass(frozen=True)
class Shape:
    """What the rows of a feed look like. Raises ValueError for names that are used twice or by the platform."""

    columns: tuple[Column, ...]
    format: Format
    drift: Drift = Drift.REJECT
    partition: Partition | None = None
    limits: ReadLimits = ReadLimits()
    delimiter: str = ","

    def __post_init__(self) -> None:
        names = [column.name for column in self.columns]
        if not names:
            raise ValueError("a feed needs at least one column")
        for name in names:
            if sum(name.lower() == other.lower() for other in names) > 1:
                raise ValueError(f"column {name!r} is declared twice")
            if is_reserved(name):
                raise ValueError(f"column {name!r}: the name is the platform's own")
        if len(self.delimiter) != 1 or self.delimiter in '"\r\n' or not self.delimiter.isascii():
            raise ValueError(f"delimiter {self.delimiter!r} is not one ASCII character other than a quote or line end")

    @property
    def table_columns(self) -> dict[str, str]:
        """Names and DuckDB types of the feed's table: the declared ones, the partition's, the provenance's."""
        declared = {column.name: column.type for column in self.columns}
        return declared | ({self.partition.column: "DATE"} if self.partition else {}) | dict(PROVENANCE)


def is_reserved(name: str) -> bool:
    """Whether the platform uses this name itself."""
    return name.lower() in PROVENANCE or name.lower().startswith(INTERNAL)


@dataclass(frozen=True)
class ReadObject:
    """An object that is read: its good and its bad rows, and the partitions of the good ones, in order."""

    rows: int
    rejects: int
    partitions: tuple[date, ...]


@dataclass(frozen=True)
class ReadBatch:
    """What a batch gave. Each object is either in `loaded` or, with the reason, in `bad`."""

    written: Written | None
    """Good rows of all loaded objects; None if there is no such object."""

    rejected: Written | None
    """Bad rows of the loaded objects, with the columns of REJECTS; None if there are none."""

    loaded: Mapping[str, ReadObject]
    bad: Mapping[str, str]
    added: Mapping[str, str] = field(default_factory=dict)
    """Columns in `written` that the table has yet to get: name -> DuckDB type."""
