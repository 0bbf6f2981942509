"""CSV: what loads, what is rejected and where, and what makes an object bad."""

import gzip
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import duckdb
import pytest
from backports import zstd

from platform_shared.contracts import Column
from platform_shared.ingestion.reading import (
    PROVENANCE,
    REJECTS,
    Drift,
    Format,
    Partition,
    ReadLimits,
    ReadObject,
    Source,
)
from platform_shared.ingestion.reading.csv_objects import CsvReader

HEADER = "id,price,day,name\n"
DAY = "2025-03-03"


@pytest.fixture
def csv(desk: Callable[..., Any]) -> Any:
    return desk(Format.CSV)


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        (HEADER, []),
        (HEADER.rstrip("\n"), []),
        (f"{HEADER}1,2.5,{DAY},x\n", [(1, Decimal("2.50"), DAY, "x")]),
        (f"{HEADER}1,2.5,{DAY},x", [(1, Decimal("2.50"), DAY, "x")]),
        (f"{HEADER}1,,{DAY},\n", [(1, None, DAY, None)]),
        (f'{HEADER}"1","","{DAY}",""\n', [(1, None, DAY, None)]),
        (f"\ufeff{HEADER}1,1,{DAY},x\n", [(1, Decimal(1), DAY, "x")]),
        (f"name,day,id,price\nx,{DAY},1,2\n", [(1, Decimal(2), DAY, "x")]),
        (f'"id","price","day","name"\n1,1,{DAY},x\n', [(1, Decimal(1), DAY, "x")]),
        (f"{HEADER}\n1,1,{DAY},x\n\n\n2,1,{DAY},y\n\n", [(1, Decimal(1), DAY, "x"), (2, Decimal(1), DAY, "y")]),
        (f"{HEADER}1,1,{DAY},x\n2,1,{DAY},y\n".replace("\n", "\r\n"), [(1, 1, DAY, "x"), (2, 1, DAY, "y")]),
        (f"{HEADER}1,1,{DAY},x\n2,1,{DAY},y\r\n3,1,{DAY},z", [(1, 1, DAY, "x"), (2, 1, DAY, "y"), (3, 1, DAY, "z")]),
        (f"{HEADER}1,1,{DAY},x\n2,1,{DAY},y\n".replace("\n", "\r"), [(1, 1, DAY, "x"), (2, 1, DAY, "y")]),
        (f'{HEADER}1,1,{DAY},"a,""b"", c"\n', [(1, Decimal(1), DAY, 'a,"b", c')]),
        (f'{HEADER}1,1,{DAY},"a\nb\r\n\nc"\n2,1,{DAY},x\n', [(1, 1, DAY, "a\nb\r\n\nc"), (2, 1, DAY, "x")]),
        (f'{HEADER}1,1,{DAY},"a\nb"\r\n2,1,{DAY},x\r\n', [(1, 1, DAY, "a\nb"), (2, 1, DAY, "x")]),
        (f'{HEADER}1,1,{DAY},5" pipe\n2,1,{DAY},x\n', [(1, 1, DAY, '5" pipe'), (2, 1, DAY, "x")]),
        (f"{HEADER}1,1,{DAY},  x  \n", [(1, Decimal(1), DAY, "  x  ")]),
        (f"{HEADER}1,1,{DAY},NULL\n", [(1, Decimal(1), DAY, "NULL")]),
        (f"{HEADER}1,1,{DAY},naïve 表 😀\n", [(1, Decimal(1), DAY, "naïve 表 😀")]),
        (f"{HEADER}1,1,{DAY},a\0b\n", [(1, Decimal(1), DAY, "a\0b")]),
        (f"{HEADER}007,-1.500,2025-3-3,x\n", [(7, Decimal("-1.50"), DAY, "x")]),
        (f"{HEADER}1.0,+.5,{DAY} 00:00:00,x\n", [(1, Decimal("0.50"), DAY, "x")]),
    ],
)
def test_good_files(csv: Any, text: str, rows: list[Any]) -> None:
    read = csv.read({"a.csv": text})
    assert read.bad == {}
    assert csv.rows(read) == rows
    days = (date.fromisoformat(DAY),) if rows else ()
    assert read.loaded == {"a.csv": ReadObject(len(rows), 0, days)}
    assert read.rejected is None


