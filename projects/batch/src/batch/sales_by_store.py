"""Sales of a day by store as CSV; no Dagster here."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import duckdb

from batch.tables import as_csv


@dataclass(frozen=True)
class StoreDay:
    """One store on one business day; `sales_value` in US dollars."""

    store_id: int
    baskets: int
    sales_value: Decimal


def read_stores(connection: duckdb.DuckDBPyConnection, days: Sequence[str]) -> dict[str, list[StoreDay]]:
    """The stores that sold on each of these business days (ISO), largest first; none on a closed day."""
    stores: dict[str, list[StoreDay]] = {day: [] for day in days}
    rows = connection.execute(
        "SELECT business_date::VARCHAR, store_id, baskets, sales_value FROM lake.marts.daily_sales "
        "WHERE business_date BETWEEN CAST(? AS DATE) AND CAST(? AS DATE) ORDER BY 1, 4 DESC, 2",
        [min(days), max(days)],
    ).fetchall()
    for day, *store in rows:
        if day in stores:
            stores[day].append(StoreDay(*store))
    return stores


def last_day_of_trade(connection: duckdb.DuckDBPyConnection, before: str) -> dict[str, int]:
    """The last business day (ISO) before this one on which a store sold, with the number of stores; empty if none."""
    return dict(
        connection.execute(
            "SELECT business_date::VARCHAR, count(*) FROM lake.marts.daily_sales "
            "WHERE business_date < CAST(? AS DATE) GROUP BY ALL ORDER BY 1 DESC LIMIT 1",
            [before],
        ).fetchall()
    )


def to_csv(stores: Sequence[StoreDay]) -> str:
    """A header and a line a store."""
    return as_csv(
        ("store_id", "baskets", "sales_value"), ((store.store_id, store.baskets, store.sales_value) for store in stores)
    )
