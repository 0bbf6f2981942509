"""What households of each size spend; no Dagster here."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import duckdb

from batch.tables import as_csv, as_markdown


@dataclass(frozen=True)
class HouseholdSize:
    """Households of a size (persons, or `unknown` for those that gave no demographics); US dollars.

    `households` bought something; `silent` gave demographics and bought nothing.
    """

    size: str
    households: int
    silent: int
    baskets: int
    sales_value: Decimal


def read_sizes(connection: duckdb.DuckDBPyConnection) -> list[HouseholdSize]:
    """All sizes, by number of persons."""
    rows = connection.execute(
        """
        SELECT coalesce(household_size, 'unknown'), count(spend.household_id),
               count(*) - count(spend.household_id), coalesce(sum(baskets), 0)::BIGINT,
               coalesce(sum(sales_value), 0)::DECIMAL(18, 2)
        FROM lake.marts.household_spend AS spend
        FULL JOIN lake.raw.households USING (household_id)
        GROUP BY 1 ORDER BY 1
        """
    ).fetchall()
    return [HouseholdSize(*row) for row in rows]


def to_csv(sizes: Sequence[HouseholdSize]) -> str:
    """A header and a line a size."""
    header = ("size", "households", "silent", "baskets", "sales_value")
    return as_csv(header, ([getattr(size, name) for name in header] for size in sizes))


def to_markdown(sizes: Sequence[HouseholdSize]) -> str:
    """The same for Dagster's UI."""
    rows = [(s.size, f"{s.households:,}", f"{s.baskets:,}", f"{s.sales_value:,.2f}") for s in sizes]
    return as_markdown(("persons", "households", "baskets", "sales, $"), rows)