@pytest.mark.parametrize(
    ("line", "column", "said"),
    [
        (f"x,1,{DAY},n", "id", "'x' is not BIGINT"),
        (f"1.5,1,{DAY},n", "id", "'1.5' is not exactly BIGINT"),
        (f"1e3,1,{DAY},n", "id", "'1e3' is not exactly BIGINT"),
        (f"1_000,1,{DAY},n", "id", "'1_000' is not exactly BIGINT"),
        (f"99999999999999999999,1,{DAY},n", "id", "'99999999999999999999' is not BIGINT"),
        (f",1,{DAY},n", "id", "the value is required, it is empty"),
        (f"1,1.005,{DAY},n", "price", "'1.005' is not exactly DECIMAL(12,2)"),
        (f"1,12345678901,{DAY},n", "price", "'12345678901' is not DECIMAL(12,2)"),
        (f"1,$1,{DAY},n", "price", "'$1' is not DECIMAL(12,2)"),
        ("1,1,2025-02-30,n", "day", "'2025-02-30' is not DATE"),
        ("1,1,2025-02-03 10:00:00,n", "day", "'2025-02-03 10:00:00' is not exactly DATE"),
        ("1,1,,n", "day_", "the row has no partition"),
        ("1,1,2024-12-31,n", "day_", "2024-12-31 is outside 2025-01-01 to 2025-12-31"),
        ("1,1,2026-01-01,n", "day_", "2026-01-01 is outside 2025-01-01 to 2025-12-31"),
        ("1,1", None, "it has 2 fields, the header has 4"),
        (f"1,1,{DAY},n,", None, "it has 5 fields, the header has 4"),
        (f'"1"x,1,{DAY},n', None, "a quote is not closed, or something follows the one that closes"),
        (f"x,y,{DAY},n", "id", "'x' is not BIGINT"),
        ("   ", None, "it has 1 fields, the header has 4"),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["lf", "crlf"])
def test_bad_lines_are_set_apart_with_the_place(csv: Any, line: str, column: str, said: str, end: str) -> None:
    good = f"7,1,{DAY},good"
    read = csv.read({"a.csv": HEADER.replace("\n", end) + end.join([good, line, good, ""])})
    assert csv.rejects(read) == [(3, column, said, line)]
    assert len(csv.rows(read)) == 2
    assert read.loaded["a.csv"] == ReadObject(2, 1, (date.fromisoformat(DAY),))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "line 1: the file is empty (0 bytes); expected a header line"),
        ("\n1,2\n", "line 1: it is empty; expected a header line"),
        ("id,price,day\n", "line 1: missing column name. Expected: id, price, day, name"),
        (
            f"id,price,day,nam\n1,1,{DAY},x\n",
            "line 1: missing column name; unknown column 'nam'. Expected: id, price, day, name",
        ),
        ("id,price,day,name,\n", "line 1: unknown column ''. Expected: id, price, day, name"),
        ("id,price,day,name,id\n", "line 1: column 'id' is there twice"),
        (HEADER.encode("utf-16"), "line 1: the header is not readable as CSV in UTF-8"),
        (HEADER + "x" * 3_000_000 + "\n", "line 2 is longer than 2097152 bytes"),
        ("x" * 3_000_000, "line 1 is longer than 2097152 bytes"),
        (
            f'{HEADER}1,1,{DAY},"x\n' + f"2,1,{DAY},y\n" * 200_000,
            "line 2: the quoted field that begins here does not end within 2097152 bytes; close the quote",
        ),
        (b"\x1f\x8b\x08\x00" + bytes(100), "line 1: "),
    ],
    ids=[
        "empty",
        "empty header",
        "missing",
        "renamed",
        "unnamed",
        "twice",
        "utf-16",
        "long line",
        "long header",
        "open quote",
        "binary",
    ],
)
def test_unreadable_files_are_bad_and_no_other_is(csv: Any, content: str | bytes, said: str) -> None:
    read = csv.read({"good.csv": f"{HEADER}1,1,{DAY},x\n", "a.csv": content, "better.csv": f"{HEADER}2,1,{DAY},x\n"})
    assert read.bad.keys() == {"a.csv"}
    assert read.bad["a.csv"].startswith(f"a.csv, {said}")
    assert [row[0] for row in csv.rows(read)] == [1, 2]
    assert read.loaded.keys() == {"good.csv", "better.csv"}


