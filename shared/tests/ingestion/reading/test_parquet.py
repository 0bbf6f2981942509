"""Parquet: columns by name, conversions that lose nothing, and damaged files."""

import gzip
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from backports import zstd

from platform_shared.contracts import Column
from platform_shared.ingestion.reading import Drift, Format, ReadLimits, ReadObject

DAY = "2025-03-03"
GOOD = f"SELECT 1::BIGINT AS id, 2.5::DECIMAL(12,2) AS price, DATE '{DAY}' AS day, 'x' AS name"


@pytest.fixture
def parquet(desk: Callable[..., Any]) -> Any:
    return desk(Format.PARQUET)


@pytest.mark.parametrize(
    "select",
    [
        GOOD,
        f"SELECT 'x' AS name, DATE '{DAY}' AS day, 2.5::DECIMAL(12,2) AS price, 1::BIGINT AS id",
        f"SELECT 1::UTINYINT AS id, 2.5::DOUBLE AS price, TIMESTAMP '{DAY}' AS day, 'x'::BLOB AS name",
        f"SELECT 1::HUGEINT AS id, 2.5::FLOAT AS price, '{DAY}' AS day, 'x' AS name",
        f"SELECT '1' AS id, '2.500' AS price, '{DAY}' AS day, 'x' AS name",
        f"SELECT 1.0::DOUBLE AS id, 2.5000::DECIMAL(18,4) AS price, '{DAY}' AS day, 'x' AS name",
    ],
)
def test_values_come_by_name_and_without_loss(parquet: Any, select: str) -> None:
    read = parquet.read({"a.parquet": parquet.parquet(select)})
    assert (read.bad, read.rejected) == ({}, None)
    assert parquet.rows(read) == [(1, Decimal("2.50"), DAY, "x")]
    assert read.loaded == {"a.parquet": ReadObject(1, 0, (date.fromisoformat(DAY),))}


@pytest.mark.parametrize(
    ("name", "value", "column", "said"),
    [
        ("id", "1.5::DOUBLE", "id", "'1.5' is not exactly BIGINT"),
        ("id", "9223372036854775808::UBIGINT", "id", "'9223372036854775808' is not BIGINT"),
        ("id", "'x'", "id", "'x' is not BIGINT"),
        ("id", "'1.5'", "id", "'1.5' is not exactly BIGINT"),
        ("id", "NULL::BIGINT", "id", "the value is required, it is empty"),
        ("id", "[1]", "id", "'[1]' is not BIGINT"),
        ("price", "1.005::DOUBLE", "price", "'1.005' is not exactly DECIMAL(12,2)"),
        ("price", "1.005::DECIMAL(12,3)", "price", "'1.005' is not exactly DECIMAL(12,2)"),
        ("price", "12345678901::BIGINT", "price", "'12345678901' is not DECIMAL(12,2)"),
        ("price", "'nan'::DOUBLE", "price", "'nan' is not DECIMAL(12,2)"),
        ("day", "TIMESTAMP '2025-03-03 10:00:00'", "day", "'2025-03-03 10:00:00' is not exactly DATE"),
        ("day", "DATE '2024-03-03'", "day_", "2024-03-03 is outside 2025-01-01 to 2025-12-31"),
        ("day", "NULL::DATE", "day_", "the row has no partition"),
        ("name", "{'a': 1}", "name", "'{'a': 1}' is not one text of at most 1000 bytes"),
        ("name", "repeat('x', 1001)", "name", f"'{'x' * 100}…' is not one text of at most 1000 bytes"),
    ],
)
def test_bad_rows_are_set_apart_with_the_place(parquet: Any, name: str, value: str, column: str, said: str) -> None:
    bad = f"SELECT * REPLACE ({value} AS {name}) FROM ({GOOD})"
    limits = ReadLimits(threshold=1, max_line_bytes=1000)
    read = parquet.read({"a.parquet": parquet.parquet(f"{bad} UNION ALL {bad}")}, limits=limits)
    first, row = parquet.rejects(read)
    assert first[0] == 1
    assert row[:3] == (2, column, said)
    assert row[3].startswith('{"id":')


@pytest.mark.parametrize("type_", ["TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP", "TIMESTAMPTZ"])
def test_instants_in_other_units(parquet: Any, type_: str) -> None:
    columns = (Column("t", "TIMESTAMPTZ", ""),)
    content = parquet.parquet(f"SELECT '2025-03-03 01:02:03+00'::{type_} AS t")
    read = parquet.read({"a.parquet": content}, columns=columns, partition=None)
    assert parquet.rows(read, "CAST(t AS VARCHAR)") == [("2025-03-03 01:02:03+00",)]


