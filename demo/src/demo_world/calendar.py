"""Which day of the 2017 data plays on which calendar day. Days are business days, in New York."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

NEW_YORK = ZoneInfo("America/New_York")
CYCLE_DAYS = 364  # 52 whole weeks, so a day of any year plays a day of the same weekday

_FIRST_DAY = date(2017, 1, 1)
_CLOSED_DAY = date(2017, 12, 25)
_ONE_DAY = timedelta(days=1)


def data_day(day: date) -> date:
    """The day of 2017 that plays on `day`. Raises ValueError before 2017."""
    if day < _FIRST_DAY:
        raise ValueError(f"the data starts on {_FIRST_DAY}: no day plays on {day}")
    if day.year == _FIRST_DAY.year:
        return day
    return _FIRST_DAY + timedelta(days=(day - _FIRST_DAY).days % CYCLE_DAYS)


def has_trade(day: date) -> bool:
    """Whether the stores are open on `day`: one day in a cycle is closed. Raises ValueError before 2017."""
    return data_day(day) != _CLOSED_DAY


def business_day(instant: datetime) -> date:
    """The New York date of an instant. Raises ValueError if it has no time zone."""
    if instant.tzinfo is None:
        raise ValueError(f"an instant needs a time zone: {instant}")
    return instant.astimezone(NEW_YORK).date()


def closing_instant(day: date) -> datetime:
    """The New York midnight that ends `day`, in UTC."""
    return datetime.combine(day + _ONE_DAY, time(), tzinfo=NEW_YORK).astimezone(UTC)


def last_complete_trading_days(now: datetime, n: int) -> list[date]:
    """The last `n` days with trade whose New York midnight has passed at `now`, oldest first.

    Raises ValueError if they would reach before 2017.
    """
    days: list[date] = []
    day = business_day(now)
    while len(days) < n:
        day -= _ONE_DAY
        if has_trade(day):
            days.append(day)
    return days[::-1]


def replay_instant(instant_utc: datetime, day: date) -> datetime:
    """The instant, in UTC, at which `day` replays `instant_utc`: its New York wall time on the new date.

    A wall time that a spring day skips moves on by an hour; one that an autumn day has twice is the first of the two.
    """
    if business_day(instant_utc) == day:
        return instant_utc  # a day that plays itself keeps the second of two equal wall times, too
    wall = instant_utc.astimezone(NEW_YORK).time()
    return datetime.combine(day, wall.replace(fold=0), tzinfo=NEW_YORK).astimezone(UTC)
