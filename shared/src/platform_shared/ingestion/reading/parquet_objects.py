"""Reads Parquet objects: columns by name, converted to the declared types where nothing is lost.

A value is converted if it can be converted back to what it was. A TIMESTAMP without a time zone is taken for UTC.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from platform_shared.ingestion.reading.relations import (
    CONTENT,
    FAULT,
    NUMBER,
    OBJECT,
    VERSION,
    Target,
    exact_path,
    first_line,
    lost_name,
    reason_of,
    rows_of,
    struct,
    text_name,
    value_name,
)
from platform_shared.ingestion.reading.shapes import Shape, Source
from platform_shared.ingestion.reading.unpacking import UnreadableError, check_size, packing, unpack
from platform_shared.ingestion.reading.values import convert, is_lost, is_nested, is_text
from platform_shared.warehouse.sql import identifier, literal, literals


@dataclass(frozen=True)
class _ParquetObject:
    source: Source
    path: Path
    rows: int
    columns: tuple[tuple[str, str], ...]


class ParquetReader:
    """Objects of the same columns are read in one statement."""

    def __init__(self, shape: Shape, folder: Path) -> None:
        self._limits = shape.limits
        self._folder = folder
        self._objects: dict[str, _ParquetObject] = {}
        self._schemas: dict[str, tuple[tuple[str, str], ...]] = {}

    def probe(self, connection: duckdb.DuckDBPyConnection, sources: Sequence[Source]) -> dict[str, str]:
        bad: dict[str, str] = {}
        paths: dict[str, Path] = {}
        for source in sources:
            try:
                paths[source.object_id] = self._plain(source)
            except (UnreadableError, OSError) as error:
                bad[source.object_id] = reason_of(error)
        rest = [source for source in sources if source.object_id in paths]
        try:
            self._look(connection, rest, paths, bad)
        except duckdb.Error:
            for source in rest:
                try:
                    self._look(connection, [source], paths, bad)
                except duckdb.Error as error:
                    bad[source.object_id] = f"not readable as Parquet ({first_line(error)})"
        return bad

    def unknown(self, connection: duckdb.DuckDBPyConnection, names: Sequence[str]) -> dict[str, dict[str, str]]:
        known = set(names)
        return {
            object_id: {name: type_ for name, type_ in each.columns if name not in known}
            for object_id, each in self._objects.items()
        }

    def missing(self, object_id: str, names: Sequence[str]) -> list[str]:
        """Which of these columns the object does not have."""
        there = {name for name, _ in self._objects[object_id].columns}
        return [name for name in names if name not in there]

    def records(self, object_id: str) -> int:
        return self._objects[object_id].rows

    def relation(self, sources: Sequence[Source], targets: Sequence[Target], *, numbered: bool) -> str:
        groups: dict[tuple[tuple[str, str], ...], list[_ParquetObject]] = {}
        for source in sources:
            each = self._objects[source.object_id]
            groups.setdefault(each.columns, []).append(each)
        return " UNION ALL ".join(self._parsed(group, targets, numbered) for group in groups.values())

    def _plain(self, source: Source) -> Path:
        packed = packing(source.object_id)
        if packed == "none":
            return source.path
        path = self._folder / f"{len(list(self._folder.iterdir()))}.parquet"
        unpack(source.path, path, packed, self._limits)
        return path

    def _look(
        self,
        connection: duckdb.DuckDBPyConnection,
        sources: Sequence[Source],
        paths: dict[str, Path],
        bad: dict[str, str],
    ) -> None:
        """Reads the footers. Raises duckdb.Error if one of them is damaged."""
        if not sources:
            return
        files = f"[{literals(exact_path(str(paths[source.object_id])) for source in sources)}]"
        rows = connection.execute(f"SELECT file_name, num_rows FROM parquet_file_metadata({files})").fetchall()
        sizes = connection.execute(
            f"SELECT file_name, sum(total_uncompressed_size) FROM parquet_metadata({files}) GROUP BY ALL"
        ).fetchall()
        signatures = connection.execute(
            "SELECT file_name, string_agg(concat_ws('|', name, type, type_length, repetition_type, num_children, "
            f"converted_type, scale, precision, logical_type, duckdb_type), chr(10)) FROM parquet_schema({files}) "
            "GROUP BY ALL"
        ).fetchall()
        counts, bytes_, schemas = dict(rows), dict(sizes), dict(signatures)
        for source in sources:
            path = paths[source.object_id]
            signature = schemas[str(path)]
            if signature not in self._schemas:
                described = connection.execute(f"DESCRIBE FROM {_read([path], numbered=False)}").fetchall()
                self._schemas[signature] = tuple((name, type_) for name, type_, *_ in described if name != "path__")
            columns = self._schemas[signature]
            try:
                check_size(int(bytes_.get(str(path)) or 0), path.stat().st_size, self._limits)
                # A run-length encoding can stand for any number of rows.
                check_size(counts[str(path)] * len(columns), self._limits.max_object_bytes, self._limits)
            except (UnreadableError, OSError) as error:
                bad[source.object_id] = reason_of(error)
                continue
            self._objects[source.object_id] = _ParquetObject(source, path, counts[str(path)], columns)

    def _parsed(self, group: Sequence[_ParquetObject], targets: Sequence[Target], numbered: bool) -> str:
        columns = dict(group[0].columns)
        texts, values, lost = [], [], []
        for index, target in enumerate(targets):
            text, value = text_name(index), value_name(index)
            if target.name not in columns:
                texts.append(f"NULL::VARCHAR AS {text}")
                values.append(f"NULL::{target.type} AS {value}")
                lost.append(f"false AS {lost_name(index)}")
                continue
            type_, raw = columns[target.name], f"raw__.{identifier(target.name)}"
            texts.append(f"CAST({raw} AS VARCHAR) AS {text}")
            values.append(f"{_converted(raw, type_, target.type)} AS {value}")
            less = _less(raw, value, type_, target.type)
            if is_text(target.type):
                # Bytes have at least as many as characters; most values are far below.
                less = f"({less} OR strlen({value}) > {self._limits.max_line_bytes})"
            lost.append(f"{less} AS {lost_name(index)}")
        known = rows_of(
            [[literal(str(e.path)), literal(e.source.object_id), literal(e.source.version)] for e in group],
            "known",
            ("known__", "object__", "version__"),
        )
        number = "file_row_number + 1" if numbered else "NULL::BIGINT"
        content = struct({name: f"raw__.{identifier(name)}" for name in columns})
        files = _read([each.path for each in group], numbered=numbered)
        return f"""
            SELECT * EXCLUDE (raw__), {", ".join(lost)} FROM (
            SELECT object__ AS {OBJECT}, version__ AS {VERSION}, CAST(to_json({content}) AS VARCHAR) AS {CONTENT},
                {number} AS {NUMBER}, NULL::VARCHAR AS {FAULT}, {", ".join(texts)}, {", ".join(values)}, raw__
            FROM {files} AS raw__ JOIN {known} ON raw__.path__ = known__)
        """


def _read(paths: Sequence[Path], *, numbered: bool) -> str:
    files = literals(exact_path(str(path)) for path in paths)
    return (
        f"read_parquet([{files}], filename = 'path__', hive_partitioning = false, binary_as_string = true, "
        f"file_row_number = {str(numbered).lower()})"
    )


def _converted(raw: str, type_: str, wanted: str) -> str:
    if type_ == wanted:
        return raw
    if type_ == "VARCHAR":
        return convert(raw, wanted)
    if wanted == "JSON" and is_nested(type_):
        return f"to_json({raw})"
    if is_nested(type_) != is_nested(wanted):
        return f"NULL::{wanted}"
    return f"TRY_CAST({raw} AS {wanted})"


def _less(raw: str, value: str, type_: str, wanted: str) -> str:
    if type_ == wanted or (wanted == "JSON" and is_nested(type_)):
        return "false"
    if type_ == "VARCHAR":
        return is_lost(raw, value, wanted)
    return f"({raw} IS NOT NULL AND ({value} IS NULL OR TRY_CAST({value} AS {type_}) IS DISTINCT FROM {raw}))"