def test_nanoseconds_are_not_cut_off(parquet: Any) -> None:
    columns = (Column("t", "TIMESTAMP", ""),)
    rows = ", ".join(f"(TIMESTAMP_NS '2025-03-03 01:02:03.{digits}')" for digits in ("123456000", "123456001"))
    read = parquet.read(
        {"a.parquet": parquet.parquet(f"FROM (VALUES {rows}) AS x(t)")}, columns=columns, partition=None
    )
    assert parquet.rows(read, "CAST(t AS VARCHAR)") == [("2025-03-03 01:02:03.123456",)]
    assert [line for line, *_ in parquet.rejects(read)] == [2]


def damaged_pages(content: bytes) -> bytes:
    """The footer is whole, the rows are not."""
    return content[:4] + bytes(200) + content[204:]


def test_unreadable_files_are_bad_and_no_other_is(parquet: Any) -> None:
    good = parquet.parquet(GOOD)
    numbered = f"SELECT n AS id, g.price, g.day, n::VARCHAR AS name FROM ({GOOD}) AS g, range(10000) AS r(n)"
    many = parquet.parquet(numbered)
    files = {
        "1.parquet": good,
        "empty": b"",
        "cut": good[:-10],
        "head": good[:20],
        "text": b"id,price\n1,2\n",
        "pages": damaged_pages(many),
        "missing": parquet.parquet("SELECT 1::BIGINT AS id, 'x' AS name"),
        "unknown": parquet.parquet(f"SELECT *, 1 AS new FROM ({GOOD})"),
        "2.parquet": parquet.parquet(f"SELECT * REPLACE (2::BIGINT AS id) FROM ({GOOD})"),
    }
    read = parquet.read(files)
    assert read.loaded.keys() == {"1.parquet", "2.parquet"}
    assert [row[0] for row in parquet.rows(read)] == [1, 2]
    for name in ("empty", "cut", "head", "text"):
        assert read.bad[name].startswith(f"{name}, not readable as Parquet (")
    assert read.bad["pages"].startswith("pages, not readable to its end (")
    assert read.bad["missing"] == "missing, missing column price, day. Expected: id, price, day, name"
    assert read.bad["unknown"] == "unknown, unknown column 'new'. Expected: id, price, day, name"


def test_unknown_columns_are_left_out_or_added(parquet: Any) -> None:
    files = {
        "a": parquet.parquet(f"SELECT *, 1::INTEGER AS n, 1::INTEGER AS m, [1] AS l, 'e' AS e FROM ({GOOD})"),
        "b": parquet.parquet(f"SELECT * REPLACE (2::BIGINT AS id), 2::BIGINT AS n, 'x' AS m FROM ({GOOD})"),
    }
    left_out = parquet.read(files, drift=Drift.IGNORE)
    assert (left_out.bad, left_out.added, len(parquet.rows(left_out))) == ({}, {}, 2)
    read = parquet.read(files, drift=Drift.ADD_COLUMN)
    assert read.bad == {}
    assert read.added == {"n": "BIGINT", "m": "VARCHAR", "l": "INTEGER[]", "e": "VARCHAR"}
    assert parquet.rows(read, "id, n, m, l, e") == [(1, 1, "1", [1], "e"), (2, 2, "x", None, None)]


def test_more_rows_than_the_object_could_hold_is_a_bomb(parquet: Any) -> None:
    """Run-length encoding: a file of a few kilobytes with ten million rows."""
    content = parquet.parquet(f"SELECT g.* FROM ({GOOD}) AS g, range(10000000)")
    assert len(content) < 100_000
    read = parquet.read({"a": content, "b": parquet.parquet(GOOD)}, limits=ReadLimits(max_object_bytes=10_000_000))
    assert read.bad == {"a": "a, more than 10000000 bytes unpacked; send it in parts"}
    assert read.loaded.keys() == {"b"}


def test_packed_parquet(parquet: Any) -> None:
    content = parquet.parquet(GOOD)
    read = parquet.read({"a.parquet.gz": gzip.compress(content), "b.parquet.zst": zstd.compress(content)})
    assert read.loaded.keys() == {"a.parquet.gz", "b.parquet.zst"}
