"""Sales of a day by store as CSV; no Dagster here."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import duckdb


@dataclass(frozen=True)
class StoreDay:
    """One store on one business day; `sales_value` in US dollars."""

    store_id: int
    baskets: int
    sales_value: Decimal


def read_stores(connection: duckdb.DuckDBPyConnection, day: str) -> list[StoreDay]:
    """The stores that sold on this business day (ISO), largest first; none on a closed day."""
    rows = connection.execute(
        "SELECT store_id, baskets, sales_value FROM lake.marts.daily_sales "
        "WHERE business_date = CAST(? AS DATE) ORDER BY 3 DESC, 1",
        [day],
    ).fetchall()
    return [StoreDay(*row) for row in rows]


def to_csv(stores: Sequence[StoreDay]) -> str:
    """A header and a line a store."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("store_id", "baskets", "sales_value"))
    writer.writerows((store.store_id, store.baskets, store.sales_value) for store in stores)
    return text.getvalue()
