"""Reads a batch of CSV files with declared types, and says of each file what became of it."""

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb

from platform_shared.contracts import Contract
from platform_shared.warehouse import TableName, Warehouse, Written, identifier, literal, write_parquet
from platform_shared.warehouse.sql import literals
from platform_shared.warehouse.writing import OBJECT_COLUMN

MAXIMUM_LINE_BYTES = 2 * 1024**2
"""Longest line that is read; a longer one is an error of its file."""

PROVENANCE: Mapping[str, str] = {
    OBJECT_COLUMN: "VARCHAR",
    "_source_version": "VARCHAR",
    "_batch_id": "VARCHAR",
    "_loaded_at": "TIMESTAMPTZ",
}
"""Columns that every raw table carries beside the source's."""


@dataclass(frozen=True)
class BusinessDate:
    """How the partition of a row is found: an SQL expression over the source's columns, and the days allowed."""

    column: str
    expression: str
    first: date
    last: date


@dataclass(frozen=True)
class Source:
    """A file to read: where it is, and which version of which object it is."""

    object_id: str
    version: str
    path: Path


@dataclass(frozen=True)
class ReadFile:
    """A file's rows are in the written file: their number, and the days that they are of."""

    rows: int
    days: tuple[date, ...]


@dataclass(frozen=True)
class ReadBatch:
    """What a batch gave: the written file, the files in it, and for each other one the reason why it is not."""

    written: Written | None
    loaded: Mapping[str, ReadFile]
    bad: Mapping[str, str]


def header_problem(path: Path, columns: Sequence[str]) -> str | None:
    """What is wrong with the header line, or None. A reader with declared columns would skip it unseen."""
    with path.open("rb") as file:
        first = file.readline(MAXIMUM_LINE_BYTES)
    if not first.strip():
        return "line 1: the file is empty; expected a header line with " + ", ".join(columns)
    try:
        names = next(csv.reader([first.decode("utf-8-sig").rstrip("\r\n")]))
    except (UnicodeDecodeError, csv.Error) as error:
        return f"line 1: the header is not readable as CSV in UTF-8 ({error})"
    if names == list(columns):
        return None
    missing = [name for name in columns if name not in names]
    unknown = [name for name in names if name not in columns]
    parts = []
    if missing:
        parts.append(f"missing column {', '.join(missing)}")
    if unknown:
        parts.append(f"unknown column {', '.join(repr(name) for name in unknown)}")
    if not parts:
        parts.append(f"columns in another order ({', '.join(names)})")
    return f"line 1: {'; '.join(parts)}. Expected: {', '.join(columns)}"


def read_csv_batch(
    warehouse: Warehouse,
    connection: duckdb.DuckDBPyConnection,
    table: TableName,
    batch_id: str,
    sources: Sequence[Source],
    contract: Contract,
    business_date: BusinessDate,
    loaded_at: str,
) -> ReadBatch:
    """Reads `sources` into one immutable Parquet file.

    A file with a line that does not fit the contract's columns is left out whole, with file, line, column and value as
    the reason; the others are read. `loaded_at` is an ISO instant.
    """
    columns = contract.types
    bad: dict[str, str] = {}
    good: list[Source] = []
    for source in sources:
        try:
            problem = header_problem(source.path, list(columns))
        except OSError as error:
            problem = f"cannot be read: {error.strerror or type(error).__name__}"
        if problem:
            bad[source.object_id] = f"{source.object_id}, {problem}"
        else:
            good.append(source)
    while good:
        select = _select(good, columns, business_date, batch_id, loaded_at)
        try:
            written = write_parquet(warehouse, connection, table, batch_id, select)
        except duckdb.Error:
            # Some bytes make the reader give up the whole query instead of rejecting a line.
            unreadable = _unreadable(connection, good, columns)
            if not unreadable:
                raise
            bad.update(unreadable)
            good = [source for source in good if source.object_id not in unreadable]
            continue
        problems = _rejects(connection, good) | _empty(connection, written, good, contract)
        problems |= _outside(connection, written, business_date)
        if not problems:
            return ReadBatch(written, _files(connection, written, good, business_date.column), bad)
        Path(written.path).unlink()
        bad.update(problems)
        good = [source for source in good if source.object_id not in problems]
    return ReadBatch(None, {}, bad)


def _select(
    sources: Sequence[Source],
    columns: Mapping[str, str],
    business_date: BusinessDate,
    batch_id: str,
    loaded_at: str,
) -> str:
    known = ", ".join(f"({literal(str(s.path))}, {literal(s.object_id)}, {literal(s.version)})" for s in sources)
    names = ", ".join(f"r.{identifier(name)}" for name in columns)
    return f"""
        SELECT {names},
               {business_date.expression} AS {identifier(business_date.column)},
               s.object_id AS {OBJECT_COLUMN}, s.version AS _source_version,
               {literal(batch_id)} AS _batch_id, TIMESTAMPTZ {literal(loaded_at)} AS _loaded_at
        FROM {_read_csv(sources, columns)} AS r
        JOIN (VALUES {known}) AS s(path, object_id, version) ON s.path = r.path__
    """


