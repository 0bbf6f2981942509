"""What is known of each store, and which stores there are; no Dagster here."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

import duckdb

from batch.tables import as_csv

RETIRES_AFTER = timedelta(days=365)
"""A store that sold nothing for this long has closed: some sell on few days a year."""


@dataclass(frozen=True)
class StoreProfile:
    """A store over all days; US dollars."""

    store_id: int
    first_day: date
    last_day: date
    days: int
    baskets: int
    sales_value: Decimal


@dataclass(frozen=True)
class StoreChanges:
    """Stores that were not known, and known ones that have closed; in order."""

    new: tuple[str, ...]
    retired: tuple[str, ...]


def changes(last_sales: Mapping[str, date], known: Collection[str], today: date) -> StoreChanges:
    """What to add and to retire, given when each store sold last. Pure.

    A known store of which nothing is read is left alone: a failed read is not a closed store.
    """
    closed = {store for store, last in last_sales.items() if today - last > RETIRES_AFTER}
    new = last_sales.keys() - known - closed
    return StoreChanges(tuple(sorted(new, key=int)), tuple(sorted(closed & {*known}, key=int)))


def read_last_sales(connection: duckdb.DuckDBPyConnection) -> dict[str, date]:
    """The last day of each store."""
    rows = connection.execute(
        "SELECT store_id::VARCHAR, max(business_date) FROM lake.marts.daily_sales GROUP BY ALL"
    ).fetchall()
    return dict(rows)


def read_profiles(connection: duckdb.DuckDBPyConnection, stores: Sequence[str]) -> dict[str, StoreProfile | None]:
    """Each of these stores; None for one that never sold."""
    rows = connection.execute(
        """
        SELECT store_id, min(business_date), max(business_date), count(*), sum(baskets)::BIGINT, sum(sales_value)
        FROM lake.marts.daily_sales WHERE store_id::VARCHAR IN (SELECT unnest(?)) GROUP BY ALL
        """,
        [list(stores)],
    ).fetchall()
    found: dict[str, StoreProfile | None] = dict.fromkeys(stores)
    for row in rows:
        found[str(row[0])] = StoreProfile(*row)
    return found


def to_csv(profile: StoreProfile | None) -> str:
    """A header and the store's line, if it ever sold."""
    header = ("store_id", "first_day", "last_day", "days", "baskets", "sales_value")
    return as_csv(header, [[getattr(profile, name) for name in header]] if profile else [])
