"""Wall clocks of business hours, on days of 23 and 25 hours and in zones of half hours."""

from datetime import UTC, datetime, timedelta

import pytest

from platform_shared.schedules import BusinessHours

NEW_YORK = BusinessHours("America/New_York", opens=8, closes=20, busy_from=11, busy_to=18)


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("instant", "open_", "busy"),
    [
        ("2026-03-07T13:00", True, False),  # 08:00, the day before the clock goes forward
        ("2026-03-08T12:00", True, False),  # 08:00 too, on the day of 23 hours
        ("2026-03-08T11:59", False, False),
        ("2026-11-01T12:59", False, False),  # 07:59, on the day of 25 hours
        ("2026-11-01T13:00", True, False),
        ("2026-07-01T15:00", True, True),  # 11:00
        ("2026-07-01T14:59", True, False),
        ("2026-07-01T22:00", True, False),  # 18:00
        ("2026-07-02T00:00", False, False),  # 20:00
    ],
)
def test_hours_are_those_of_the_wall_clock(instant, open_, busy):
    at = utc(instant)
    assert (NEW_YORK.why_closed(at) is None, NEW_YORK.is_busy(at)) == (open_, busy)


@pytest.mark.parametrize(
    ("zone", "opens_at"),
    [
        ("Asia/Kolkata", "2026-07-01T02:30"),  # +05:30
        ("Asia/Kathmandu", "2026-07-01T02:15"),  # +05:45
        ("America/St_Johns", "2026-07-01T10:30"),  # -02:30 in summer
        ("America/St_Johns", "2026-12-01T11:30"),  # -03:30 in winter
        ("Australia/Lord_Howe", "2026-07-01T21:30"),  # +10:30, and half an hour of summer time
        ("Australia/Lord_Howe", "2026-12-01T21:00"),
    ],
)
def test_zones_of_half_hours_open_on_their_own_clock(zone, opens_at):
    hours = BusinessHours(zone, opens=8, closes=20, busy_from=11, busy_to=18)
    at = utc(opens_at)
    assert hours.why_closed(at) is None
    assert hours.why_closed(at - timedelta(minutes=1)) is not None


@pytest.mark.parametrize(("day", "hours"), [("2026-03-08", 12), ("2026-11-01", 12), ("2026-06-01", 12)])
def test_a_day_has_as_many_open_hours_whatever_its_length(day, hours):
    midnight = utc(f"{day}T05:00")
    assert sum(NEW_YORK.why_closed(midnight + timedelta(hours=n)) is None for n in range(24)) == hours


def test_the_reason_names_the_wall_time_and_the_hours():
    assert NEW_YORK.why_closed(utc("2026-03-08T06:30")) == (
        "01:30 in America/New_York is outside of business hours (8:00 to 20:00)"
    )


def test_an_instant_needs_a_time_zone():
    with pytest.raises(ValueError, match="time zone"):
        NEW_YORK.why_closed(datetime(2026, 3, 8))  # noqa: DTZ001
