"""Which households come back, month after month; no Dagster here."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import duckdb

from batch.tables import as_csv, as_markdown


@dataclass(frozen=True)
class Cohort:
    """The households that bought for the first time in the month `cohort`, and those of them that bought in a later one
    (or the same); `sales_value` is what these spent then, in US dollars."""

    cohort: date
    households: int
    active: int
    sales_value: Decimal

    @property
    def retention(self) -> float:
        """Share of the cohort that bought."""
        return self.active / self.households if self.households else 0.0


def read_months(connection: duckdb.DuckDBPyConnection, months: Sequence[str]) -> dict[str, list[Cohort]]:
    """The cohorts of each of these months (their first days, ISO), oldest first.

    What is known at a month's end counts: a household that came later is in no cohort of it.
    """
    found: dict[str, list[Cohort]] = {month: [] for month in months}
    rows = connection.execute(
        """
        WITH bought AS (
            SELECT household_id, date_trunc('month', business_date)::DATE AS month, sum(sales_value) AS sales_value
            FROM lake.marts.household_days
            WHERE business_date < CAST($last AS DATE) + INTERVAL 1 MONTH
            GROUP BY ALL
        ), cohorts AS (
            SELECT household_id, min(month) AS cohort FROM bought GROUP BY ALL
        ), months AS (
            SELECT unnest($months)::DATE AS month
        ), sizes AS (
            SELECT cohort, count(*) AS households FROM cohorts GROUP BY ALL
        )
        SELECT months.month::VARCHAR, sizes.cohort, sizes.households, count(bought.household_id),
               coalesce(sum(bought.sales_value), 0)::DECIMAL(18, 2)
        FROM months
        JOIN sizes ON sizes.cohort <= months.month
        JOIN cohorts ON cohorts.cohort = sizes.cohort
        LEFT JOIN bought ON bought.household_id = cohorts.household_id AND bought.month = months.month
        GROUP BY ALL ORDER BY 1, 2
        """,
        {"last": max(months), "months": list(months)},
    ).fetchall()
    for month, *cohort in rows:
        found[month].append(Cohort(*cohort))
    return found


def to_csv(cohorts: Sequence[Cohort]) -> str:
    """A header and a line a cohort."""
    return as_csv(
        ("cohort", "households", "active", "retention", "sales_value"),
        ((f"{c.cohort:%Y-%m}", c.households, c.active, round(c.retention, 4), c.sales_value) for c in cohorts),
    )


def to_markdown(cohorts: Sequence[Cohort], last: int = 12) -> str:
    """The last cohorts for Dagster's UI."""
    rows = [(f"{c.cohort:%Y-%m}", f"{c.households:,}", f"{c.active:,}", f"{c.retention:.1%}") for c in cohorts[-last:]]
    return as_markdown(("first bought", "households", "came", "retention"), rows)