def test_an_object_over_the_threshold_is_bad_whole(csv: Any) -> None:
    def lines(bad: int) -> str:
        return HEADER + "".join(f"{'x' if n < bad else n},1,{DAY},n\n" for n in range(100))

    read = csv.read({"two.csv": lines(2), "one.csv": lines(1), "none.csv": lines(0)}, limits=ReadLimits(threshold=0.01))
    assert read.bad == {
        "two.csv": "two.csv, line 2, column id: 'x' is not BIGINT. "
        "In: 'x,1,2025-03-03,n' (2 bad lines, 100 rows in all)"
    }
    assert {name: (each.rows, each.rejects) for name, each in read.loaded.items()} == {
        "one.csv": (99, 1),
        "none.csv": (100, 0),
    }
    assert len(csv.rows(read)) == 199
    assert csv.rejects(read, "_source_object, line") == [("one.csv", 2)]


def test_rows_and_rejects_carry_where_they_come_from(csv: Any) -> None:
    read = csv.read({"it's [a].csv": f"{HEADER}1,1,{DAY},x\ny,1,{DAY},x\n"})
    provenance = ", ".join(name for name in PROVENANCE if name != "_loaded_at")
    expected = [("it's [a].csv", "version of it's [a].csv", "batch 7")]
    assert csv.rows(read, provenance) == csv.rejects(read, provenance) == expected
    written, rejected = (
        {name: type_ for name, type_, *_ in csv.connection.execute(f"DESCRIBE FROM '{each.path}'").fetchall()}
        for each in (read.written, read.rejected)
    )
    assert written == {
        "id": "BIGINT",
        "price": "DECIMAL(12,2)",
        "day": "DATE",
        "name": "VARCHAR",
        "day_": "DATE",
        **PROVENANCE,
        "_loaded_at": "TIMESTAMP WITH TIME ZONE",
    }
    assert rejected == {**REJECTS, "_loaded_at": "TIMESTAMP WITH TIME ZONE"}


def test_a_line_that_is_not_utf8_is_rejected_and_the_others_load(csv: Any) -> None:
    lines = [HEADER.encode(), f"1,1,{DAY},caf".encode() + b"\xe9\n", f"2,1,{DAY},café\n".encode()]
    read = csv.read({"a.csv": b"".join(lines)})
    assert csv.rows(read) == [(2, Decimal(1), DAY, "café")]
    assert csv.rejects(read) == [(2, None, "it is not UTF-8", f"1,1,{DAY},caf\ufffd")]


def test_lines_are_those_of_the_file_below_fields_over_several_lines(csv: Any) -> None:
    record = f'1,1,{DAY},"a\n\nb"'
    text = f"{HEADER}{record}\n\nx,1,{DAY},n\n{record.replace('1', 'y', 1)}\nz,1,{DAY},n\n"
    read = csv.read({"b.csv": text, "a.csv": text})
    assert csv.rejects(read, "_source_object, line, content") == [
        (name, line, content)
        for name in ("a.csv", "b.csv")
        for line, content in [(6, f"x,1,{DAY},n"), (7, record.replace("1", "y", 1)), (10, f"z,1,{DAY},n")]
    ]


