"""Coupons that stores took in an hour, and those that cannot be right; no Dagster here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import duckdb

from batch.tables import as_csv


@dataclass(frozen=True)
class CouponHour:
    """One store in one hour; US dollars. `excessive`: lines on which the store matched a coupon with more than the
    coupon was worth."""

    store_id: int
    baskets: int
    baskets_with_coupon: int
    coupon_disc: Decimal
    coupon_match_disc: Decimal
    excessive: int


Hours = Mapping[str, tuple[datetime, datetime]]
"""Hours by name, each from its start to before its end (aware)."""


def read_hours(connection: duckdb.DuckDBPyConnection, hours: Hours) -> dict[str, list[CouponHour]]:
    """The stores that sold in each of these hours, by number; none in an hour without trade."""
    found: dict[str, list[CouponHour]] = {hour: [] for hour in hours}
    names, begins, ends = list(hours), [start for start, _ in hours.values()], [end for _, end in hours.values()]
    rows = connection.execute(
        """
        WITH hours AS (
            SELECT unnest($names) AS hour, unnest($begins) AS began, unnest($ends) AS ended
        )
        SELECT hours.hour, store_id, count(DISTINCT (business_date, basket_id)),
               count(DISTINCT (business_date, basket_id)) FILTER (coupon_disc + coupon_match_disc > 0),
               sum(coupon_disc)::DECIMAL(18, 2), sum(coupon_match_disc)::DECIMAL(18, 2),
               count(*) FILTER (coupon_match_disc > coupon_disc)
        FROM lake.raw.order_lines
        JOIN hours ON transaction_timestamp >= hours.began AND transaction_timestamp < hours.ended
        WHERE transaction_timestamp >= $first AND transaction_timestamp < $last
        GROUP BY ALL ORDER BY 1, 2
        """,
        {"names": names, "begins": begins, "ends": ends, "first": min(begins), "last": max(ends)},
    ).fetchall()
    for hour, *store in rows:
        found[hour].append(CouponHour(*store))
    return found


def to_csv(stores: Sequence[CouponHour]) -> str:
    """A header and a line a store."""
    header = ("store_id", "baskets", "baskets_with_coupon", "coupon_disc", "coupon_match_disc", "excessive")
    return as_csv(header, ([getattr(store, name) for name in header] for store in stores))
