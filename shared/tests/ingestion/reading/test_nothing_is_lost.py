"""Good rows and rejects together are all rows, exactly, whatever is mixed and broken."""

import csv
import gzip
import io
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from platform_shared.contracts import Column
from platform_shared.ingestion.reading import Format, ReadLimits
from platform_shared.warehouse import literal

COLUMNS = (
    Column("id", "BIGINT", "", required=True),
    Column("price", "DECIMAL(12,2)", ""),
    Column("name", "VARCHAR", ""),
)

# Not the surrogates, which are no text; all else must come back as it was, marks of formats and line ends above all.
texts = st.text(
    st.one_of(st.sampled_from(list("\",\n\r\t '{}[]\\|a\0")), st.characters(exclude_categories=["Cs"])), max_size=8
)
rows = st.tuples(
    st.integers(-(2**63), 2**63 - 1),
    st.none() | st.decimals(-9_999_999_999, 9_999_999_999, places=2),
    st.none() | texts.filter(bool),
)
defects = st.sampled_from(["number", "fraction", "required", "short", "long"])


@dataclass(frozen=True)
class Line:
    row: tuple[int, Decimal | None, str | None]
    defect: str | None


lines = st.builds(Line, rows, st.none() | st.none() | defects)
files = st.dictionaries(
    st.sampled_from(["a", "b [1]", "c/d", "é", "it's"]),
    st.none() | st.lists(lines, max_size=8),
    min_size=1,
)
"""Name -> lines, or None for a file that cannot be read."""


def fields(line: Line) -> list[str]:
    values = ["" if value is None else str(value) for value in line.row]
    match line.defect:
        case "number":
            values[0] += "x"
        case "fraction":
            values[1] = "0.001"
        case "required":
            values[0] = ""
        case "short":
            values.pop()
        case "long":
            values.append("more")
    return values


def record(values: list[str], *, quoting: bool, end: str) -> str:
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL if quoting else csv.QUOTE_MINIMAL, lineterminator=end).writerow(values)
    return out.getvalue()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files, st.data())
def test_csv(desk: Callable[..., Any], contents: dict[str, list[Line] | None], data: st.DataObject) -> None:
    reader = desk(Format.CSV, columns=COLUMNS, partition=None, limits=ReadLimits(threshold=1))
    sent: dict[str, str | bytes] = {}
    good: list[Any] = []
    bad: list[Any] = []
    for name, content in contents.items():
        if content is None:
            sent[name] = data.draw(st.sampled_from(["", "id,price\n1,2\n", b"\xff\xfe", "id,price,name,more\n"]))
            continue
        ends = data.draw(st.sampled_from([["\n"], ["\r\n"], ["\n", "\r\n"], ["\r"]]))
        order = data.draw(st.permutations([0, 1, 2]))
        text = ",".join(["id", "price", "name"][at] for at in order) + ends[0]
        for line in content:
            values = fields(line)
            if line.defect not in ("short", "long"):
                values = [values[at] for at in order]
            if data.draw(st.booleans()) and data.draw(st.booleans()):
                text += data.draw(st.sampled_from(ends))
            number = physical_lines(text) + 1
            text += record(values, quoting=data.draw(st.booleans()), end=data.draw(st.sampled_from(ends)))
            if line.defect:
                bad.append((name, number))
            else:
                good.append((name, *line.row))
        packed = data.draw(st.booleans())
        sent[name + ".gz" * packed] = gzip.compress(text.encode()) if packed else text
    reading = reader.read(sent)
    assert {name.removesuffix(".gz") for name in reading.bad} == {n for n, lines in contents.items() if lines is None}
    name = "replace(_source_object, '.gz', '')"
    found = reader.rows(reading, f"{name}, id, price, name")
    assert sorted(found, key=str) == sorted(good, key=str)
    found = reader.rejects(reading, f"DISTINCT {name}, line")
    # A bad record over several lines may be told line by line.
    assert set(bad) <= set(found)
    assert all(any(n == name and line <= number for n, line in bad) for name, number in found)
    if not any("\n" in str(line.row[2]) for content in contents.values() for line in content or ()):
        assert set(found) == set(bad)
    assert sum(each.rows for each in reading.loaded.values()) == len(good)


