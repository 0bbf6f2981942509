"""JSON lines: what loads, what is rejected and where, and what makes an object bad."""

import gzip
import json
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from backports import zstd

from platform_shared.contracts import Column
from platform_shared.ingestion.reading import Drift, Format, ReadObject
from platform_shared.ingestion.reading.batch import common_type

DAY = "2025-03-03"


@pytest.fixture
def lines(desk: Callable[..., Any]) -> Any:
    return desk(Format.JSON_LINES)


def line(**values: Any) -> str:
    return json.dumps({"id": 1, "price": 1, "day": DAY, "name": "x"} | values, ensure_ascii=False)


@pytest.mark.parametrize(
    ("text", "row"),
    [
        (line(), (1, Decimal(1), DAY, "x")),
        (line(id="7", price="2.5"), (7, Decimal("2.50"), DAY, "x")),
        (line(price=2.5), (1, Decimal("2.50"), DAY, "x")),
        (line(price="9999999999.99"), (1, Decimal("9999999999.99"), DAY, "x")),
        (line(price=9999999999.99), (1, Decimal("9999999999.99"), DAY, "x")),
        (line(id=2**63 - 1), (2**63 - 1, Decimal(1), DAY, "x")),
        (line(id=3.0), (3, Decimal(1), DAY, "x")),
        (line(name=None, price=None), (1, None, DAY, None)),
        (line(name=12), (1, Decimal(1), DAY, "12")),
        (line(name="{x"), (1, Decimal(1), DAY, "{x")),
        (line(name="[1]"), (1, Decimal(1), DAY, "[1]")),
        (line(name='a"b\n\t\\ é 😀'), (1, Decimal(1), DAY, 'a"b\n\t\\ é 😀')),
        (f'{{"id": 1, "day": "{DAY}"}}', (1, None, DAY, None)),
        (f' \t{{"day": "{DAY}", "id": 1}} ', (1, None, DAY, None)),
        (f'\ufeff{{"day": "{DAY}", "id": 1}}', (1, None, DAY, None)),
    ],
)
@pytest.mark.parametrize("end", ["\n", "", "\r\n", "\n\n"], ids=["lf", "none", "crlf", "empty"])
def test_good_lines(lines: Any, text: str, row: Any, end: str) -> None:
    read = lines.read({"a.jsonl": text + end})
    assert (read.bad, read.rejected) == ({}, None)
    assert lines.rows(read) == [row]
    assert read.loaded == {"a.jsonl": ReadObject(1, 0, (date.fromisoformat(DAY),))}


@pytest.mark.parametrize(
    ("text", "column", "said"),
    [
        ("{", None, "it is not JSON"),
        ("x", None, "it is not JSON"),
        (" ", None, "it is not JSON"),
        ('{"id": 1} {"id": 2}', None, "it is not JSON"),
        ("[1]", None, "it is JSON, but not an object"),
        ("null", None, "it is JSON, but not an object"),
        ('"id"', None, "it is JSON, but not an object"),
        (f'{{"id": 1, "id": 2, "day": "{DAY}"}}', None, "a key is there twice"),
        (line(id="x"), "id", "'x' is not BIGINT"),
        (line(id=1.5), "id", "'1.5' is not exactly BIGINT"),
        (line(id=True), "id", "'true' is not BIGINT"),
        (line(id={"a": 1}), "id", "'{\"a\":1}' is not BIGINT"),
        (line(id=2**63), "id", "'9223372036854775808' is not BIGINT"),
        (line(id=""), "id", "'' is not BIGINT"),
        (line(id=None), "id", "the value is required, it is empty"),
        (f'{{"day": "{DAY}"}}', "id", "the value is required, it is empty"),
        (line(price=1.005), "price", "'1.005' is not exactly DECIMAL(12,2)"),
        (line(price="1.005"), "price", "'1.005' is not exactly DECIMAL(12,2)"),
        (line(name={"a": 1}), "name", "'{\"a\":1}' is not one text of at most 2097152 bytes"),
        (line(name=[]), "name", "'[]' is not one text of at most 2097152 bytes"),
        (line(day="2024-01-01"), "day_", "2024-01-01 is outside 2025-01-01 to 2025-12-31"),
        (line(day=None), "day_", "the row has no partition"),
    ],
)
def test_bad_lines_are_set_apart_with_the_place(lines: Any, text: str, column: str, said: str) -> None:
    read = lines.read({"a.jsonl": "\n".join([line(), "", text, line(), ""])})
    assert read.bad == {}
    assert lines.rejects(read) == [(3, column, said, text)]
    assert len(lines.rows(read)) == 2


