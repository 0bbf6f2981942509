"""A gate that lets small changes gather until they are worth a run, or have waited long enough. Pure."""

import json
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Self


@dataclass(frozen=True)
class Threshold:
    """It opens at this amount, or when the oldest change has waited this long."""

    amount: int
    max_wait: timedelta


@dataclass(frozen=True)
class Gathered:
    """What has come since the gate opened last: up to the record `after`, in all `amount`, the oldest at `since`."""

    after: int | None = None
    amount: int = 0
    since: datetime | None = None

    def add(self, record: int, amount: int, at: datetime) -> "Gathered":
        """With one change more."""
        return replace(self, after=record, amount=self.amount + amount, since=self.since or at)

    def emptied(self) -> "Gathered":
        """After the gate has opened: nothing is gathered, the place is kept."""
        return Gathered(self.after)

    def why_closed(self, threshold: Threshold, now: datetime) -> str | None:
        """Why the gate is closed at `now`, in words for a skipped tick; None if it is open."""
        if self.since is None:
            return "Nothing new."
        waited = now - self.since
        if self.amount >= threshold.amount or waited >= threshold.max_wait:
            return None
        return f"{self.amount} of {threshold.amount}; waits {threshold.max_wait - waited} more at most."

    def cursor(self) -> str:
        """As text, for the sensor's cursor."""
        return json.dumps(
            {"after": self.after, "amount": self.amount, "since": self.since.isoformat() if self.since else None}
        )

    @classmethod
    def of(cls, cursor: str | None) -> Self:
        """What a cursor holds; nothing without one."""
        if not cursor:
            return cls()
        found = json.loads(cursor)
        since = datetime.fromisoformat(found["since"]) if found["since"] else None
        return cls(found["after"], found["amount"], since)
