"""The one place that reads the wall clock; everything else is given the time, so that tests can set it."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The current instant, UTC-aware."""
    return datetime.now(UTC)
