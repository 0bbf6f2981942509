"""Reads CSV objects: RFC 4180 with a header line, columns by name.

A field that does not begin with a quote may have quotes in it, which stand for themselves. An empty field is NULL,
quoted or not. Empty lines are nothing.
"""

import csv
import re
from collections.abc import Sequence
from pathlib import Path

import duckdb

from platform_shared.ingestion.reading.lines import LinesStore, original
from platform_shared.ingestion.reading.relations import (
    CONTENT,
    FAULT,
    NUMBER,
    OBJECT,
    VERSION,
    Target,
    lost_name,
    reason_of,
    text_name,
    value_name,
)
from platform_shared.ingestion.reading.shapes import Shape, Source
from platform_shared.ingestion.reading.unpacking import INVALID, UnreadableError
from platform_shared.ingestion.reading.values import convert, is_lost
from platform_shared.warehouse.sql import literal


class CsvReader:
    """Objects whose headers are the same are read in one statement."""

    def __init__(self, shape: Shape, folder: Path) -> None:
        self._delimiter = shape.delimiter
        other = re.escape(shape.delimiter)
        record = "(?:{field}" + other + ")*{field}"
        # All quotes are around fields and can go, and no delimiter is in any of them: it can be split by that.
        self._simple = record.replace("{field}", f'(?:"[^"{other}]*"|[^"{other}]*)')
        field = f'(?:"(?:[^"]|"")*"|[^"{other}][^{other}]*|)'
        self._strict = record.replace("{field}", field)
        self._field = f"({field}){other}"
        self._store = LinesStore(
            folder, shape.limits, header=True, delimiter=shape.delimiter, broken=f"{self._kind('line')} = 3"
        )
        self._headers: dict[str, tuple[str, ...]] = {}

    def probe(self, connection: duckdb.DuckDBPyConnection, sources: Sequence[Source]) -> dict[str, str]:
        bad = {}
        for source in sources:
            try:
                self._store.prepare(source)
                self._headers[source.object_id] = self._header(self._store.first_line(source))
            except (UnreadableError, OSError) as error:
                bad[source.object_id] = reason_of(error)
                self._store.objects.pop(source.object_id, None)
        return bad | self._store.count(connection)

    def unknown(self, connection: duckdb.DuckDBPyConnection, names: Sequence[str]) -> dict[str, dict[str, str]]:
        known = set(names)
        return {
            object_id: {name: "VARCHAR" for name in header if name not in known}
            for object_id, header in self._headers.items()
        }

    def missing(self, object_id: str, names: Sequence[str]) -> list[str]:
        """Which of these columns the object does not have."""
        return [name for name in names if name not in self._headers[object_id]]

    def records(self, object_id: str) -> int:
        return self._store.objects[object_id].records

    def relation(self, sources: Sequence[Source], targets: Sequence[Target], *, numbered: bool) -> str:
        by_header: dict[tuple[str, ...], list[Source]] = {}
        for source in sources:
            by_header.setdefault(self._headers[source.object_id], []).append(source)
        return " UNION ALL ".join(
            self._parsed(lines, rewritten, header, targets)
            for header, group in by_header.items()
            for lines, rewritten in self._store.relation(group, numbered=numbered)
        )

    def _header(self, line: bytes) -> tuple[str, ...]:
        try:
            text = line.decode("utf-8-sig").rstrip("\n")
            names = next(csv.reader([text], delimiter=self._delimiter, strict=True), [])
        except (UnicodeDecodeError, csv.Error) as error:
            raise UnreadableError(f"line 1: the header is not readable as CSV in UTF-8 ({error})") from None
        if not any(names):
            raise UnreadableError("line 1: it is empty; expected a header line")
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise UnreadableError(f"line 1: column {', '.join(map(repr, twice))} is there twice")
        return tuple(names)

    def _kind(self, line: str) -> str:
        """SQL: 0 for a line without quotes, 1 for a simple one, 2 for any record, 3 for what is none."""
        return f"""CASE WHEN NOT contains({line}, '"') THEN 0
            WHEN regexp_full_match({line}, {literal(self._simple)}) THEN 1
            WHEN regexp_full_match({line}, {literal(self._strict)}) THEN 2 ELSE 3 END"""

    def _fields(self) -> str:
        delimiter = literal(self._delimiter)
        return f"""CASE kind__ WHEN 0 THEN string_split(line, {delimiter})
            WHEN 1 THEN string_split(replace(line, '"', ''), {delimiter})
            ELSE regexp_extract_all(line || {delimiter}, {literal(self._field)}, 1) END"""

    def _parsed(self, lines: str, rewritten: bool, header: tuple[str, ...], targets: Sequence[Target]) -> str:
        texts, values, lost = [], [], []
        for index, target in enumerate(targets):
            text = text_name(index)
            if target.name in header:
                field = f"fields__[{header.index(target.name) + 1}]"
                plain = (
                    f"CASE WHEN starts_with({field}, '\"') THEN replace({field}[2:-2], '\"\"', '\"') ELSE {field} END"
                )
                if rewritten:
                    plain = original(plain)
                texts.append(f"nullif({plain}, '') AS {text}")
            else:
                texts.append(f"NULL::VARCHAR AS {text}")
            values.append(f"{convert(text, target.type)} AS {value_name(index)}")
            lost.append(f"{is_lost(text, value_name(index), target.type)} AS {lost_name(index)}")
        fault = f"""CASE {f"WHEN contains(line, '{INVALID}') THEN 'it is not UTF-8'" if rewritten else ""}
            WHEN kind__ = 3 THEN 'a quote is not closed, or something follows the one that closes'
            WHEN len(fields__) <> {len(header)}
            THEN 'it has ' || len(fields__) || ' fields, the header has {len(header)}' END"""
        return f"""
            SELECT *, {", ".join(lost)} FROM (
            SELECT *, {", ".join(values)} FROM (
            SELECT {OBJECT}, {VERSION}, {CONTENT}, {NUMBER}, {fault} AS {FAULT}, {", ".join(texts)} FROM (
            SELECT *, {self._fields()} AS fields__ FROM (
            SELECT *, {self._kind("line")} AS kind__ FROM ({lines})))))
        """
