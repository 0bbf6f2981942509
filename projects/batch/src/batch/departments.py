"""Sales by part of the day, for who plans the staff; no Dagster here."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path

import duckdb

from batch.partitions import DAYPARTS
from batch.tables import as_csv, as_markdown
from platform_shared.partitions import BUSINESS_TIME_ZONE

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@dataclass(frozen=True)
class StoreDaypart:
    """One store in one part of one day; US dollars. A basket is of the part in which it was paid."""

    store_id: int
    baskets: int
    sales_value: Decimal


def read_dayparts(
    connection: duckdb.DuckDBPyConnection, days: Sequence[str]
) -> dict[tuple[str, str], list[StoreDaypart]]:
    """The stores that sold in each part of these business days (ISO), by number."""
    cases = " ".join(f"WHEN hour >= {begins} THEN '{name}'" for name, begins in reversed(DAYPARTS.items()))
    rows = connection.execute(
        f"""
        SELECT business_date::VARCHAR, CASE {cases} END, store_id, count(DISTINCT basket_id),
               sum(sales_value)::DECIMAL(18, 2)
        FROM (SELECT *, hour(timezone('{BUSINESS_TIME_ZONE}', transaction_timestamp)) AS hour
              FROM lake.raw.order_lines WHERE business_date BETWEEN CAST(? AS DATE) AND CAST(? AS DATE))
        GROUP BY ALL ORDER BY 1, 2, 3
        """,
        [min(days), max(days)],
    ).fetchall()
    found: dict[tuple[str, str], list[StoreDaypart]] = {(day, part): [] for day in days for part in DAYPARTS}
    for day, part, *store in rows:
        if (day, part) in found:
            found[day, part].append(StoreDaypart(*store))
    return found


def to_csv(stores: Sequence[StoreDaypart]) -> str:
    """A header and a line a store."""
    return as_csv(("store_id", "baskets", "sales_value"), ((s.store_id, s.baskets, s.sales_value) for s in stores))


@dataclass(frozen=True)
class WeekdayProfile:
    """A part of the day on one weekday, over the days there are; US dollars a day."""

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
