"""What promotions did in a week, as a table; no Dagster here."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import duckdb

from batch.tables import as_csv, as_markdown


@dataclass(frozen=True)
class Placement:
    """Where products were promoted in a week. Pairs are of a product and a store; US dollars.

    `lift`: units a promoted pair over units a pair of the same products elsewhere; None if those sold none.
    """

    placement: str
    promoted_pairs: int
    quantity: int
    sales_value: Decimal
    other_pairs: int
    other_quantity: int
    lift: float | None

    @property
    def extra_units(self) -> float:
        """Units sold beyond what the same pairs would have sold at the pace of the others."""
        pace = self.other_quantity / self.other_pairs if self.other_pairs else 0.0
        return self.quantity - pace * self.promoted_pairs


def read_weeks(connection: duckdb.DuckDBPyConnection, weeks: Sequence[str]) -> dict[str, list[Placement]]:
    """The placements of each of these business weeks (Mondays, ISO), the strongest first; none without promotions."""
    found: dict[str, list[Placement]] = {week: [] for week in weeks}
    rows = connection.execute(
        "SELECT business_week::VARCHAR, placement, promoted_pairs, quantity, sales_value, other_pairs, other_quantity, "
        "lift FROM lake.marts.promotion_lift WHERE business_week BETWEEN CAST(? AS DATE) AND CAST(? AS DATE) "
        "ORDER BY 1, lift DESC NULLS LAST, 2",
        [min(weeks), max(weeks)],
    ).fetchall()
    for week, *placement in rows:
        if week in found:
            found[week].append(Placement(*placement))
    return found


def to_csv(placements: Sequence[Placement]) -> str:
    """A header and a line a placement."""
    header = ("placement", "promoted_pairs", "quantity", "sales_value", "other_pairs", "other_quantity", "lift")
    return as_csv(
        (*header, "extra_units"),
        ((*(getattr(p, name) for name in header), round(p.extra_units, 1)) for p in placements),
    )


def to_markdown(placements: Sequence[Placement]) -> str:
    """The same for Dagster's UI."""
    rows = [
        (p.placement, f"{p.quantity:,}", f"{p.sales_value:,.2f}", "" if p.lift is None else f"{p.lift:.2f}")
        for p in placements
    ]
    return as_markdown(("placement", "units", "sales, $", "lift"), rows)
