"""Coupons by week, as CSV and as a table for the UI; no Dagster here."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import duckdb

from batch.tables import as_csv, as_markdown


@dataclass(frozen=True)
class CouponWeek:
    """A business week over all stores, named by its Monday; US dollars."""

    week: date
    baskets: int
    baskets_with_coupon: int
    coupon_disc: Decimal
    coupon_match_disc: Decimal

    @property
    def share(self) -> float:
        """Share of the baskets that had a coupon."""
        return self.baskets_with_coupon / self.baskets if self.baskets else 0.0


def read_weeks(connection: duckdb.DuckDBPyConnection) -> list[CouponWeek]:
    """All weeks of `marts.coupon_usage`, oldest first; the newest may be running."""
    rows = connection.execute(
        "SELECT date_trunc('week', business_date)::DATE, sum(baskets)::BIGINT, sum(baskets_with_coupon)::BIGINT, "
        "sum(coupon_disc), sum(coupon_match_disc) FROM lake.marts.coupon_usage GROUP BY 1 ORDER BY 1"
    ).fetchall()
    return [CouponWeek(*row) for row in rows]


def to_csv(weeks: Sequence[CouponWeek]) -> str:
    """A header and a line a week."""
    return as_csv(
        ("business_week", "baskets", "baskets_with_coupon", "coupon_disc", "coupon_match_disc"),
        ((w.week, w.baskets, w.baskets_with_coupon, w.coupon_disc, w.coupon_match_disc) for w in weeks),
    )


def as_table(weeks: Sequence[CouponWeek], last: int = 7) -> str:
    """The last weeks as a Markdown table, short enough to show inline in the UI."""
    rows = [(w.week, f"{w.baskets:,}", f"{w.share:.1%}", f"{w.coupon_disc:,.2f}") for w in weeks[-last:]]
    return as_markdown(("week", "baskets", "with coupon", "coupons, $"), rows)