def test_a_quote_that_is_never_closed_takes_all_lines_with_it(csv: Any) -> None:
    tail = f'4,1,{DAY},"x\n5,1,{DAY},y\n6,1,{DAY},z\n'
    read = csv.read({"a.csv": HEADER + f"1,1,{DAY},x\n" * 30 + tail})
    assert [line for line, *_ in csv.rejects(read)] == [32, 33, 34]
    assert read.loaded["a.csv"] == ReadObject(30, 3, (date.fromisoformat(DAY),))


def test_what_is_kept_of_a_bad_line_is_bounded(csv: Any) -> None:
    read = csv.read({"a.csv": f"{HEADER}1,1,{DAY},x\ny{'z' * 10_000},1,{DAY},x\n"})
    [(_, _, reason, content)] = csv.rejects(read)
    assert len(content) == 2_000
    assert len(reason) < 200


@pytest.mark.parametrize("name", ["a.csv.gz", "a.CSV.GZ"])
def test_gzip_by_name_all_members(csv: Any, name: str) -> None:
    members = [f"{HEADER}1,1,{DAY},x\n", f"2,1,{DAY},y\n", f"3,1,{DAY},z"]
    read = csv.read({name: b"".join(gzip.compress(member.encode()) for member in members)})
    assert [row[0] for row in csv.rows(read)] == [1, 2, 3]


def test_zstd_by_name_all_frames(csv: Any) -> None:
    frames = [f"{HEADER}1,1,{DAY},x\n", f'2,1,{DAY},"y,"\nz,1,{DAY},\n']
    read = csv.read({"a.csv.zst": b"".join(zstd.compress(frame.encode()) for frame in frames)})
    assert [row[0] for row in csv.rows(read)] == [1, 2]
    assert csv.rejects(read) == [(4, "id", "'z' is not BIGINT", f"z,1,{DAY},")]


@pytest.mark.parametrize("cut", [1, 8, 9, 20])
def test_a_gzip_file_that_is_cut_off_is_bad(csv: Any, cut: int) -> None:
    content = gzip.compress((HEADER + f"1,1,{DAY},x\n" * 100).encode())
    read = csv.read({"a.csv.gz": content[:-cut], "b.csv": f"{HEADER}1,1,{DAY},x\n"})
    assert read.bad == {"a.csv.gz": "a.csv.gz, the gzip stream ends early: the file is cut off; send it again"}
    assert read.loaded.keys() == {"b.csv"}


def test_a_gzip_member_that_is_damaged_is_bad(csv: Any) -> None:
    content = bytearray(gzip.compress((HEADER + f"1,1,{DAY},x\n" * 100).encode()))
    content[-6] ^= 1
    read = csv.read({"a.csv.gz": bytes(content), "b.csv.gz": b"id,price", "c.csv.gz": b""})
    assert read.bad["a.csv.gz"].startswith("a.csv.gz, not readable as gzip (CRC check failed")
    assert read.bad["b.csv.gz"].startswith("b.csv.gz, not readable as gzip (Not a gzipped file")
    assert read.bad["c.csv.gz"].startswith("c.csv.gz, the file is empty (0 bytes)")


def test_every_zstd_file_that_is_cut_off_is_bad(csv: Any) -> None:
    content = zstd.compress((HEADER + f"1,1,{DAY},x\n" * 100).encode())
    files = {f"{length}.zst": content[:length] for length in range(len(content))}
    read = csv.read(files)
    assert read.bad.keys() == files.keys()
    assert all("cut off" in reason for name, reason in read.bad.items() if name != "0.zst")
    assert "0 bytes" in read.bad["0.zst"]


def test_a_zstd_frame_that_is_damaged_is_bad(csv: Any) -> None:
    params = {zstd.CompressionParameter.checksum_flag: 1}
    content = bytearray(zstd.compress((HEADER + f"1,1,{DAY},x\n" * 100).encode(), options=params))
    content[-1] ^= 1
    read = csv.read({"a.zst": bytes(content), "b.zst": b"id,price", "c.csv": f"{HEADER}1,1,{DAY},x\n"})
    assert read.bad["a.zst"].startswith("a.zst, not readable as zstd (")
    assert read.bad["b.zst"].startswith("b.zst, not readable as zstd (")
    assert read.loaded.keys() == {"c.csv"}