def _read_csv(sources: Sequence[Source], columns: Mapping[str, str]) -> str:
    declared = ", ".join(f"{literal(name)}: {literal(type_)}" for name, type_ in columns.items())
    # The reader takes each path for a pattern; a bracketed mark stands for itself.
    paths = literals(re.sub(r"([*?\[])", r"[\1]", str(source.path)) for source in sources)
    return f"""read_csv([{paths}], auto_detect = false, header = true, delim = ',', quote = '"', escape = '"',
                     nullstr = '', columns = {{{declared}}}, filename = 'path__', max_line_size = {MAXIMUM_LINE_BYTES},
                     store_rejects = true, rejects_limit = 0, strict_mode = true)"""


def _unreadable(
    connection: duckdb.DuckDBPyConnection, sources: Sequence[Source], columns: Mapping[str, str]
) -> dict[str, str]:
    """Files that the reader cannot read at all, each tried alone."""
    problems = {}
    for source in sources:
        try:
            connection.execute(f"SELECT count(COLUMNS(*)) FROM {_read_csv([source], columns)}").fetchall()
        except duckdb.Error as error:
            first = str(error).strip().splitlines()[0][:300]
            problems[source.object_id] = f"{source.object_id} is not readable as CSV in UTF-8: {first}"
    connection.execute("DROP TABLE IF EXISTS reject_errors; DROP TABLE IF EXISTS reject_scans")
    return problems


def _empty(
    connection: duckdb.DuckDBPyConnection, written: Written, sources: Sequence[Source], contract: Contract
) -> dict[str, str]:
    """Files with a row whose required column is empty; the line is looked up in the file itself."""
    required = [column.name for column in contract.columns if column.required]
    if not required:
        return {}
    missing = " OR ".join(f"{identifier(name)} IS NULL" for name in required)
    rows = connection.execute(
        f"SELECT DISTINCT {OBJECT_COLUMN} FROM read_parquet({literal(written.path)}) WHERE {missing}"
    ).fetchall()
    names = {name for (name,) in rows}
    return {s.object_id: _first_empty(s, required) for s in sources if s.object_id in names}


def _first_empty(source: Source, required: Sequence[str]) -> str:
    with source.path.open(encoding="utf-8-sig", newline="") as file:
        lines = csv.DictReader(file)
        for line in lines:
            for name in required:
                if not line.get(name):
                    return (
                        f"{source.object_id}, line {lines.line_num}, column {name}: the value is required, it is empty"
                    )
    return f"{source.object_id}: a required value is empty ({', '.join(required)})"


def _rejects(connection: duckdb.DuckDBPyConnection, sources: Sequence[Source]) -> dict[str, str]:
    """The first bad line of each file, in words, and how many there are; empties DuckDB's reject tables."""
    rows = connection.execute(
        """
        SELECT s.file_path, min_by(struct_pack(line := e.line, name := e.column_name, csv := e.csv_line,
                                               message := e.error_message), e.line), count(DISTINCT e.line)
        FROM reject_errors e JOIN reject_scans s USING (scan_id, file_id) GROUP BY s.file_path
        """
    ).fetchall()
    connection.execute("DROP TABLE reject_errors; DROP TABLE reject_scans")
    names = {str(source.path): source.object_id for source in sources}
    problems = {}
    for path, first, lines in rows:
        column = f", column {first['name']}" if first["name"] else ""
        message = (first["message"] or "").strip().splitlines()[0]
        more = f" ({lines} bad lines in all)" if lines > 1 else ""
        shown = (first["csv"] or "")[:200]
        problems[names[path]] = f"{names[path]}, line {first['line']}{column}: {message} In: {shown!r}{more}"
    return problems


def _outside(connection: duckdb.DuckDBPyConnection, written: Written, business_date: BusinessDate) -> dict[str, str]:
    """Files with rows whose day is none or outside the partitions."""
    day = identifier(business_date.column)
    rows = connection.execute(
        f"SELECT {OBJECT_COLUMN}, count(*), min({day}), max({day}), count(*) - count({day}) "
        f"FROM read_parquet({literal(written.path)}) "
        f"WHERE {day} IS NULL OR {day} NOT BETWEEN DATE '{business_date.first}' AND DATE '{business_date.last}' "
        f"GROUP BY ALL"
    ).fetchall()
    return {
        name: f"{name}: {number} rows have a business date outside {business_date.first} to {business_date.last} "
        f"(from {first} to {last}, {empty} without one)"
        for name, number, first, last, empty in rows
    }


def _files(
    connection: duckdb.DuckDBPyConnection, written: Written, sources: Sequence[Source], day_column: str
) -> dict[str, ReadFile]:
    rows = connection.execute(
        f"SELECT {OBJECT_COLUMN}, count(*), list(DISTINCT {identifier(day_column)}) "
        f"FROM read_parquet({literal(written.path)}) GROUP BY ALL"
    ).fetchall()
    files = {source.object_id: ReadFile(0, ()) for source in sources}
    files.update({name: ReadFile(number, tuple(sorted(days))) for name, number, days in rows})
    return files
