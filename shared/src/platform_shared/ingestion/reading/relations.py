"""What the readers of the formats give to the batch: SQL of one relation over their objects, alike for all formats.

Its columns: `object`, `version`, `content` (the line as it came), `number` (of the line), `fault` (why the line is no
row at all, or NULL) and for each target column its text, its value, and whether the value says less than the text.
"""

import errno
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import duckdb

from platform_shared.ingestion.reading.shapes import INTERNAL, Source
from platform_shared.ingestion.reading.unpacking import UnreadableError
from platform_shared.warehouse.sql import identifier, literal

UNKNOWN = "unknown column"
"""How the fault of a line begins that has a column which nobody declared."""

OBJECT, VERSION, CONTENT, NUMBER, FAULT = (
    INTERNAL + name for name in ("object", "version", "content", "number", "fault")
)


def text_name(index: int) -> str:
    """The text of the target column of this index."""
    return f"{INTERNAL}text{index}"


def value_name(index: int) -> str:
    """Its value."""
    return f"{INTERNAL}value{index}"


def lost_name(index: int) -> str:
    """Whether the value is not all that the text says."""
    return f"{INTERNAL}lost{index}"


@dataclass(frozen=True)
class Target:
    """A column to fill: its DuckDB type, as DuckDB spells it, and whether it may be empty."""

    name: str
    type: str
    required: bool = False


class Reader(Protocol):
    """Reads one format. Holds what it has learned of the batch's objects."""

    def probe(self, connection: duckdb.DuckDBPyConnection, sources: Sequence[Source]) -> dict[str, str]:
        """Looks at all objects; returns object id -> reason for those that cannot be read."""
        ...

    def unknown(self, connection: duckdb.DuckDBPyConnection, names: Sequence[str]) -> dict[str, dict[str, str]]:
        """Columns of each object that are not among `names`, with their DuckDB types."""
        ...

    def missing(self, object_id: str, names: Sequence[str]) -> list[str]:
        """Which of these columns the object does not have."""
        ...

    def records(self, object_id: str) -> int:
        """How many records the object has, good and bad."""
        ...

    def relation(self, sources: Sequence[Source], targets: Sequence[Target], *, numbered: bool) -> str:
        """SQL of the relation; without `numbered` the number is NULL, and rows come in any order."""
        ...


def first_line(error: Exception) -> str:
    """What an error of DuckDB says, in one line."""
    return str(error).strip().splitlines()[0][:300]


def reason_of(error: UnreadableError | OSError) -> str:
    """Why an object cannot be read. Raises the error again if it is the machine's and no object's."""
    if isinstance(error, UnreadableError):
        return str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EMFILE, errno.ENFILE):
        raise error
    return f"cannot be read: {error.strerror or type(error).__name__}"


def exact_path(path: str) -> str:
    """A path as DuckDB's readers take it: a bracketed mark of a pattern stands for itself."""
    return re.sub(r"([*?\[])", r"[\1]", path)


def rows_of(rows: Sequence[Sequence[str]], name: str, columns: Sequence[str]) -> str:
    """An SQL table of SQL expressions."""
    values = ", ".join(f"({', '.join(row)})" for row in rows)
    return f"(VALUES {values}) AS {name}({', '.join(map(identifier, columns))})"


def struct(fields: Mapping[str, str]) -> str:
    """An SQL struct of SQL expressions."""
    return "{" + ", ".join(f"{literal(name)}: {value}" for name, value in fields.items()) + "}"