def physical_lines(text: str) -> int:
    """Line ends so far; a carriage return alone ends a line only outside of quotes."""
    count, quoted, at = 0, False, 0
    while at < len(text):
        if text[at] == '"':
            quoted = not quoted
        elif text[at] == "\n" or (text[at] == "\r" and not quoted and text[at + 1 : at + 2] != "\n"):
            count += 1
        at += 1
    return count


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files, st.data())
def test_json_lines(desk: Callable[..., Any], contents: dict[str, list[Line] | None], data: st.DataObject) -> None:
    reader = desk(Format.JSON_LINES, columns=COLUMNS, partition=None, limits=ReadLimits(threshold=1))
    sent: dict[str, str | bytes] = {}
    good: list[Any] = []
    bad: list[Any] = []
    for name, content in contents.items():
        if not content:
            sent[name] = data.draw(st.sampled_from(["", '{"id": 1, "more": 1}']))
            continue
        text, number = "", 0
        for line in content:
            values: dict[str, Any] = {"id": line.row[0], "price": line.row[1], "name": line.row[2]}
            if data.draw(st.booleans()):
                values["id"] = str(values["id"])
            values["price"] = None if values["price"] is None else str(values["price"])
            match line.defect:
                case "number":
                    values["id"] = "x"
                case "fraction":
                    values["price"] = 0.001
                case "required":
                    del values["id"]
                case "long":
                    values["name"] = {"a": 1}
            text += json.dumps(values, ensure_ascii=data.draw(st.booleans()))
            if line.defect == "short":
                text = text[:-1]
            text += data.draw(st.sampled_from(["\n", "\r\n", "\n\n"]))
            number = text.count("\n", 0, len(text.rstrip("\r\n"))) + 1
            if line.defect:
                bad.append((name, number))
            else:
                good.append((name, *line.row))
        sent[name] = text
    reading = reader.read(sent)
    assert reading.bad.keys() == {name for name, content in contents.items() if not content}
    assert sorted(reader.rows(reading, "_source_object, id, price, name"), key=str) == sorted(good, key=str)
    assert sorted(reader.rejects(reading, "_source_object, line"), key=str) == sorted(bad, key=str)


@pytest.mark.parametrize("broken", [False, True])
def test_lines_that_are_long_for_the_readers_buffers(desk: Callable[..., Any], broken: bool) -> None:
    reader = desk(Format.CSV, columns=COLUMNS, partition=None, limits=ReadLimits(threshold=0.5))
    sizes = [2_000_000, 10, 1_999_000, 1_500_000, 3, 2_097_000, 1_000_000] * 4
    text = "id,price,name\n" + "".join(f"{n},1,{'x' * size}\n" for n, size in enumerate(sizes))
    read = reader.read({"a": text + "y,1,x\n" * broken, "b": "id,price,name\n7,1,x\n"})
    assert read.bad == {}
    assert read.loaded["a"].rejects == broken
    found = reader.rows(read, "_source_object, id, length(name)")
    assert found == [*(("a", n, size) for n, size in enumerate(sizes)), ("b", 7, 1)]


MEASURE = """
import sys, tempfile
from pathlib import Path
import duckdb
from platform_shared.contracts import Column
from platform_shared.ingestion.reading import Format, ReadLimits, Shape, Source, read_batch
from platform_shared.warehouse import TableName, Warehouse

path = Path(sys.argv[1])
columns = tuple(Column(f"c{n}", "BIGINT", "") for n in range(4)) + (Column("name", "VARCHAR", ""),)
shape = Shape(columns, Format(sys.argv[2]), limits=ReadLimits(threshold=0.2))
with tempfile.TemporaryDirectory() as folder:
    spill = f"{folder}/spill"
    with duckdb.connect(config={"threads": "2", "memory_limit": "192MB", "temp_directory": spill}) as connection:
        connection.execute("ATTACH ':memory:' AS lake; SET TimeZone = 'UTC'")
        warehouse = Warehouse(None, f"{folder}/", Path(folder))
        source = Source(sys.argv[3], "1", path)
        table, now = TableName("s", "t"), "2025-01-01T00:00:00Z"
        read = read_batch(warehouse, connection, table, "b", [source], shape, now, Path(folder))
[each] = read.loaded.values()
print()
# Not ru_maxrss: a child has inherited the one of its parent.
[peak] = [line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
print(each.rows, each.rejects, int(peak) // 1024)
"""

_ROWS = """
    SELECT CASE WHEN n % 50 = 3 THEN 'x' ELSE n::VARCHAR END AS c0, n * 7 AS c1, n % 1000 AS c2, 5::BIGINT AS c3,
        repeat('some words to make a line longer ', 3) || n AS name
    FROM range({rows}) AS r(n)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak is read from Linux's /proc")
@pytest.mark.parametrize(
    ("format_", "rows", "options"),
    [
        ("csv", 1_400_000, "FORMAT csv, COMPRESSION gzip"),
        ("json_lines", 1_000_000, "FORMAT json"),
        ("parquet", 1_400_000, "FORMAT parquet"),
    ],
)
def test_memory_does_not_grow_with_the_object(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path, format_: str, rows: int, options: str
) -> None:
    """200 MB of text with bad lines in it, under a limit of 192 MB; 120 MB more are Python's and DuckDB's code."""
    path = tmp_path / "big"
    connection.execute(f"COPY ({_ROWS.format(rows=rows)}) TO {literal(str(path))} ({options})")
    name = "big.gz" if format_ == "csv" else "big"
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(path), format_, name], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    good, bad, megabytes = map(int, done.stdout.splitlines()[-1].split())
    assert (good, bad) == (rows - rows // 50, rows // 50)
    assert megabytes < 400, megabytes
