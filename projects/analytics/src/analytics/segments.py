"""The published customer segments as CSV; no Dagster here."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import duckdb

COLUMNS = ("income_band", "age_band", "households", "baskets", "sales_value")


@dataclass(frozen=True)
class Segments:
    """Rows of `COLUMNS` in the order of income and age; `sales_value` in US dollars."""

    rows: Sequence[tuple[str, str, int, int, Decimal]]

    @property
    def households(self) -> int:
        """Households of all segments."""
        return sum(row[2] for row in self.rows)

    @property
    def sales_value(self) -> Decimal:
        """US dollars of all segments."""
        return sum((row[4] for row in self.rows), Decimal(0))

    def csv(self) -> str:
        """A header and a line a segment."""
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(self.rows)
        return buffer.getvalue()


def read_segments(connection: duckdb.DuckDBPyConnection) -> Segments:
    """Reads `marts.customer_segments`."""
    columns = ", ".join(COLUMNS)
    query = f"SELECT {columns} FROM lake.marts.customer_segments ORDER BY income_order, age_order"
    return Segments(connection.execute(query).fetchall())
