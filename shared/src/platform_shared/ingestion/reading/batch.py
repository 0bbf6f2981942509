"""Reads a batch of objects into one immutable file of good rows and one of bad ones, and says what became of each."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path

import duckdb

from platform_shared.ingestion.reading.csv_objects import CsvReader
from platform_shared.ingestion.reading.json_objects import JsonLinesReader
from platform_shared.ingestion.reading.parquet_objects import ParquetReader
from platform_shared.ingestion.reading.relations import (
    CONTENT,
    FAULT,
    NUMBER,
    OBJECT,
    UNKNOWN,
    VERSION,
    Reader,
    Target,
    exact_path,
    first_line,
    lost_name,
    text_name,
    value_name,
)
from platform_shared.ingestion.reading.shapes import (
    CONTENT_CHARACTERS,
    INTERNAL,
    Drift,
    Format,
    ReadBatch,
    ReadObject,
    Shape,
    Source,
    is_reserved,
    rejects_table,
)
from platform_shared.ingestion.reading.values import is_nested, is_text
from platform_shared.warehouse import LAKE, TableName, Warehouse, Written, identifier, literal, write_parquet
from platform_shared.warehouse.sql import literals
from platform_shared.warehouse.writing import OBJECT_COLUMN

MAXIMUM_NEW_COLUMNS = 100
"""That one batch adds to a table: more, and keys are data."""

_PARTITION = f"{INTERNAL}partition"
_IS_BAD = f"{INTERNAL}bad"
_READERS: Mapping[Format, Callable[[Shape, Path], Reader]] = {
    Format.CSV: CsvReader,
    Format.JSON_LINES: JsonLinesReader,
    Format.PARQUET: ParquetReader,
}


def read_batch(
    warehouse: Warehouse,
    connection: duckdb.DuckDBPyConnection,
    table: TableName,
    batch_id: str,
    sources: Sequence[Source],
    shape: Shape,
    loaded_at: str,
    scratch: Path,
) -> ReadBatch:
    """Reads `sources`; `table` is only looked at (it need not be there), `loaded_at` is an ISO instant, `scratch` an
    existing folder for what is unpacked.

    A bad line is left out and goes to `rejected`; an object with too many of them, or that cannot be read, is left out
    whole. Neither does anything to the other objects. Raises ValueError if two sources have one object id or path, and
    duckdb.Error if it is no object's fault.
    """
    for what, values in (("object id", [s.object_id for s in sources]), ("path", [str(s.path) for s in sources])):
        if len(set(values)) < len(values):
            raise ValueError(f"two sources of batch {batch_id} have the same {what}")
    with tempfile.TemporaryDirectory(prefix="reading-", dir=scratch) as folder:
        reader = _READERS[shape.format](shape, Path(folder))
        reading = _Reading(warehouse, connection, table, batch_id, shape, loaded_at, reader)
        return reading.read(sources)


class _Reading:
    """The steps of one batch."""

    def __init__(
        self,
        warehouse: Warehouse,
        connection: duckdb.DuckDBPyConnection,
        table: TableName,
        batch_id: str,
        shape: Shape,
        loaded_at: str,
        reader: Reader,
    ) -> None:
        self._warehouse = warehouse
        self._connection = connection
        self._table = table
        self._batch_id = batch_id
        self._shape = shape
        self._loaded_at = loaded_at
        self._reader = reader
        self._bad: dict[str, str] = {}
        self._targets: list[Target] = []

    def read(self, sources: Sequence[Source]) -> ReadBatch:
        good = self._probe(sources)
        self._targets = self._declared()
        good, new = self._settle_columns(good)
        written, good = self._write(good)
        if written is None:
            return ReadBatch(None, None, {}, self._bad)
        rows, partitions = self._written_rows(written)
        missing = {s.object_id: self._reader.records(s.object_id) - rows.get(s.object_id, 0) for s in good}
        too_many = [s for s in good if missing[s.object_id] > self._allowed(s)]
        self._refuse(too_many, self._first_problems(too_many), missing)
        some = [s for s in good if missing[s.object_id] and s not in too_many]
        rejected, counts = self._write_rejects(some)
        loaded = {
            s.object_id: ReadObject(
                rows.get(s.object_id, 0), counts.get(s.object_id, 0), tuple(partitions.get(s.object_id, ()))
            )
            for s in good
            if s.object_id not in self._bad
        }
        left_out = [s.object_id for s in good if s.object_id in self._bad]
        if not loaded:
            _remove(written, rejected)
            return ReadBatch(None, None, {}, self._bad)
        kept = self._without(self._table, written, left_out)
        if rejected:
            refused = [s.object_id for s in some if s.object_id in self._bad]
            if len(refused) == len(some):
                _remove(rejected)
                rejected = None
            else:
                rejected = self._without(rejects_table(self._table), rejected, refused)
        return ReadBatch(kept, rejected, loaded, self._bad, new)

    def _probe(self, sources: Sequence[Source]) -> list[Source]:
        for object_id, reason in self._reader.probe(self._connection, sources).items():
            self._bad[object_id] = f"{object_id}, {reason}"
        return [source for source in sources if source.object_id not in self._bad]

    def _declared(self) -> list[Target]:
        """The declared columns, with their types as DuckDB spells them. Raises ValueError for one that loses digits."""
        columns = self._shape.columns
        spelled = self._connection.execute(
            "SELECT " + ", ".join(f"typeof(CAST(NULL AS {column.type}))" for column in columns)
        ).fetchone()
        assert spelled is not None
        for column, type_ in zip(columns, spelled, strict=True):
            if type_ in ("HUGEINT", "UHUGEINT"):
                raise ValueError(
                    f"column {column.name}: {type_} is a double in DuckDB's Parquet files; declare it as DECIMAL(38,0)"
                )
        return [Target(c.name, type_, c.required) for c, type_ in zip(columns, spelled, strict=True)]

    def _settle_columns(self, sources: Sequence[Source]) -> tuple[list[Source], dict[str, str]]:
        """Applies the drift policy; returns the objects that are left, and the columns that are new to the table."""
        names = [target.name for target in self._targets]
        unknown = self._reader.unknown(self._connection, names) if sources else {}
        adding = self._shape.drift is Drift.ADD_COLUMN
        there = self._table_columns() if adding else {}
        types: dict[str, set[str]] = {}
        for source in sources:
            object_id = source.object_id
            extra = unknown.get(object_id, {})
            problems = []
            if missing := self._reader.missing(object_id, names):
                problems.append(f"missing column {', '.join(missing)}")
            if extra and self._shape.drift is Drift.REJECT:
                problems.append(f"{UNKNOWN} {', '.join(map(repr, extra))}")
            if problems:
                problems[-1] += f". Expected: {', '.join(names)}"
            elif adding and (problem := self._cannot_add(extra, there, types)):
                problems.append(problem)
            if problems:
                line = "line 1: " if self._shape.format is Format.CSV else ""
                self._bad[object_id] = f"{object_id}, {line}{'; '.join(problems)}"
            elif adding:
                for name, type_ in extra.items():
                    types.setdefault(name, set()).update({type_} if type_ else ())
        added = {name: there.get(name) or common_type(found) for name, found in types.items() if found or name in there}
        self._targets += [Target(name, type_) for name, type_ in added.items()]
        new = {name: type_ for name, type_ in added.items() if name not in there}
        return [source for source in sources if source.object_id not in self._bad], new

    def _cannot_add(
        self, extra: Mapping[str, str], there: Mapping[str, str], types: Mapping[str, set[str]]
    ) -> str | None:
        """Why the columns of one object cannot be added; `types` has those of the others."""
        taken = {name.lower() for name in self._shape.table_columns}
        spelled = {name.lower(): name for name in (*types, *there)}
        unfit = [
            name
            for name in extra
            if not name.strip()
            or is_reserved(name)
            or name.lower() in taken
            or spelled.setdefault(name.lower(), name) != name
        ]
        if unfit:
            return (
                f"column {', '.join(map(repr, unfit))} cannot be added to the table: a name must not be empty, "
                "and not be there already in upper or lower case"
            )
        if len({*types, *extra} - there.keys()) > MAXIMUM_NEW_COLUMNS:
            return (
                f"with these {len(extra)} columns the table would get more than {MAXIMUM_NEW_COLUMNS} new ones at once"
            )
        return None

    def _table_columns(self) -> dict[str, str]:
        """The table's columns that the feed does not declare: added before. None if the table is not there yet."""
        rows = self._connection.execute(
            f"SELECT column_name, data_type FROM duckdb_columns() WHERE database_name = {literal(LAKE)} "
            f"AND schema_name = {literal(self._table.schema)} AND table_name = {literal(self._table.name)}"
        ).fetchall()
        declared = self._shape.table_columns
        return {name: type_ for name, type_ in rows if name not in declared}

    def _write(self, sources: Sequence[Source]) -> tuple[Written | None, list[Source]]:
        """Writes the good rows of the objects; those that make DuckDB give up are left out."""
        good = list(sources)
        while good:
            self._connection.execute("SET preserve_insertion_order = false")
            try:
                select = self._good_rows(good)
                return write_parquet(self._warehouse, self._connection, self._table, self._batch_id, select), good
            except (duckdb.BinderException, duckdb.ParserException, duckdb.CatalogException):
                # The feed's own SQL, of the partition.
                raise
            except duckdb.Error:
                damaged = self._damaged(good)
                if not damaged:
                    raise
                self._bad.update(damaged)
                good = [source for source in good if source.object_id not in damaged]
            finally:
                self._connection.execute("RESET preserve_insertion_order")
        return None, []

    def _damaged(self, sources: Sequence[Source]) -> dict[str, str]:
        """Objects that cannot be read to their end, each tried alone."""
        damaged = {}
        for source in sources:
            try:
                self._connection.execute(f"SELECT count(COLUMNS(*)) FROM ({self._good_rows([source])})").fetchall()
            except duckdb.Error as error:
                damaged[source.object_id] = f"{source.object_id}, not readable to its end ({first_line(error)})"
        return damaged

    def _judged(self, sources: Sequence[Source], *, numbered: bool) -> str:
        """The relation with the columns under their names, the partition, and whether anything is wrong.

        What is volatile is not merged with the filter over it, where DuckDB would convert each value once more.
        """
        bad = " OR ".join(f"coalesce({condition}, false)" for condition, _, _ in self._problems())
        return f"SELECT *, ({bad}) OR random() < 0 AS {_IS_BAD} FROM ({self._checked(sources, numbered=numbered)})"

    def _checked(self, sources: Sequence[Source], *, numbered: bool) -> str:
        named = ", ".join(f"{value_name(i)} AS {identifier(t.name)}" for i, t in enumerate(self._targets))
        partition = self._shape.partition
        found = f"TRY(CAST(({partition.expression}) AS DATE))" if partition else "NULL::DATE"
        return f"""
            SELECT *, {found} AS {_PARTITION} FROM (SELECT *, {named}, {OBJECT} AS {OBJECT_COLUMN}
            FROM ({self._reader.relation(sources, self._targets, numbered=numbered)}))
        """

    def _problems(self) -> list[tuple[str, str, str]]:
        """All that can be wrong with a row, in order: SQL that is true then, the column's name, SQL of the reason."""
        limit = self._shape.limits.max_line_bytes
        problems = [(f"{FAULT} IS NOT NULL", "", FAULT)]
        for index, target in enumerate(self._targets):
            text, value = text_name(index), value_name(index)
            shown = f"'''' || left({text}, 100) || CASE WHEN length({text}) > 100 THEN '…' ELSE '' END || ''''"
            said = (
                "' is not '"
                if is_text(target.type)
                else f"CASE WHEN {value} IS NULL THEN ' is not ' ELSE ' is not exactly ' END"
            )
            wanted = literal(target.type) if not is_text(target.type) else literal(f"one text of at most {limit} bytes")
            problems.append((lost_name(index), target.name, f"{shown} || {said} || {wanted}"))
            if target.required:
                empty = f"({value} IS NULL OR {value} = '')" if is_text(target.type) else f"{value} IS NULL"
                problems.append((empty, target.name, "'the value is required, it is empty'"))
        if partition := self._shape.partition:
            first, last = (f"DATE {literal(day.isoformat())}" for day in (partition.first, partition.last))
            problems.append((f"{_PARTITION} IS NULL", partition.column, "'the row has no partition'"))
            outside = literal(f" is outside {partition.first} to {partition.last}")
            problems.append(
                (
                    f"{_PARTITION} NOT BETWEEN {first} AND {last}",
                    partition.column,
                    f"CAST({_PARTITION} AS VARCHAR) || {outside}",
                )
            )
        return problems

    def _good_rows(self, sources: Sequence[Source]) -> str:
        partition = self._shape.partition
        columns = {target.name: identifier(target.name) for target in self._targets}
        if partition:
            columns[partition.column] = _PARTITION
        names = ", ".join(f"{value} AS {identifier(name)}" for name, value in columns.items())
        return f"""
            SELECT {names}, {self._provenance()} FROM ({self._judged(sources, numbered=False)}) WHERE NOT {_IS_BAD}
        """

    def _bad_rows(self, sources: Sequence[Source]) -> str:
        """(provenance, line, column_name, reason, content) of the bad lines.

        Where quotes are not closed, a record may be lines of others: each of its lines is a bad one.
        """
        problems = self._problems()
        column = " ".join(f"WHEN {condition} THEN {literal(name)}" for condition, name, _ in problems)
        reason = " ".join(f"WHEN {condition} THEN {reason}" for condition, _, reason in problems)
        lines = f"CASE WHEN {FAULT} IS NULL THEN [{CONTENT}] ELSE string_split({CONTENT}, chr(10)) END"
        return f"""
            SELECT {OBJECT_COLUMN}, _source_version, _batch_id, _loaded_at, {NUMBER} + at__ - 1 AS line,
                column_name, reason, left(lines__[at__], {CONTENT_CHARACTERS}) AS content
            FROM (SELECT *, unnest(range(1, len(lines__) + 1)) AS at__ FROM (
                SELECT {self._provenance()}, {NUMBER}, {lines} AS lines__,
                    nullif(CASE {column} END, '') AS column_name, CASE {reason} END AS reason
                FROM ({self._judged(sources, numbered=True)}) WHERE {_IS_BAD}))
        """

    def _provenance(self) -> str:
        return (
            f"{OBJECT} AS {OBJECT_COLUMN}, {VERSION} AS _source_version, {literal(self._batch_id)} AS _batch_id, "
            f"TIMESTAMPTZ {literal(self._loaded_at)} AS _loaded_at"
        )

    def _written_rows(self, written: Written) -> tuple[dict[str, int], dict[str, list[date]]]:
        days = identifier(self._shape.partition.column) if self._shape.partition else "NULL::DATE"
        rows = self._connection.execute(
            f"SELECT {OBJECT_COLUMN}, count(*), list(DISTINCT {days} ORDER BY {days}) FILTER ({days} IS NOT NULL) "
            f"FROM read_parquet({literal(exact_path(written.path))}) GROUP BY ALL"
        ).fetchall()
        return {name: number for name, number, _ in rows}, {name: days or [] for name, _, days in rows}

    def _allowed(self, source: Source) -> float:
        return self._shape.limits.threshold * self._reader.records(source.object_id)

    def _first_problems(self, sources: Sequence[Source]) -> dict[str, dict[str, object]]:
        if not sources:
            return {}
        rows = self._connection.execute(
            f"SELECT {OBJECT_COLUMN}, arg_min({{'line': line, 'column': column_name, 'reason': reason, "
            f"'content': content}}, line) FROM ({self._bad_rows(sources)}) GROUP BY ALL"
        ).fetchall()
        return dict(rows)

    def _refuse(
        self, sources: Sequence[Source], first: Mapping[str, Mapping[str, object]], lines: Mapping[str, int]
    ) -> None:
        """These objects have too many bad lines."""
        for source in sources:
            name = source.object_id
            problem = first.get(name)
            if problem is None:
                self._bad[name] = f"{name} changed while it was being read; it is not complete yet, or is sent again"
                continue
            column = f", column {problem['column']}" if problem["column"] else ""
            place = "row" if self._shape.format is Format.PARQUET else "line"
            bad = f"{lines[name]} bad {place}{'s' if lines[name] > 1 else ''}"
            self._bad[name] = (
                f"{name}, {place} {problem['line']}{column}: {problem['reason']}. "
                f"In: {str(problem['content'])[:200]!r} ({bad}, {self._reader.records(name)} rows in all)"
            )

    def _write_rejects(self, sources: Sequence[Source]) -> tuple[Written | None, dict[str, int]]:
        """Writes the bad lines of the objects; an object of which there turn out to be too many is refused."""
        if not sources:
            return None, {}
        table = rejects_table(self._table)
        written = write_parquet(self._warehouse, self._connection, table, self._batch_id, self._bad_rows(sources))
        rows = self._connection.execute(
            f"SELECT {OBJECT_COLUMN}, count(*), arg_min({{'line': line, 'column': column_name, 'reason': reason, "
            f"'content': content}}, (NOT coalesce(starts_with(reason, '{UNKNOWN}'), false), line)), "
            f"coalesce(bool_or(starts_with(reason, '{UNKNOWN}')), false) "
            f"FROM read_parquet({literal(exact_path(written.path))}) GROUP BY ALL"
        ).fetchall()
        counts = {name: number for name, number, _, _ in rows}
        first = {name: problem for name, _, problem, _ in rows}
        strange = {name for name, _, _, unknown in rows if unknown}
        refused = [
            s for s in sources if s.object_id in strange or not 0 < counts.get(s.object_id, 0) <= self._allowed(s)
        ]
        self._refuse(refused, first, counts)
        return written, counts

    def _without(self, table: TableName, written: Written, objects: Sequence[str]) -> Written:
        """The file without the rows of these objects, under another name."""
        if not objects:
            return written
        kept = write_parquet(
            self._warehouse,
            self._connection,
            table,
            self._batch_id,
            f"SELECT * FROM read_parquet({literal(exact_path(written.path))}) "
            f"WHERE {OBJECT_COLUMN} NOT IN ({literals(objects)})",
        )
        _remove(written)
        return kept


def common_type(types: set[str]) -> str:
    """A DuckDB type that holds values of all these types."""
    if len(types) == 1:
        return next(iter(types))
    if any(map(is_nested, types)):
        return "JSON"
    if types <= {"TINYINT", "SMALLINT", "INTEGER", "BIGINT"}:
        return "BIGINT"
    if types <= {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "FLOAT", "DOUBLE"}:
        return "DOUBLE"
    return "VARCHAR"


def _remove(*written: Written | None) -> None:
    for each in written:
        if each:
            Path(each.path).unlink()
