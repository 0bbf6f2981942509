"""Partitions that more than one location uses."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import dagster as dg

BUSINESS_TIME_ZONE = "America/New_York"
"""The business day is New York's; instants are UTC."""

FIRST_BUSINESS_DATE = date(2025, 1, 6)
"""A Monday, so that weeks are whole from the start."""

BUSINESS_DAYS = dg.DailyPartitionsDefinition(
    start_date=FIRST_BUSINESS_DATE.isoformat(), timezone=BUSINESS_TIME_ZONE, end_offset=1
)
"""Daily, New York, today included: today's partition is open and grows as files come."""

COMPLETE_DAYS = dg.DailyPartitionsDefinition(start_date=FIRST_BUSINESS_DATE.isoformat(), timezone=BUSINESS_TIME_ZONE)
"""The same without today: for what is told of a day when it is over."""

BUSINESS_WEEKS = dg.WeeklyPartitionsDefinition(
    start_date=FIRST_BUSINESS_DATE.isoformat(), timezone=BUSINESS_TIME_ZONE, day_offset=1, end_offset=1
)
"""Weekly from Monday, New York, this week included."""

COMPLETE_WEEKS = dg.WeeklyPartitionsDefinition(
    start_date=FIRST_BUSINESS_DATE.isoformat(), timezone=BUSINESS_TIME_ZONE, day_offset=1
)
"""The same without this week: for what is made of whole weeks, so that none stands open until Sunday is over."""

COMPLETE_MONTHS = dg.MonthlyPartitionsDefinition(start_date="2025-02-01", timezone=BUSINESS_TIME_ZONE)
"""Monthly, New York, from the first month that is whole, without this month."""

COMPLETE_HOURS = dg.HourlyPartitionsDefinition(start_date="2026-11-01-00:00", timezone=BUSINESS_TIME_ZONE)
"""Hourly, New York, without this hour; a day has 23 to 25 of them. It begins when the first report by hour did: an hour
before that would be built for nothing, and kept for ever. The start never moves: ten years of hours are fewer than the
100,000 partitions that Dagster advises."""


@dataclass(frozen=True)
class Periods:
    """How a raw table is partitioned: by periods of `days`, each named by its first day, which stands in `column`."""

    definition: dg.PartitionsDefinition[str]
    column: str
    days: int

    def open(self, now: datetime) -> date:
        """The first day of the period that `now` (aware) lies in."""
        today = business_date(now)
        return today - timedelta(days=(today - FIRST_BUSINESS_DATE).days % self.days)

    def last_complete(self, now: datetime, grace: timedelta) -> date:
        """The newest period that ended at least `grace` before `now`."""
        return self.open(now - grace) - timedelta(days=self.days)


_PERIODS = (Periods(BUSINESS_DAYS, "business_date", 1), Periods(BUSINESS_WEEKS, "business_week", 7))


def periods_of(definition: dg.PartitionsDefinition[str] | None) -> Periods | None:
    """The periods of a table by business day or week, None for a table without partitions. ValueError for others."""
    if definition is None:
        return None
    for periods in _PERIODS:
        if periods.definition is definition:
            return periods
    raise ValueError("Raw tables are partitioned by BUSINESS_DAYS, by BUSINESS_WEEKS, or not at all.")


def business_date(instant: datetime) -> date:
    """The New York day of an aware instant."""
    return instant.astimezone(ZoneInfo(BUSINESS_TIME_ZONE)).date()


def business_days_of(partitions: dg.TimeWindowPartitionsDefinition, key: str) -> tuple[str, ...]:
    """The business days (keys of BUSINESS_DAYS) that a partition by hour, day, week or month lies in or consists of."""
    window = partitions.time_window_for_partition_key(key)
    first = business_date(window.start)
    last = business_date(window.end - timedelta(microseconds=1))
    return tuple((first + timedelta(days=n)).isoformat() for n in range((last - first).days + 1))


def business_days_until(last: str) -> tuple[str, ...]:
    """All business days from the first one to this one."""
    days = (date.fromisoformat(last) - FIRST_BUSINESS_DATE).days
    return tuple((FIRST_BUSINESS_DATE + timedelta(days=n)).isoformat() for n in range(days + 1))