@pytest.mark.parametrize("number", ["123456789012345678.25", "123456789012345678.0", "1234567890123456.78"])
def test_a_number_with_more_digits_than_a_double_keeps_is_no_exact_value(lines: Any, number: str) -> None:
    columns = (Column("d", "DECIMAL(38,2)", ""), Column("i", "BIGINT", ""))
    for name in ("d", "i"):
        read = lines.read({"a.jsonl": f'{{"{name}": {number}}}\n'}, columns=columns, partition=None)
        assert "is not exactly" in read.bad["a.jsonl"]
    read = lines.read({"a.jsonl": f'{{"d": "{number}", "i": {10**17 + 1}}}\n'}, columns=columns, partition=None)
    assert lines.rows(read, "d, i") == [(Decimal(number), 10**17 + 1)]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "line 1: the file is empty (0 bytes); expected at least one line"),
        (line(name="x" * 3_000_000), "line 1 is longer than 2097152 bytes"),
        (line().encode("utf-16"), "line 1: it is not UTF-8"),
        (gzip.compress(line().encode(), mtime=0), "line 1: it is not UTF-8"),
        (line(idd=1) + "\n", "line 1: unknown column 'idd'"),
        (f"{line()}\n{line(**{'a.b': 1, 'c': 2})}\n{line()}\n", "line 2: unknown column 'a.b', 'c'"),
    ],
)
def test_unreadable_files_are_bad_and_no_other_is(lines: Any, content: str | bytes, said: str) -> None:
    read = lines.read({"1.jsonl": line(), "a.jsonl": content, "2.jsonl": line(id=2)})
    assert read.bad.keys() == {"a.jsonl"}
    assert read.bad["a.jsonl"].startswith(f"a.jsonl, {said}")
    assert [row[0] for row in lines.rows(read)] == [1, 2]
    assert read.rejected is None


def test_one_strange_line_of_many_is_still_drift(lines: Any) -> None:
    """The policy is for objects: a column that nobody declared is no bad value."""
    content = "".join(f"{line(id=n)}\n" for n in range(1_000)) + line(new=1) + "\n"
    read = lines.read({"a.jsonl": content, "b.jsonl": f"{line(id='x')}\n{line()}\n"})
    assert read.bad.keys() == {"a.jsonl"}
    assert read.bad["a.jsonl"].startswith("a.jsonl, line 1001: unknown column 'new'.")
    assert lines.rejects(read, "_source_object, line") == [("b.jsonl", 1)]
    assert len(lines.rows(read)) == 1


def test_a_line_that_is_not_utf8_is_rejected_and_the_others_load(lines: Any) -> None:
    read = lines.read({"a.jsonl": line(name="café").encode("latin-1") + b"\n" + line(name="café").encode()})
    assert lines.rows(read) == [(1, Decimal(1), DAY, "café")]
    assert lines.rejects(read) == [(1, None, "it is not UTF-8", line(name="caf\ufffd"))]


def test_unknown_keys_are_left_out_or_added_with_a_type(lines: Any) -> None:
    files = {
        "a.jsonl": line(i=1, d=1, b=True, s="x", j={"a": 1}, m=1, n=None, big=2**63, **{"a/~b": 1}) + "\n",
        "b.jsonl": line(i=-2, d=1.5, b=None, s="2", j="y", m="z", n=None, big=1) + "\n",
    }
    left_out = lines.read(files, drift=Drift.IGNORE)
    assert (left_out.bad, left_out.added) == ({}, {})
    assert len(lines.rows(left_out)) == 2
    read = lines.read(files, drift=Drift.ADD_COLUMN)
    assert read.bad == {}
    assert read.added == {
        "i": "BIGINT",
        "d": "DOUBLE",
        "b": "BOOLEAN",
        "s": "VARCHAR",
        "j": "JSON",
        "m": "VARCHAR",
        "big": "VARCHAR",
        "a/~b": "BIGINT",
    }
    assert lines.rows(read, 'i, d, b, s, j, m, big, "a/~b"') == [
        (-2, 1.5, None, "2", '"y"', "z", "1", None),
        (1, 1.0, True, "x", '{"a":1}', "1", str(2**63), 1),
    ]


def test_a_key_without_a_value_anywhere_is_no_column_yet(lines: Any) -> None:
    read = lines.read({"a.jsonl": line(new=None)}, drift=Drift.ADD_COLUMN)
    assert (read.bad, read.added) == ({}, {})
    assert len(lines.rows(read)) == 1


@pytest.mark.parametrize(
    ("types", "expected"),
    [
        ({"BIGINT"}, "BIGINT"),
        ({"BIGINT", "DOUBLE"}, "DOUBLE"),
        ({"INTEGER", "BIGINT"}, "BIGINT"),
        ({"BIGINT", "BOOLEAN"}, "VARCHAR"),
        ({"BIGINT", "JSON"}, "JSON"),
        ({"DATE", "TIMESTAMP"}, "VARCHAR"),
    ],
)
def test_the_common_type_holds_all(types: set[str], expected: str) -> None:
    assert common_type(types) == expected


def test_nested_values_in_declared_columns(lines: Any) -> None:
    columns = (Column("j", "JSON", ""), Column("l", "INTEGER[]", ""), Column("s", "STRUCT(a INTEGER)", ""))
    good = '{"j": {"x": [1, "a"]}, "l": [1, 2], "s": {"a": 3}}'
    read = lines.read({"a.jsonl": f'{good}\n{{"l": 5}}\n'}, columns=columns, partition=None)
    assert lines.rows(read, "j, l, s") == [('{"x":[1,"a"]}', [1, 2], {"a": 3})]
    assert lines.rejects(read, "line, column_name") == [(2, "l")]


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.jsonl.zst"])
def test_packed(lines: Any, name: str) -> None:
    text = f"{line()}\n{line(id=2)}\n"
    read = lines.read({name: (gzip if name.endswith("gz") else zstd).compress(text.encode())})
    assert [row[0] for row in lines.rows(read)] == [1, 2]
