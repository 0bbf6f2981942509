"""Figures of a business week beside those of the week before, for people; no Dagster here."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

import duckdb

from batch.promotion_lift import Placement
from batch.promotion_lift import read_weeks as read_placements
from batch.tables import as_markdown

_WEEK = timedelta(days=7)


@dataclass(frozen=True)
class Day:
    """One business day over all stores; US dollars. Nothing, if no store sold."""

    day: date
    stores: int = 0
    order_lines: int = 0
    baskets: int = 0
    sales_value: Decimal = Decimal(0)


@dataclass(frozen=True)
class Store:
    """What a store sold in the week and in the one before; US dollars."""

    store_id: int
    sales_value: Decimal
    before: Decimal

    @property
    def difference(self) -> Decimal:
        """US dollars more than in the week before."""
        return self.sales_value - self.before


@dataclass(frozen=True)
class Coupons:
    """Baskets, those with a coupon of either kind, and US dollars of manufacturers' coupons and of stores' matches."""

    baskets: int = 0
    with_coupon: int = 0
    coupon_disc: Decimal = Decimal(0)
    coupon_match_disc: Decimal = Decimal(0)

    @property
    def share(self) -> Decimal | None:
        """Of the baskets, those with a coupon, in per cent."""
        return Decimal(100) * self.with_coupon / self.baskets if self.baskets else None


@dataclass(frozen=True)
class Households:
    """Households that bought, and those of them that had bought in the week before too."""

    bought: int = 0
    returned: int = 0


@dataclass(frozen=True)
class Figures:
    """What one week comes to: its seven days, the stores that reported on any of them, coupons and households."""

    days: tuple[Day, ...]
    stores: int
    coupons: Coupons
    households: Households

    @property
    def trading_days(self) -> int:
        """Days on which a store sold something."""
        return sum(day.stores > 0 for day in self.days)

    @property
    def sales_value(self) -> Decimal:
        """US dollars."""
        return sum((day.sales_value for day in self.days), Decimal(0))

    @property
    def baskets(self) -> int:
        """Baskets; one is of one day."""
        return sum(day.baskets for day in self.days)

    @property
    def order_lines(self) -> int:
        """Order lines."""
        return sum(day.order_lines for day in self.days)

    @property
    def basket_value(self) -> Decimal | None:
        """US dollars a basket."""
        return self.sales_value / self.baskets if self.baskets else None


@dataclass(frozen=True)
class Week:
    """All that the report of a week shows. Stores are by sales, largest first, placements by lift."""

    monday: date
    now: Figures
    before: Figures
    stores: tuple[Store, ...] = ()
    placements: tuple[Placement, ...] = ()

    @property
    def sunday(self) -> date:
        """Its last day."""
        return self.monday + timedelta(days=6)

    @property
    def comparable(self) -> bool:
        """Whether the weeks can be compared as wholes: as many days with sales in both."""
        return 0 < self.before.trading_days == self.now.trading_days

    def best(self, number: int) -> tuple[Store, ...]:
        """The stores that sold most, of those that sold something."""
        return tuple(store for store in self.stores[:number] if store.sales_value > 0)

    def fallen(self, number: int = 5) -> list[Store]:
        """The stores that lost most against the week before, also those that reported nothing."""
        return [store for store in sorted(self.stores, key=lambda s: s.difference)[:number] if store.difference < 0]


def change(now: Decimal | int | None, before: Decimal | int | None) -> str:
    """By how much a figure differs from the week before's, in per cent; a dash if there is nothing to compare."""
    if now is None or not before or before < 0:
        return "-"
    per_cent = (Decimal(now) - before) * 100 / before
    # Not "-0.0".
    return f"{per_cent.quantize(Decimal('0.1')) + 0:+,}%"


def read_weeks(connection: duckdb.DuckDBPyConnection, weeks: Sequence[str]) -> dict[str, Week]:
    """The report's figures of these business weeks (Mondays, ISO), in one transaction, so that they agree."""
    mondays = {week: date.fromisoformat(week) for week in weeks}
    span = [min(mondays.values()) - _WEEK, max(mondays.values()) + timedelta(days=6)]
    connection.execute("BEGIN")
    days = {
        row[0]: Day(*row)
        for row in connection.execute(
            "SELECT business_date, count(*), sum(order_lines)::BIGINT, sum(baskets)::BIGINT, sum(sales_value) "
            "FROM lake.marts.daily_sales WHERE business_date BETWEEN ? AND ? GROUP BY 1",
            span,
        ).fetchall()
    }
    sales: dict[date, dict[int, Decimal]] = {}
    for monday, store, value in connection.execute(
        "SELECT date_trunc('week', business_date)::DATE, store_id, sum(sales_value) FROM lake.marts.daily_sales "
        "WHERE business_date BETWEEN ? AND ? GROUP BY ALL",
        span,
    ).fetchall():
        sales.setdefault(monday, {})[store] = value
    coupons = {
        monday: Coupons(*row)
        for monday, *row in connection.execute(
            "SELECT date_trunc('week', business_date)::DATE, sum(baskets)::BIGINT, sum(baskets_with_coupon)::BIGINT, "
            "sum(coupon_disc), sum(coupon_match_disc) FROM lake.marts.coupon_usage "
            "WHERE business_date BETWEEN ? AND ? GROUP BY 1",
            span,
        ).fetchall()
    }
    households = {
        monday: Households(*row)
        for monday, *row in connection.execute(
            "WITH bought AS (SELECT DISTINCT date_trunc('week', business_date)::DATE AS week, household_id "
            "FROM lake.marts.household_days WHERE business_date BETWEEN ? AND ?) "
            "SELECT now.week, count(*), count(before.household_id) FROM bought AS now LEFT JOIN bought AS before "
            "ON before.household_id = now.household_id AND before.week = now.week - 7 GROUP BY 1",
            span,
        ).fetchall()
    }
    placements = read_placements(connection, weeks)
    connection.execute("COMMIT")

    def figures(monday: date) -> Figures:
        week = tuple(days.get(day, Day(day)) for day in (monday + timedelta(days=n) for n in range(7)))
        return Figures(
            week, len(sales.get(monday, {})), coupons.get(monday, Coupons()), households.get(monday, Households())
        )

    def stores(monday: date) -> tuple[Store, ...]:
        now, before = sales.get(monday, {}), sales.get(monday - _WEEK, {})
        both = [Store(s, now.get(s, Decimal(0)), before.get(s, Decimal(0))) for s in now.keys() | before.keys()]
        return tuple(sorted(both, key=lambda store: (-store.sales_value, store.store_id)))

    return {
        week: Week(monday, figures(monday), figures(monday - _WEEK), stores(monday), tuple(placements[week]))
        for week, monday in mondays.items()
    }


def to_markdown(week: Week) -> str:
    """The days for Dagster's UI."""
    rows = [
        (f"{day.day:%a %d %b}", f"{day.sales_value:,.2f}", change(day.sales_value, before.sales_value))
        for day, before in zip(week.now.days, week.before.days, strict=True)
    ]
    return as_markdown(("day", "sales, $", "change"), rows)
