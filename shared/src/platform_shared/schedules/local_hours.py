"""Local business hours, for schedules that do more or less by the hour. Pure."""

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo


@dataclass(frozen=True)
class BusinessHours:
    """Hours of the wall clock in an IANA time zone: from `opens` to before `closes`, busy from `busy_from` to before
    `busy_to`. Days of 23 or 25 hours and zones of half hours follow the wall clock like any other."""

    timezone: str
    opens: int
    closes: int
    busy_from: int
    busy_to: int

    def local(self, instant: datetime) -> datetime:
        """The wall time of an aware instant. ValueError for a naive one."""
        if instant.tzinfo is None:
            raise ValueError(f"an instant needs a time zone: {instant}")
        return instant.astimezone(ZoneInfo(self.timezone))

    def why_closed(self, instant: datetime) -> str | None:
        """Why nothing is to be done at this instant, in words for a skipped tick; None within the hours."""
        local = self.local(instant)
        if self.opens <= local.hour < self.closes:
            return None
        return f"{local:%H:%M} in {self.timezone} is outside of business hours ({self.opens}:00 to {self.closes}:00)"

    def is_busy(self, instant: datetime) -> bool:
        """Whether people need the machine at this instant."""
        return self.busy_from <= self.local(instant).hour < self.busy_to
