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
        self._simple = f'(?:(?:"[^"{other}]*"|[^"{other}][^{other}]*|){other})*'
        self._strict = f'(?:(?:"(?:[^"]|"")*"|[^"{other}][^{other}]*|){other})*'
        self._field = f'("(?:[^"]|"")*"|[^"{other}][^{other}]*|){other}'
        self._store = LinesStore(
            folder, shape.limits, header=True, delimiter=shape.delimiter, broken=self._malformed("line")
        )
        self._headers: dict[str, tuple[str, ...]] = {}

    def probe(self, connection: duckdb.DuckDBPyConnection, sources: Sequence[Source]) -> dict[str, str]:
        bad = {}
        for source in sources:
            try:
                self._store.prepare(source)
                self._headers[source.object_id] = self._header(self._store.first_line(connection, source))
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

    def _malformed(self, line: str) -> str:
        """SQL: whether the line's quotes are not those of a whole record."""
        return (
            f"CASE WHEN contains({line}, '\"') "
            f"THEN NOT regexp_full_match({line} || {literal(self._delimiter)}, {literal(self._strict)}) ELSE false END"
        )

    def _fields(self, line: str) -> str:
        ended = f"{line} || {literal(self._delimiter)}"
        split = f"string_split({line}, {literal(self._delimiter)})"
        return f"""CASE WHEN NOT contains({line}, '"') THEN {split}
            WHEN regexp_full_match({ended}, {literal(self._simple)}) THEN {split}
            ELSE regexp_extract_all({ended}, {literal(self._field)}, 1) END"""

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
            WHEN {self._malformed("line")} THEN 'a quote is not closed, or something follows the one that closes'
            WHEN len(fields__) <> {len(header)}
            THEN 'it has ' || len(fields__) || ' fields, the header has {len(header)}' END"""
        return f"""
            SELECT *, {", ".join(lost)} FROM (
            SELECT *, {", ".join(values)} FROM (
            SELECT {OBJECT}, {VERSION}, {CONTENT}, {NUMBER}, {fault} AS {FAULT}, {", ".join(texts)} FROM (
            SELECT *, {self._fields("line")} AS fields__ FROM ({lines}))))
        """