@pytest.mark.parametrize("pack", [gzip.compress, zstd.compress])
def test_packed_text_may_be_written_in_any_way_that_plain_text_may(csv: Any, pack: Any) -> None:
    suffix = "gz" if pack is gzip.compress else "zst"
    text = f'\ufeff{HEADER}1,1,{DAY},"x\ny"\r\n2,1,{DAY},z\r\n'
    read = csv.read({f"a.{suffix}": pack(text.encode()), f"b.{suffix}": pack(f"{HEADER}3,1,{DAY},".encode() + b"\xff")})
    assert [row[3] for row in csv.rows(read)] == ["x\ny", "z"]
    assert read.bad.keys() == {f"b.{suffix}"}


def test_a_compression_bomb_is_bad_before_it_unfolds(csv: Any) -> None:
    limits = ReadLimits(threshold=0.9, max_expansion=50, free_expansion_bytes=100_000)
    small = gzip.compress((HEADER + f"1,1,{DAY},x\n" * 1_000).encode())
    bomb = gzip.compress((HEADER + f"1,1,{DAY},x\n" * 200_000).encode())
    read = csv.read({"small.gz": small, "bomb.gz": bomb, "bomb.zst": zstd.compress(b"0\n" * 3_000_000)}, limits=limits)
    assert read.loaded.keys() == {"small.gz"}
    assert "unpack to more than 50 times as much: it looks like a compression bomb" in read.bad["bomb.gz"]
    assert "compression bomb" in read.bad["bomb.zst"]


def test_an_object_over_the_size_limit_is_bad(csv: Any) -> None:
    text = HEADER + f"1,1,{DAY},x\n" * 1_000
    limits = ReadLimits(max_object_bytes=10_000)
    read = csv.read({"a.csv": text, "b.gz": gzip.compress(text.encode()), "c.csv": HEADER}, limits=limits)
    assert read.loaded.keys() == {"c.csv"}
    assert {reason.split(", ", 1)[1] for reason in read.bad.values()} == {
        "more than 10000 bytes unpacked; send it in parts"
    }


def test_unknown_columns_are_left_out_or_added(csv: Any) -> None:
    files = {
        "a.csv": f"id,extra,price,day,name\n1,e1,1,{DAY},x\n",
        "b.csv": f"{HEADER}2,1,{DAY},x\n",
        "c.csv": f"more,{HEADER}m,3,1,{DAY},x\n",
    }
    assert csv.read(files).bad.keys() == {"a.csv", "c.csv"}
    left_out = csv.read(files, drift=Drift.IGNORE)
    assert (left_out.bad, left_out.added) == ({}, {})
    assert [row[0] for row in csv.rows(left_out)] == [1, 2, 3]
    added = csv.read(files, drift=Drift.ADD_COLUMN)
    assert added.added == {"extra": "VARCHAR", "more": "VARCHAR"}
    assert csv.rows(added, "id, extra, more") == [(1, "e1", None), (2, None, None), (3, None, "m")]


def test_a_column_that_was_added_before_keeps_its_type(csv: Any) -> None:
    csv.connection.execute("CREATE SCHEMA lake.raw; CREATE TABLE lake.raw.things (id BIGINT, extra BIGINT)")
    read = csv.read({"a.csv": f"extra,{HEADER}5,1,1,{DAY},x\nsix,2,1,{DAY},x\n"}, drift=Drift.ADD_COLUMN)
    assert read.added == {}
    assert csv.rows(read, "id, extra") == [(1, 5)]
    assert csv.rejects(read, "line, column_name, reason") == [(3, "extra", "'six' is not BIGINT")]


