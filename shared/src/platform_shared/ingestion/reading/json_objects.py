"""Reads objects of JSON lines: an object a line, its keys are the columns.

A number may be written as a string. DuckDB reads a number with a point as a double, so one of more than 15 digits may
have lost some: where they matter (DECIMAL, integers) it is a bad value, and can be sent as a string.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import duckdb

from platform_shared.ingestion.reading.lines import LinesStore
from platform_shared.ingestion.reading.relations import (
    CONTENT,
    FAULT,
    OBJECT,
    UNKNOWN,
    Target,
    lost_name,
    reason_of,
    text_name,
    value_name,
)
from platform_shared.ingestion.reading.shapes import Drift, Shape, Source
from platform_shared.ingestion.reading.unpacking import INVALID, UnreadableError
from platform_shared.ingestion.reading.values import convert, is_exact, is_lost, is_nested
from platform_shared.warehouse.sql import literal, literals

_IS_OBJECT = "(starts_with(line, '{') OR regexp_matches(line, '^[ \\t]*\\{'))"


class JsonLinesReader:
    """All objects are read in one statement."""

    def __init__(self, shape: Shape, folder: Path) -> None:
        self._drift = shape.drift
        self._store = LinesStore(folder, shape.limits, header=False, delimiter=None, broken="false")

    def probe(self, connection: duckdb.DuckDBPyConnection, sources: Sequence[Source]) -> dict[str, str]:
        bad = {}
        for source in sources:
            try:
                self._store.prepare(source)
            except (UnreadableError, OSError) as error:
                bad[source.object_id] = reason_of(error)
        return bad | self._store.count(connection)

    def unknown(self, connection: duckdb.DuckDBPyConnection, names: Sequence[str]) -> dict[str, dict[str, str]]:
        if self._drift is not Drift.ADD_COLUMN:
            return {}
        found: dict[str, dict[str, str]] = {}
        for lines, _ in self._store.relation([e.source for e in self._store.objects.values()], numbered=False):
            rows = connection.execute(f"""
                SELECT {OBJECT}, key, list(DISTINCT {_KIND}) FROM (
                    SELECT {OBJECT}, key, json_extract(line, '/' || {_pointer("key")}) AS value
                    FROM (SELECT {OBJECT}, line, unnest(list_filter(
                        CASE WHEN json_valid(line) AND {_IS_OBJECT} THEN json_keys(line) ELSE [] END,
                        lambda k: NOT list_contains([{literals(names)}], k))) AS key FROM ({lines})))
                GROUP BY ALL
            """).fetchall()
            for object_id, key, kinds in rows:
                found.setdefault(object_id, {})[key] = _type_of(set(kinds))
        return found

    def missing(self, object_id: str, names: Sequence[str]) -> list[str]:
        """None: a key may be left out in any line."""
        return []

    def records(self, object_id: str) -> int:
        return self._store.objects[object_id].records

    def relation(self, sources: Sequence[Source], targets: Sequence[Target], *, numbered: bool) -> str:
        return " UNION ALL ".join(
            self._parsed(lines, rewritten, targets)
            for lines, rewritten in self._store.relation(sources, numbered=numbered)
        )

    def _parsed(self, lines: str, rewritten: bool, targets: Sequence[Target]) -> str:
        texts, values, lost = [], [], []
        wanted = {t.name: "JSON" if is_nested(t.type) else "VARCHAR" for t in targets}
        for index, target in enumerate(targets):
            text, value = text_name(index), value_name(index)
            path = literal("/" + target.name.replace("~", "~0").replace("/", "~1"))
            texts.append(f"struct_extract(fields__, {literal(target.name)}) AS {text}")
            values.append(f"{convert(text, target.type)} AS {value}")
            less = is_lost(text, value, target.type)
            if target.type == "VARCHAR":
                nested = f"json_type({CONTENT}, {path}) IN ('OBJECT', 'ARRAY')"
                less = f"CASE WHEN {text}[1] IN ('{{', '[') THEN {nested} ELSE false END"
            elif is_exact(target.type):
                rounded = f"contains({text}, '.') AND json_type({CONTENT}, {path}) = 'DOUBLE'"
                less = f"({less} OR CASE WHEN length({text}) > 16 THEN {rounded} ELSE false END)"
            lost.append(f"{less} AS {lost_name(index)}")
        present = " + ".join(f"({text_name(i)} IS NOT NULL)::INTEGER" for i in range(len(targets)))
        unknown = ""
        if self._drift is Drift.REJECT:
            known = f"[{literals(wanted)}]"
            unknown = f"""WHEN len(keys__) <> {present} AND NOT list_has_all({known}, keys__)
                THEN '{UNKNOWN} ' || array_to_string(list_transform(list_filter(keys__,
                    lambda k: NOT list_contains({known}, k)), lambda k: '''' || k || ''''), ', ')"""
        fault = f"""CASE {f"WHEN contains(line, '{INVALID}') THEN 'it is not UTF-8'" if rewritten else ""}
            WHEN keys__ IS NULL AND NOT json_valid(line) THEN 'it is not JSON'
            WHEN keys__ IS NULL THEN 'it is JSON, but not an object'
            {unknown}
            WHEN len(keys__) <> {present} AND len(list_distinct(keys__)) <> len(keys__)
            THEN 'a key is there twice' END"""
        return f"""
            SELECT * EXCLUDE (line, keys__), {", ".join(lost)} FROM (
            SELECT *, {fault} AS {FAULT}, {", ".join(values)} FROM (
            SELECT * EXCLUDE (fields__), {", ".join(texts)} FROM (
            SELECT *, CASE WHEN fields__ IS NOT NULL AND {_IS_OBJECT} THEN json_keys(line) END AS keys__ FROM (
            SELECT *, TRY(json_transform(line, {literal(json.dumps(wanted))})) AS fields__ FROM ({lines})))))
        """


def _pointer(key: str) -> str:
    """SQL: a key as a part of a JSON pointer."""
    return f"replace(replace({key}, '~', '~0'), '/', '~1')"


# Whole numbers beyond BIGINT are kept as text.
_KIND = """CASE json_type(value)
    WHEN 'UBIGINT' THEN CASE WHEN TRY_CAST(value AS BIGINT) IS NULL THEN 'VARCHAR' ELSE 'BIGINT' END
    ELSE json_type(value) END"""


def _type_of(kinds: set[str]) -> str:
    """The DuckDB type for values of these JSON types; empty if all of them are null."""
    kinds -= {"NULL"}
    if kinds & {"OBJECT", "ARRAY"}:
        return "JSON"
    if kinds == {"BIGINT", "DOUBLE"}:
        return "DOUBLE"
    return kinds.pop() if len(kinds) == 1 else "VARCHAR" if kinds else ""
