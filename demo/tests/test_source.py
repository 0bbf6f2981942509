import csv
import io
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import duckdb
import pytest

from demo_world.calendar import CYCLE_DAYS, data_day
from demo_world.source import StoreDayFile, store_day_files

HEADER = (
    "household_id,store_id,basket_id,product_id,quantity,"
    "sales_value,retail_disc,coupon_disc,coupon_match_disc,week,transaction_timestamp"
)
MONEY = ["sales_value", "retail_disc", "coupon_disc", "coupon_match_disc"]
NUMBERS = ["household_id", "store_id", "basket_id", "product_id", "quantity", "week"]


def parsed(file: StoreDayFile) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(file.content.decode("ascii"))))


def lines_of_2017(parquet: str, day: date) -> dict[tuple[int, int], dict[str, Any]]:
    """A New York day of the Parquet by (basket, product), money in whole cents, with its wall time in New York."""
    cents = ", ".join(f"round({column} * 100)::BIGINT AS {column}" for column in MONEY)
    query = f"""
        WITH lines AS (
            SELECT {", ".join(NUMBERS)}, {cents},
                   timezone('America/New_York', timezone('UTC', transaction_timestamp)) AS wall
            FROM read_parquet('{parquet}')
        )
        SELECT * FROM lines WHERE wall::DATE = DATE '{day}'
    """
    result = duckdb.connect().execute(query)
    names = [column[0] for column in result.description or ()]
    rows = [dict(zip(names, row, strict=True)) for row in result.fetchall()]
    return {(row["basket_id"], row["product_id"]): row for row in rows}


def winter(wall: datetime) -> int:
    return 5


def summer(wall: datetime) -> int:
    return 4


def spring(wall: datetime) -> int:
    return 5 if wall.hour < 3 else 4  # 02:30 does not exist: 02:30 plus five hours is 03:30 in summer time


def autumn(wall: datetime) -> int:
    return 4 if wall.hour < 2 else 5  # 01:30 exists twice: the first is still summer time


@pytest.mark.parametrize(
    ("day", "hours_behind_utc", "special_hour"),
    [
        (date(2017, 1, 20), winter, None),
        (date(2025, 1, 6), winter, None),
        (date(2025, 7, 1), summer, None),
        (date(2025, 3, 9), spring, 2),
        (date(2025, 11, 2), autumn, 1),
    ],
)
def test_files_hold_the_lines_of_the_data_day(
    parquet: str, day: date, hours_behind_utc: Any, special_hour: int | None
) -> None:
    source = lines_of_2017(parquet, data_day(day))
    files = list(store_day_files(day))
    lines = [line for file in files for line in parsed(file)]
    assert special_hour is None or special_hour in {row["wall"].hour for row in source.values()}
    assert len(lines) == len(source) > 1000
    for line in lines:
        row = source.pop((int(line["basket_id"]), int(line["product_id"])))
        assert {name: int(line[name]) for name in NUMBERS} == {name: row[name] for name in NUMBERS}
        assert {name: int(line[name].replace(".", "")) for name in MONEY} == {name: row[name] for name in MONEY}
        wall = datetime.combine(day, row["wall"].time())
        instant = wall + timedelta(hours=hours_behind_utc(wall))
        assert line["transaction_timestamp"] == instant.isoformat() + "Z"
    assert source == {}


def test_a_file_is_one_store_day_and_says_what_it_holds() -> None:
    day = date(2025, 7, 1)
    files = list(store_day_files(day))
    assert [file.store_id for file in files] == sorted({file.store_id for file in files})
    for file in files:
        lines = parsed(file)
        assert file.day == day
        assert file.name == f"2025-07-01/store-{file.store_id:05d}.csv"
        assert {line["store_id"] for line in lines} == {str(file.store_id)}
        assert file.rows == len(lines)
        assert file.sales == sum(Decimal(line["sales_value"]) for line in lines)


@pytest.mark.parametrize("day", [date(2025, 7, 1), date(2025, 3, 9)])  # the latter mixes two hours' lines
def test_bytes_are_a_header_and_sorted_lines_that_end_in_a_line_feed(day: date) -> None:
    for file in store_day_files(day):
        text = file.content.decode("ascii")
        assert text.startswith(HEADER + "\n")
        assert text.endswith("Z\n")
        assert "\r" not in text
        assert "\n\n" not in text
        lines = parsed(file)
        for line in lines:
            assert all(line[column][-3] == "." for column in MONEY)
        keys = [(line["transaction_timestamp"], int(line["basket_id"]), int(line["product_id"])) for line in lines]
        assert keys == sorted(keys)


def test_the_same_day_gives_the_same_bytes() -> None:
    assert list(store_day_files(date(2025, 7, 1))) == list(store_day_files(date(2025, 7, 1)))


def test_a_closed_day_has_no_files() -> None:
    assert list(store_day_files(date(2017, 12, 25))) == []
    assert list(store_day_files(date(2025, 12, 15))) == []


def test_a_cycle_holds_all_of_the_data_but_its_last_day(parquet: str) -> None:
    first, files, lines, sales = date(2025, 1, 6), 0, 0, Decimal(0)
    for n in range(CYCLE_DAYS):
        for file in store_day_files(first + timedelta(days=n)):
            files, lines, sales = files + 1, lines + file.content.count(b"\n") - 1, sales + file.sales
    assert (files, lines, sales) == (38_301, 1_464_357, Decimal("4579465.01"))

    last = list(store_day_files(date(2017, 12, 31)))
    whole = f"SELECT count(*), round(sum(sales_value) * 100)::BIGINT FROM read_parquet('{parquet}')"
    assert duckdb.connect().execute(whole).fetchone() == (
        lines + sum(file.rows for file in last),
        (sales + sum(file.sales for file in last)) * 100,
    )
    assert files + len(last) == 38_410
