import hashlib
from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo_world.calendar import CYCLE_DAYS
from demo_world.promotions import (
    SOURCE_WEEKS,
    begun_weeks,
    monday_of,
    promotions_object,
    source_week,
)

COLUMNS = ["product_id", "store_id", "display_location", "mailer_location", "week"]
MONDAYS = st.integers(0, 52 * 30).map(lambda weeks: date(2018, 1, 1) + timedelta(weeks=weeks))


def new_york(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def test_each_week_of_the_data_is_one_object_and_all_of_them_are_the_source(
    source_file: Callable[[str], str], tmp_path: Path
) -> None:
    whole = duckdb.connect().execute(
        f"SELECT week, count(*) FROM read_parquet('{source_file('promotions')}') GROUP BY week"
    )
    expected = dict(whole.fetchall())
    found = {}
    for week in SOURCE_WEEKS:
        thing = promotions_object(monday_of(week))
        path = tmp_path / "week.parquet"
        path.write_bytes(thing.content)
        footer = f"SELECT num_rows FROM parquet_file_metadata('{path}')"
        assert duckdb.connect().execute(footer).fetchall() == [(thing.rows,)]
        statistics = f"""SELECT DISTINCT stats_min_value, stats_max_value FROM parquet_metadata('{path}')
                         WHERE path_in_schema = 'week'"""
        assert duckdb.connect().execute(statistics).fetchall() == [(str(week), str(week))]
        assert thing.key == f"promotions/week={monday_of(week)}/promotions.parquet"
        found[week] = thing.rows
    assert found == expected
    assert sum(found.values()) == 20_940_529


@pytest.mark.parametrize(
    ("monday", "week"), [(date(2016, 12, 26), 1), (date(2025, 6, 30), 29), (date(2025, 12, 15), 53)]
)
def test_an_object_holds_the_rows_of_its_week(
    source_file: Callable[[str], str], tmp_path: Path, monday: date, week: int
) -> None:
    path = tmp_path / "week.parquet"
    path.write_bytes(promotions_object(monday).content)
    connection = duckdb.connect()
    shape = connection.execute(f"DESCRIBE FROM read_parquet('{path}')").fetchall()
    assert [(name, kind) for name, kind, *_ in shape] == [
        (name, "VARCHAR" if name.endswith("location") else "BIGINT") for name in COLUMNS
    ]
    ours = f"(SELECT * FROM read_parquet('{path}'))"
    theirs = f"(SELECT {', '.join(COLUMNS)} FROM read_parquet('{source_file('promotions')}') WHERE week = {week})"
    for left, right in ((ours, theirs), (theirs, ours)):
        assert connection.execute(f"SELECT count(*) FROM ({left} EXCEPT ALL {right})").fetchone() == (0,)


def test_the_same_week_gives_the_same_bytes() -> None:
    first, second = promotions_object(date(2025, 6, 30)), promotions_object(date(2025, 6, 30))
    a_cycle_later = promotions_object(date(2025, 6, 30) + timedelta(days=CYCLE_DAYS))
    assert first == second
    assert hashlib.md5(a_cycle_later.content).digest() == hashlib.md5(first.content).digest()
    assert a_cycle_later.key != first.key


def test_weeks_of_2017_play_themselves() -> None:
    assert [source_week(monday_of(week)) for week in SOURCE_WEEKS] == list(SOURCE_WEEKS)
    assert monday_of(2) == date(2017, 1, 2)
    assert monday_of(53) == date(2017, 12, 25)


@given(MONDAYS)
def test_later_weeks_play_each_whole_week_once_in_a_cycle(monday: date) -> None:
    weeks = Counter(source_week(monday + timedelta(weeks=n)) for n in range(52))
    assert weeks == Counter(range(2, 54))
    assert source_week(monday + timedelta(days=CYCLE_DAYS)) == source_week(monday)


@pytest.mark.parametrize("day", [date(2025, 7, 1), date(2016, 12, 19), date(2017, 1, 1)])
def test_a_day_that_begins_no_week_of_the_data_is_refused(day: date) -> None:
    with pytest.raises(ValueError, match=str(day)):
        source_week(day)


@pytest.mark.parametrize("week", [0, 54])
def test_a_week_that_is_not_in_the_data_is_refused(week: int) -> None:
    with pytest.raises(ValueError, match=f"1 to 53, not {week}"):
        monday_of(week)


@pytest.mark.parametrize(
    ("first", "now", "mondays"),
    [
        ("2025-07-08", "2025-07-06T12:00:00-04:00", []),
        ("2025-07-01", "2025-07-06T23:59:59-04:00", ["2025-06-30"]),
        ("2025-07-01", "2025-07-07T00:00:00-04:00", ["2025-06-30", "2025-07-07"]),
        ("2025-07-06", "2025-07-07T00:00:00-04:00", ["2025-06-30", "2025-07-07"]),
        ("2025-07-07", "2025-07-13T12:00:00-04:00", ["2025-07-07"]),
        ("2025-06-29", "2025-07-13T12:00:00-04:00", ["2025-06-23", "2025-06-30", "2025-07-07"]),
    ],
)
def test_a_week_is_there_when_its_monday_begins_in_new_york(first: str, now: str, mondays: list[str]) -> None:
    assert [str(monday) for monday in begun_weeks(date.fromisoformat(first), new_york(now))] == mondays
