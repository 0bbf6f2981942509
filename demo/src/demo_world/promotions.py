"""The objects of `promotions`: a Parquet file a week below `promotions/`, made from the real promotions of 2017.

A week of the data goes from Monday to Sunday, but for the first, of which there is only its Sunday, 2017-01-01. An
object is named by its Monday and holds the columns and the rows (about 400,000) of the source week that plays then,
`week` as the source numbers it.
"""

import tempfile
from datetime import date, datetime, timedelta
from pathlib import Path

import duckdb

from demo_world.bucket import BucketObject
from demo_world.calendar import business_day, data_day
from demo_world.package import data_file

FEED = "promotions"
PREFIX = "promotions/"
SOURCE_WEEKS = range(1, 54)

_FIRST_MONDAY = date(2016, 12, 26)
_WEEK = timedelta(days=7)

# In one order and by one thread, so that a week always gives the same bytes.
_WRITE = """
COPY (
    SELECT product_id, store_id, display_location, mailer_location, week
    FROM read_parquet($source)
    WHERE week = $week
    ORDER BY ALL
) TO $target (FORMAT parquet, COMPRESSION zstd)
"""


def monday_of(source_week: int) -> date:
    """The Monday of 2016 or 2017 on which a week of the data began. Raises ValueError if there is no such week."""
    if source_week not in SOURCE_WEEKS:
        raise ValueError(f"the data has the weeks 1 to {SOURCE_WEEKS[-1]}, not {source_week}")
    return _FIRST_MONDAY + (source_week - 1) * _WEEK


def source_week(monday: date) -> int:
    """The week of the data that plays in the week of this Monday.

    Later than 2017 that is never the first, of which there is only a day. Raises ValueError if the day is no Monday, or
    before the data.
    """
    if monday.weekday() != 0:
        raise ValueError(f"{monday} is no Monday")
    began = monday if monday == _FIRST_MONDAY else data_day(monday)
    return (began - _FIRST_MONDAY) // _WEEK + 1


def begun_weeks(first: date, now: datetime) -> list[date]:
    """The Mondays of the weeks that have begun at `now` and that ended on the day `first` or later, oldest first:
    promotions are known when their week begins."""
    today = business_day(now)
    monday = first - timedelta(days=first.weekday())
    mondays = []
    while monday <= today:
        mondays.append(monday)
        monday += _WEEK
    return mondays


def promotions_key(monday: date) -> str:
    """The key of the object of this Monday's week."""
    return f"{PREFIX}week={monday}/promotions.parquet"


def promotions_object(monday: date) -> BucketObject:
    """The object of this Monday's week. Raises ValueError if the day is no Monday, or before the data."""
    week = source_week(monday)
    with tempfile.TemporaryDirectory(prefix="promotions-") as folder, duckdb.connect(config={"threads": 1}) as writer:
        target = Path(folder) / "promotions.parquet"
        values = {"source": str(data_file("promotions")), "week": week, "target": str(target)}
        (rows,) = writer.execute(_WRITE, values).fetchall()[0]
        return BucketObject(promotions_key(monday), target.read_bytes(), rows)
