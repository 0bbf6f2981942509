"""The store-day files of `order_lines`: CSV, made from the real purchases of 2017."""

import functools
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal

import duckdb

from demo_world.calendar import data_day, replay_instant
from demo_world.package import data_file

COLUMNS = (
    "household_id",
    "store_id",
    "basket_id",
    "product_id",
    "quantity",
    "sales_value",
    "retail_disc",
    "coupon_disc",
    "coupon_match_disc",
    "week",
    "transaction_timestamp",
)
_HEADER = ",".join(COLUMNS)

# The source's timestamps are naive, but UTC; its money is floating point, but whole cents.
_LOAD = """
CREATE TABLE order_lines AS
SELECT
    timezone('America/New_York', timezone('UTC', transaction_timestamp))::DATE AS data_day,
    household_id::INTEGER AS household_id,
    store_id::INTEGER AS store_id,
    basket_id,
    product_id::INTEGER AS product_id,
    quantity::INTEGER AS quantity,
    sales_value::DECIMAL(12, 2) AS sales_value,
    retail_disc::DECIMAL(12, 2) AS retail_disc,
    coupon_disc::DECIMAL(12, 2) AS coupon_disc,
    coupon_match_disc::DECIMAL(12, 2) AS coupon_match_disc,
    week::TINYINT AS week,
    transaction_timestamp
FROM read_parquet($path)
"""

_LINES_OF_A_DAY = f"""
SELECT store_id, transaction_timestamp, basket_id, product_id, sales_value, concat_ws(',', {", ".join(COLUMNS[:-1])})
FROM order_lines
WHERE data_day = $data_day
"""


@dataclass(frozen=True)
class StoreDayFile:
    """One store's lines of one calendar day, as the file that the store sends."""

    day: date
    store_id: int
    name: str  # relative to the feed's landing folder
    content: bytes
    rows: int
    sales: Decimal  # the sum of sales_value, in dollars


def store_day_files(day: date) -> Iterator[StoreDayFile]:
    """The files of a calendar day by store id, none on a closed day. Raises ValueError before 2017.

    Lines stand in the order (transaction_timestamp, basket_id, product_id); timestamps are UTC, money has two decimals.
    """
    rows = _order_lines().cursor().execute(_LINES_OF_A_DAY, {"data_day": data_day(day)}).fetchall()
    # A basket's lines share their instant, so a day has far fewer instants than lines.
    replayed = {at: _replayed(at, day) for at in {row[1] for row in rows}}
    stores: dict[int, list[tuple[str, int, int, Decimal, str]]] = defaultdict(list)
    for store_id, at, basket_id, product_id, sales, text in rows:
        stores[store_id].append((replayed[at], basket_id, product_id, sales, text))
    for store_id, lines in sorted(stores.items()):
        # Sorted after the replay: on a spring day the skipped hour's lines may mix with those of the next.
        lines.sort()
        body = (f"{text},{at}" for at, _, _, _, text in lines)
        yield StoreDayFile(
            day=day,
            store_id=store_id,
            name=f"{day}/store-{store_id:05d}.csv",
            content="\n".join((_HEADER, *body, "")).encode(),
            rows=len(lines),
            sales=sum((line[3] for line in lines), Decimal("0.00")),
        )


def _replayed(source_timestamp: datetime, day: date) -> str:
    """The CSV's text for a naive UTC timestamp of the source, replayed on `day`."""
    return f"{replay_instant(source_timestamp.replace(tzinfo=UTC), day):%Y-%m-%dT%H:%M:%SZ}"


@functools.cache
def _order_lines() -> duckdb.DuckDBPyConnection:
    """All lines of 2017 in an in-memory table, loaded once a process."""
    connection = duckdb.connect()
    connection.execute(_LOAD, {"path": str(data_file("transactions"))})
    return connection