@pytest.mark.parametrize("name", ["", " ", "ID", "_loaded_at", "_Batch_ID", "day_", "__reading_fault"])
def test_a_column_that_cannot_be_added_makes_its_object_bad(csv: Any, name: str) -> None:
    files = {"a.csv": f"{name},{HEADER}5,1,1,{DAY},x\n", "b.csv": f"{HEADER}1,1,{DAY},x\n"}
    read = csv.read(files, drift=Drift.ADD_COLUMN)
    assert read.bad.keys() == {"a.csv"}
    assert read.bad["a.csv"].startswith(f"a.csv, line 1: column {name!r} cannot be added to the table")


def test_columns_that_differ_in_letter_case_only_are_not_added_both(csv: Any) -> None:
    files = {"a.csv": f"x,X,{HEADER}", "b.csv": f"y,{HEADER}", "c.csv": f"Y,{HEADER}"}
    read = csv.read(files, drift=Drift.ADD_COLUMN)
    assert read.bad.keys() == {"a.csv", "c.csv"}
    assert read.added == {"y": "VARCHAR"}


def test_a_flood_of_columns_is_no_drift(csv: Any) -> None:
    flood = ",".join(f"c{n}" for n in range(101))
    read = csv.read({"a.csv": f"{flood},{HEADER}", "b.csv": f"new,{HEADER}"}, drift=Drift.ADD_COLUMN)
    assert read.bad.keys() == {"a.csv"}
    assert read.added == {"new": "VARCHAR"}


def test_the_partition_may_come_from_the_objects_name_or_be_a_declared_column(csv: Any, desk: Any) -> None:
    by_name = Partition("p", "regexp_extract(_source_object, '[0-9-]{10}')", date(2025, 1, 1), date(2025, 12, 31))
    read = csv.read({"2025-02-03/a.csv": f"{HEADER}1,1,,x\n", "none.csv": f"{HEADER}2,1,,x\n"}, partition=by_name)
    assert csv.rows(read, "id, CAST(p AS VARCHAR)") == [(1, "2025-02-03")]
    assert read.bad["none.csv"].startswith("none.csv, line 2, column p: the row has no partition")
    declared = Partition("day", "day", date(2025, 1, 1), date(2025, 12, 31))
    read = csv.read({"a.csv": f"{HEADER}1,1,{DAY},x\n"}, partition=declared)
    assert csv.rows(read) == [(1, Decimal(1), DAY, "x")]


def test_a_feed_without_partitions(csv: Any) -> None:
    read = csv.read({"a.csv": f"{HEADER}1,1,,x\n"}, partition=None)
    assert read.loaded == {"a.csv": ReadObject(1, 0, ())}
    assert csv.rows(read) == [(1, Decimal(1), None, "x")]


def test_another_delimiter(csv: Any) -> None:
    read = csv.read({"a.csv": f'id|price|day|name\n1|1|{DAY}|"a|b"\n2|1|{DAY}|c,"d\n'}, delimiter="|")
    assert csv.rows(read, "id, name") == [(1, "a|b"), (2, 'c,"d')]


def test_a_batch_of_nothing(csv: Any) -> None:
    read = csv.read({})
    assert (read.written, read.rejected, read.loaded, read.bad, read.added) == (None, None, {}, {}, {})


def test_a_bad_batch_leaves_no_files(csv: Any) -> None:
    read = csv.read({"a.csv": f"{HEADER}x,1,{DAY},x\n", "b.csv": ""})
    assert (read.written, read.rejected) == (None, None)
    assert read.bad.keys() == {"a.csv", "b.csv"}
    assert not list(csv.folder.rglob("*.parquet"))


def test_a_path_that_is_gone_is_bad(csv: Any) -> None:
    read = csv.read_sources([Source("a.csv", "1", csv.folder / "nothing")])
    assert read.bad == {"a.csv": "a.csv, cannot be read: No such file or directory"}


