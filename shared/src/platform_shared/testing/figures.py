"""What the retailer's tables and reports must come to, computed from order lines and promotions alone.

No model and no report of the platform is used. A connection has the tables `lines` (those of the contract
`raw/order_lines`, with `business_date`) and, for promotions, `promotions` (of `raw/promotions`, with `business_week`).
"""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import duckdb

Row = tuple[Any, ...]

TABLES = {
    "marts.daily_sales": """
        SELECT business_date, store_id, count(*), count(DISTINCT basket_id), sum(quantity), sum(sales_value)
        FROM lines GROUP BY ALL""",
    "marts.coupon_usage": """
        SELECT business_date, store_id, count(DISTINCT basket_id),
               count(DISTINCT basket_id) FILTER (coupon_disc + coupon_match_disc > 0), sum(coupon_disc),
               sum(coupon_match_disc)
        FROM lines GROUP BY ALL""",
    "marts.household_days": """
        SELECT business_date, household_id, count(DISTINCT basket_id), sum(sales_value) FROM lines GROUP BY ALL""",
    "marts.household_spend": """
        SELECT household_id, min(business_date), max(business_date), count(DISTINCT (business_date, basket_id)),
               sum(sales_value)
        FROM lines GROUP BY ALL""",
    "marts.weekly_sales": """
        SELECT business_date - (isodow(business_date) - 1)::INT, store_id, count(DISTINCT business_date), count(*),
               count(DISTINCT (business_date, basket_id)), sum(quantity), sum(sales_value)
        FROM lines GROUP BY ALL""",
}
"""The rows of each table, in any order."""

PRODUCTS = """
    SELECT product_id, department, coalesce(product_category, 'unknown'), coalesce(product_type, 'unknown'),
           package_size, manufacturer_id, brand = 'Private'
    FROM products"""
"""The rows of `marts.products`, from a table `products` (of the contract `raw/products`)."""

# One product and store at a time, with no aggregation that the model has too.
_PROMOTION_LIFT = """
    WITH week AS (
        FROM lines WHERE business_date BETWEEN $monday AND $monday + 6
    ), promoted AS (
        FROM promotions WHERE business_week = $monday
    ), placed AS (
        SELECT product_id, store_id,
               CASE bool_or(display_location <> '0')::INT + 2 * bool_or(mailer_location <> '0')::INT
               WHEN 1 THEN 'display' WHEN 2 THEN 'mailer' WHEN 3 THEN 'both' END AS placement
        FROM promoted GROUP BY ALL HAVING placement IS NOT NULL
    ), pairs AS (
        SELECT p.product_id, s.store_id,
               (SELECT max(placement) FROM placed WHERE placed.product_id = p.product_id
                AND placed.store_id = s.store_id) AS here,
               coalesce((SELECT sum(quantity) FROM week WHERE week.product_id = p.product_id
                         AND week.store_id = s.store_id), 0) AS units,
               (SELECT sum(sales_value) FROM week WHERE week.product_id = p.product_id
                AND week.store_id = s.store_id) AS sales
        FROM (SELECT DISTINCT product_id FROM placed) p, (SELECT DISTINCT store_id FROM promoted) s
    ), compared AS (
        SELECT placement, pairs.* FROM pairs
        JOIN (SELECT DISTINCT product_id, placement FROM placed) USING (product_id)
    )
    SELECT $monday, placement, count(*) FILTER (here = placement), count(sales) FILTER (here = placement),
           sum(units) FILTER (here = placement), coalesce(sum(sales) FILTER (here = placement), 0),
           count(*) FILTER (here IS NULL), coalesce(sum(units) FILTER (here IS NULL), 0),
           (sum(units) FILTER (here = placement) / count(*) FILTER (here = placement))
           / nullif(sum(units) FILTER (here IS NULL) / nullif(count(*) FILTER (here IS NULL), 0), 0)
    FROM compared GROUP BY placement"""


def promotion_lift(source: duckdb.DuckDBPyConnection, monday: date) -> list[Row]:
    """The rows of `marts.promotion_lift` of a week."""
    return source.execute(_PROMOTION_LIFT, {"monday": monday}).fetchall()


def store_sales(source: duckdb.DuckDBPyConnection, day: date) -> list[tuple[str, ...]]:
    """The lines of the report `daily_store_sales`: store, baskets, US dollars; the largest first."""
    query = """SELECT store_id, count(DISTINCT basket_id), sum(sales_value) AS sales FROM lines
        WHERE business_date = $day GROUP BY ALL ORDER BY sales DESC, 1"""
    return _words(source.execute(query, {"day": day}).fetchall())


def coupon_hours(source: duckdb.DuckDBPyConnection, began: datetime) -> list[tuple[str, ...]]:
    """The lines of the report `coupon_hours` of the hour that began at this instant (aware), by store; without the
    column of excessive matches."""
    second = int(began.timestamp())
    query = f"""SELECT store_id, count(DISTINCT basket_id),
               count(DISTINCT CASE WHEN coupon_disc + coupon_match_disc > 0 THEN basket_id END),
               sum(coupon_disc), sum(coupon_match_disc)
        FROM lines WHERE epoch_ms(transaction_timestamp) BETWEEN {second}000 AND {second + 3599}999
        GROUP BY ALL ORDER BY 1"""
    return _words(source.execute(query).fetchall())


def cohort_retention(source: duckdb.DuckDBPyConnection, month: str) -> list[tuple[str, ...]]:
    """The lines of the report `monthly_cohort_retention` of a month (`2026-11`), by household and day: cohort,
    households, those that came, their share, US dollars that these spent."""
    months: dict[int, dict[str, list[int]]] = {}
    for household, day, cents in source.execute(
        "SELECT household_id, business_date, sum(sales_value * 100)::BIGINT FROM lines GROUP BY ALL"
    ).fetchall():
        months.setdefault(household, {}).setdefault(f"{day:%Y-%m}", []).append(cents)
    cohorts: dict[str, list[dict[str, list[int]]]] = {}
    for bought in months.values():
        cohorts.setdefault(min(bought), []).append(bought)
    told: list[tuple[str, ...]] = []
    for cohort, members in sorted(cohorts.items()):
        if cohort <= month:
            active = [bought[month] for bought in members if month in bought]
            sales = Decimal(sum(map(sum, active))) / 100
            share = round(len(active) / len(members), 4)
            told.append((cohort, str(len(members)), str(len(active)), str(share), f"{sales:.2f}"))
    return told


def comparable(rows: Iterable[Row]) -> list[Row]:
    """Rows in one order: exact, but for quotients of two numbers, which are compared to nine digits."""
    exact = (tuple(round(value, 9) if isinstance(value, float) else value for value in row) for row in rows)
    return sorted(exact, key=lambda row: tuple(map(str, row)))


def _words(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    return [tuple("" if value is None else str(value) for value in row) for row in rows]
