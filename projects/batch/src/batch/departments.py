"""Sales by department, for who buys for it; no Dagster here."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path

import duckdb

from batch.partitions import LARGE_DEPARTMENTS, OTHER, OTHER_DEPARTMENTS, UNKNOWN
from batch.tables import as_csv, as_markdown

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")

# However often the master has a product, its lines count once.
_STORES = f"""
    WITH products AS (SELECT product_id, min(department) AS department FROM lake.marts.products GROUP BY ALL)
    SELECT lines.business_date::VARCHAR,
           CASE WHEN department IS NULL THEN '{UNKNOWN}' WHEN list_contains($large, department) THEN department
                ELSE '{OTHER}' END,
           store_id, count(DISTINCT basket_id), sum(sales_value)::DECIMAL(18, 2),
           list(DISTINCT lines.product_id) FILTER (department IS NULL)
    FROM lake.raw.order_lines lines LEFT JOIN products ON products.product_id = lines.product_id
    WHERE business_date BETWEEN CAST($first AS DATE) AND CAST($last AS DATE)
    GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""
_TOTALS = """
    SELECT business_date::VARCHAR, sum(sales_value)::DECIMAL(18, 2) FROM lake.raw.order_lines
    WHERE business_date BETWEEN CAST($first AS DATE) AND CAST($last AS DATE) GROUP BY 1
"""


@dataclass(frozen=True)
class StoreDepartment:
    """One store and one department on one day; US dollars. A basket counts in each department that it has a line of."""

    store_id: int
    baskets: int
    sales_value: Decimal


@dataclass
class DaySales:
    """What was sold on one day. `sales_value`: US dollars of all lines, whatever the departments add up to."""

    sales_value: Decimal = Decimal(0)
    departments: dict[str, list[StoreDepartment]] = field(default_factory=dict)
    """Of each department the stores that sold of it, by number."""
    unknown_products: set[int] = field(default_factory=set)
    """Products that the master does not have; counted as UNKNOWN."""

    def of(self, department: str) -> Decimal:
        """US dollars of a department."""
        return sum((store.sales_value for store in self.departments.get(department, [])), Decimal(0))


def read_sales(connection: duckdb.DuckDBPyConnection, days: Sequence[str]) -> dict[str, DaySales]:
    """What was sold on these business days (ISO)."""
    span = {"first": min(days), "last": max(days)}
    # In one transaction, so that both see the same lines.
    connection.execute("BEGIN")
    rows = connection.execute(_STORES, {**span, "large": list(LARGE_DEPARTMENTS)}).fetchall()
    totals = connection.execute(_TOTALS, span).fetchall()
    connection.execute("ROLLBACK")
    found = {day: DaySales() for day in days}
    for day, sales_value in totals:
        if day in found:
            found[day].sales_value = sales_value
    for day, department, store_id, baskets, sales_value, unknown_products in rows:
        if day in found:
            found[day].departments.setdefault(department, []).append(StoreDepartment(store_id, baskets, sales_value))
            found[day].unknown_products.update(unknown_products or ())
    return found


def unlisted_departments(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Departments that the product master has and this location has not; counted as OTHER."""
    rows = connection.execute(
        "SELECT DISTINCT department FROM lake.marts.products WHERE NOT list_contains($listed, department) ORDER BY 1",
        {"listed": [*LARGE_DEPARTMENTS, *OTHER_DEPARTMENTS]},
    ).fetchall()
    return [department for (department,) in rows]


def to_csv(stores: Sequence[StoreDepartment]) -> str:
    """A header and a line a store."""
    return as_csv(("store_id", "baskets", "sales_value"), ((s.store_id, s.baskets, s.sales_value) for s in stores))


@dataclass(frozen=True)
class WeekdayProfile:
    """A department on one weekday, over the days there are; US dollars a day."""

    weekday: str
    days: int
    baskets_a_day: float
    sales_a_day: Decimal


def read_days(files: Iterable[Path]) -> dict[date, tuple[int, Decimal]]:
    """Baskets and dollars of each day, from files of `to_csv` in folders by day."""
    found = {}
    for path in files:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        sales = sum((Decimal(row["sales_value"]) for row in rows), Decimal(0))
        found[date.fromisoformat(path.parent.name)] = (sum(int(row["baskets"]) for row in rows), sales)
    return found


def profile(days: Mapping[date, tuple[int, Decimal]]) -> list[WeekdayProfile]:
    """The weekdays, Monday first; closed days do not count, and a weekday without an open one has no row."""
    profiles = []
    for number, name in enumerate(WEEKDAYS):
        open_days = [figures for day, figures in days.items() if day.weekday() == number and figures[0]]
        if open_days:
            baskets = sum(baskets for baskets, _ in open_days)
            sales = sum((sales for _, sales in open_days), Decimal(0))
            profiles.append(
                WeekdayProfile(
                    name,
                    len(open_days),
                    round(baskets / len(open_days), 1),
                    (sales / len(open_days)).quantize(Decimal("0.01")),
                )
            )
    return profiles


def profile_csv(profiles: Sequence[WeekdayProfile]) -> str:
    """A header and a line a weekday."""
    header = ("weekday", "days", "baskets_a_day", "sales_a_day")
    return as_csv(header, ([getattr(each, name) for name in header] for each in profiles))


def profile_markdown(profiles: Sequence[WeekdayProfile]) -> str:
    """The same for Dagster's UI."""
    rows = [(p.weekday, p.days, f"{p.baskets_a_day:,.1f}", f"{p.sales_a_day:,.2f}") for p in profiles]
    return as_markdown(("weekday", "days", "baskets a day", "sales a day, $"), rows)