def test_two_sources_of_one_name_are_refused(csv: Any) -> None:
    for second in (Source("a", "2", csv.folder / "2"), Source("b", "1", csv.folder / "1")):
        with pytest.raises(ValueError, match="have the same"):
            csv.read_sources([Source("a", "1", csv.folder / "1"), second])


def test_a_partition_that_is_no_sql_is_an_error_of_the_feed(csv: Any) -> None:
    wrong = Partition("p", "no_such_column", date(2025, 1, 1), date(2025, 12, 31))
    with pytest.raises(duckdb.BinderException):
        csv.read({"a.csv": f"{HEADER}1,1,,x\n"}, partition=wrong)


@pytest.mark.parametrize("type_", ["TIMESTAMP", "TIMESTAMPTZ"])
@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("2025-01-02T03:04:05", True),
        ("2025-01-02 03:04:05.123456", True),
        ("2025-01-02 03:04:05.1234560", True),
        ("2025-01-02T03:04:05.123456Z", True),
        ("2025-01-02T03:04:05.1234567Z", False),
        ("2025-01-02T03:04:05.123456789", False),
        ("infinity", False),
        ("2025-01-02T25:00:00", False),
        ("2025-01-02T03:04:05+02:00", "offset"),
        ("2025-01-02T03:04:05.123456-05", "offset"),
    ],
)
def test_instants_are_kept_to_the_microsecond_and_with_their_offset(
    csv: Any, type_: str, text: str, good: bool | str
) -> None:
    columns = (Column("t", type_, ""),)
    read = csv.read({"a.csv": f"t\n{text}\n"}, columns=columns, partition=None)
    expected = type_ == "TIMESTAMPTZ" if good == "offset" else good
    assert bool(read.loaded) is expected, read.bad


def test_a_type_that_parquet_cannot_hold_is_refused(csv: Any) -> None:
    with pytest.raises(ValueError, match=r"column i: HUGEINT .* DECIMAL\(38,0\)"):
        csv.read({"a.csv": "i\n1\n"}, columns=(Column("i", "HUGEINT", ""),), partition=None)


@pytest.mark.parametrize("name", ["_loaded_at", "__reading_x"])
def test_declared_columns_must_not_take_names_of_the_platform(csv: Any, name: str) -> None:
    with pytest.raises(ValueError, match="the platform's own"):
        csv.read({}, columns=(Column(name, "BIGINT", ""),))
    with pytest.raises(ValueError, match="declared twice"):
        csv.read({}, columns=(Column("a", "BIGINT", ""), Column("A", "BIGINT", "")))


@pytest.mark.parametrize("name", ["a[1]", "a*", "a?", "it's", "100%", "é 表"])
def test_marks_in_a_path_stand_for_themselves(csv: Any, name: str) -> None:
    sources = []
    for number, each in enumerate([name, "a1", "ab"]):
        path = csv.folder / each
        path.write_text(f"{HEADER}{number},1,{DAY},x\n")
        sources.append(Source(each, "1", path))
    read = csv.read_sources(sources)
    assert read.bad == {}
    assert csv.rows(read, "_source_object, id") == sorted([(name, 0), ("a1", 1), ("ab", 2)])


@pytest.mark.parametrize("difference", [-1, 1])
def test_a_file_that_changes_while_it_is_read_is_bad(
    csv: Any, monkeypatch: pytest.MonkeyPatch, difference: int
) -> None:
    """The lines are counted first; then there are more, or fewer, than good and bad ones together."""
    counted = CsvReader.records
    monkeypatch.setattr(CsvReader, "records", lambda self, name: counted(self, name) + difference * (name == "a.csv"))
    lines = HEADER + "".join(f"{n},1,{DAY},x\n" for n in range(10))
    read = csv.read({"a.csv": lines, "b.csv": lines})
    assert read.loaded.keys() == {"b.csv"}
    assert read.bad["a.csv"].startswith("a.csv changed while it was being read")
    assert len(csv.rows(read)) == 10
    assert read.rejected is None
