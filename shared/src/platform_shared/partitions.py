"""Partitions that more than one location uses."""

from datetime import date, datetime
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


def business_date(instant: datetime) -> date:
    """The New York day of an aware instant."""
    return instant.astimezone(ZoneInfo(BUSINESS_TIME_ZONE)).date()
