"""Days on which a source delivered nothing: once they are surely over, they are valid, empty partitions."""

from collections.abc import Collection, Mapping
from datetime import date, datetime, timedelta


def empty_days(
    first: date,
    last_complete: date,
    delivered: Mapping[date, datetime],
    announced: Collection[date],
    *,
    now: datetime,
    rest: timedelta,
    step: int = 1,
) -> list[date]:
    """Days (each `step` days) from `first` on, in order, that count as empty from now on.

    A day does when it is complete (`last_complete` is the newest such day), had no rows (`delivered`: the days that
    had, and when rows were noted last), lies before a day that had, and was not announced as empty yet; and when no
    complete day has had rows for the time `rest`: while history is being delivered, in whatever order, nothing is
    empty. A late file makes an ordinary day of it again.
    """
    if not delivered or any(day <= last_complete and now - noted < rest for day, noted in delivered.items()):
        return []
    end = min(last_complete + timedelta(days=1), max(delivered))
    days = (first + timedelta(days=n) for n in range(0, max(0, (end - first).days), step))
    return [day for day in days if day not in delivered and day not in announced]
