from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from demo_world.calendar import (
    CYCLE_DAYS,
    business_day,
    closing_instant,
    data_day,
    has_trade,
    last_complete_trading_days,
    replay_instant,
)

NEW_YORK = ZoneInfo("America/New_York")
DAYS = st.dates(date(2017, 1, 1), date(2100, 12, 31))
SECONDS_OF_2017 = st.integers(0, 365 * 86_400 - 1)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@given(DAYS)
@example(date(2017, 12, 31))
@example(date(2018, 1, 1))
def test_a_day_plays_a_day_of_2017_of_its_weekday(day: date) -> None:
    assert data_day(day).year == 2017
    assert data_day(day).weekday() == day.weekday()


@given(st.dates(date(2018, 1, 1), date(2100, 12, 31)))
def test_later_days_repeat_after_a_cycle(day: date) -> None:
    assert data_day(day + timedelta(days=CYCLE_DAYS)) == data_day(day)


def test_a_day_of_2017_plays_itself() -> None:
    days = [date(2017, 1, 1) + timedelta(days=n) for n in range(365)]
    assert [data_day(day) for day in days] == days


def test_known_days_play_known_days() -> None:
    assert data_day(date(2018, 1, 1)) == date(2017, 1, 2)
    assert data_day(date(2025, 1, 6)) == date(2017, 1, 16)


def test_a_day_before_the_data_is_an_error() -> None:
    with pytest.raises(ValueError, match="2016-12-31"):
        data_day(date(2016, 12, 31))
    with pytest.raises(ValueError, match="2016-12-31"):
        last_complete_trading_days(utc("2017-01-03T12:00:00"), 3)


def test_one_day_in_a_cycle_is_closed() -> None:
    cycle = [date(2025, 1, 6) + timedelta(days=n) for n in range(CYCLE_DAYS)]
    assert [day for day in cycle if not has_trade(day)] == [date(2025, 12, 15)]
    assert not has_trade(date(2017, 12, 25))


def test_the_business_day_ends_at_midnight_in_new_york() -> None:
    assert business_day(utc("2025-07-02T03:59:59")) == date(2025, 7, 1)
    assert business_day(utc("2025-07-02T04:00:00")) == date(2025, 7, 2)
    assert business_day(utc("2025-01-02T04:59:59")) == date(2025, 1, 1)
    with pytest.raises(ValueError, match="time zone"):
        business_day(datetime(2025, 7, 2))  # noqa: DTZ001


@given(DAYS)
def test_a_day_closes_when_the_next_begins(day: date) -> None:
    closes = closing_instant(day)
    assert business_day(closes) == day + timedelta(days=1)
    assert business_day(closes - timedelta(seconds=1)) == day


def test_a_day_is_complete_when_its_midnight_has_passed() -> None:
    assert last_complete_trading_days(utc("2025-07-04T03:59:59"), 2) == [date(2025, 7, 1), date(2025, 7, 2)]
    assert last_complete_trading_days(utc("2025-07-04T04:00:00"), 2) == [date(2025, 7, 2), date(2025, 7, 3)]
    assert last_complete_trading_days(utc("2025-07-04T04:00:00"), 0) == []


def test_the_last_days_skip_the_closed_day() -> None:
    days = last_complete_trading_days(utc("2025-12-17T12:00:00"), 3)
    assert days == [date(2025, 12, 13), date(2025, 12, 14), date(2025, 12, 16)]


@given(SECONDS_OF_2017, DAYS)
def test_a_replayed_instant_keeps_the_wall_time_on_the_new_day(second: int, day: date) -> None:
    original = utc("2017-01-01T05:00:00") + timedelta(seconds=second)
    replayed = replay_instant(original, day)
    assert replayed.utcoffset() == timedelta(0)
    wall, was = replayed.astimezone(NEW_YORK), original.astimezone(NEW_YORK)
    assert wall.date() == day
    # No other time of any day is skipped in New York.
    skipped = was.hour == 2 and wall.hour == 3
    assert wall.time() == (was + timedelta(hours=1) if skipped else was).time()


@given(SECONDS_OF_2017)
def test_a_day_that_plays_itself_keeps_its_instants(second: int) -> None:
    original = utc("2017-01-01T05:00:00") + timedelta(seconds=second)
    assert replay_instant(original, business_day(original)) == original


def test_a_skipped_wall_time_moves_on_by_an_hour() -> None:
    half_past_two = utc("2017-03-19T06:30:00")
    assert replay_instant(half_past_two, date(2025, 3, 9)) == utc("2025-03-09T07:30:00")  # 03:30 in New York


def test_a_wall_time_that_comes_twice_is_the_first() -> None:
    half_past_one = utc("2017-11-12T06:30:00")
    assert replay_instant(half_past_one, date(2025, 11, 2)) == utc("2025-11-02T05:30:00")
    second_half_past_one = utc("2017-11-05T06:30:00")
    assert replay_instant(second_half_past_one, date(2018, 11, 4)) == utc("2018-11-04T05:30:00")
    assert replay_instant(second_half_past_one, date(2017, 11, 5)) == second_half_past_one
