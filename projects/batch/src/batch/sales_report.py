"""Figures of the sales report and how they look; no Dagster here."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

import duckdb

from batch.pages import render
from batch.plots import ACCENT, house_style, plain, svg_element

UI_MARKDOWN_LIMIT = 1000
"""Dagster's UI shows Markdown metadata inline below this many characters, behind a link above."""

RECENT = timedelta(days=60)
"""What the page shows day by day, up to the newest."""


@dataclass(frozen=True)
class DaySales:
    """One business day over all stores; `sales_value` in US dollars."""

    day: date
    stores: int
    order_lines: int
    sales_value: Decimal


@dataclass(frozen=True)
class StoreSales:
    """One store over all days; US dollars."""

    store_id: int
    days: int
    sales_value: Decimal


@dataclass(frozen=True)
class HouseholdSales:
    """One household over all days; US dollars."""

    household_id: int
    baskets: int
    sales_value: Decimal


@dataclass(frozen=True)
class Figures:
    """All that the report shows. Days are in order, stores and households by sales, largest first."""

    by_day: tuple[DaySales, ...]
    top_stores: tuple[StoreSales, ...]
    top_households: tuple[HouseholdSales, ...]
    households: int

    @property
    def recent(self) -> tuple[DaySales, ...]:
        """The days that the page shows one by one."""
        return tuple(day for day in self.by_day if day.day > self.by_day[-1].day - RECENT)

    @property
    def days(self) -> int:
        """Business days with sales."""
        return len(self.by_day)

    @property
    def order_lines(self) -> int:
        """Order lines over all days."""
        return sum(day.order_lines for day in self.by_day)

    @property
    def sales_value(self) -> Decimal:
        """US dollars over all days."""
        return sum((day.sales_value for day in self.by_day), Decimal(0))


def read_figures(connection: duckdb.DuckDBPyConnection) -> Figures:
    """Reads the marts in one transaction, so that the parts of the report agree."""
    connection.execute("BEGIN")
    by_day = connection.execute(
        "SELECT business_date, count(*), sum(order_lines)::BIGINT, sum(sales_value) "
        "FROM lake.marts.daily_sales GROUP BY 1 ORDER BY 1"
    ).fetchall()
    stores = connection.execute(
        "SELECT store_id, count(*), sum(sales_value) FROM lake.marts.daily_sales GROUP BY 1 ORDER BY 3 DESC, 1 LIMIT 10"
    ).fetchall()
    households = connection.execute(
        "SELECT household_id, baskets, sales_value FROM lake.marts.household_spend ORDER BY 3 DESC, 1 LIMIT 10"
    ).fetchall()
    number = connection.execute("SELECT count(*) FROM lake.marts.household_spend").fetchone()
    connection.execute("COMMIT")
    return Figures(
        tuple(DaySales(*row) for row in by_day),
        tuple(StoreSales(*row) for row in stores),
        tuple(HouseholdSales(*row) for row in households),
        int(number[0]) if number else 0,
    )


def summary_table(by_day: Sequence[DaySales], days: int = 7) -> str:
    """The last days as a Markdown table, short enough to show inline in the UI."""
    rows = [f"| {d.day:%a %d %b %Y} | {d.stores} | {d.order_lines:,} | {d.sales_value:,.2f} |" for d in by_day[-days:]]
    return "\n".join(["| day | stores | lines | sales, $ |", "|---|--:|--:|--:|", *rows])


def sparkline(by_day: Sequence[DaySales], days: int = 30) -> str:
    """Sales of the last days as a small picture in Markdown, short enough to show inline in the UI."""
    values = [float(day.sales_value) for day in by_day[-days:]]
    if not values:
        return "no sales yet"
    width, height = 240, 48
    top = max(*values, 1.0)
    step = width / max(1, len(values) - 1)
    points = " ".join(f"{i * step:.0f},{height - value / top * (height - 4):.0f}" for i, value in enumerate(values))
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}">'
        f'<polyline fill="none" stroke="#2563eb" stroke-width="2" points="{points}"/></svg>'
    )
    return f"![sales by day](data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()})"


def plot_svg(by_day: Sequence[DaySales]) -> str:
    """Sales by day as an SVG element for an HTML page: a day without sales is a gap."""
    from matplotlib.figure import Figure

    labelled: list[date] = []
    if by_day:
        first, last = by_day[0].day, by_day[-1].day
        step = 1 if last - first < timedelta(days=14) else 7
        labelled = [last - timedelta(days=n) for n in range(0, (last - first).days + 1, step)]
    with house_style():
        figure = Figure(figsize=(9, 3), layout="constrained")
        axes = figure.add_subplot()
        axes.bar(
            [day.day.toordinal() for day in by_day], [float(day.sales_value) for day in by_day], color=ACCENT, width=0.8
        )
        axes.set_xticks([day.toordinal() for day in labelled], [f"{day:%d %b}" for day in labelled])
        axes.set_ylabel("sales, US $")
        plain(axes)
        axes.margins(x=0.01)
        figure.autofmt_xdate()
        return svg_element(figure, "days", "Sales by day; the table below has the figures.")


def render_html(figures: Figures) -> str:
    """The report as one HTML page without references to other files."""
    return render("sales_report.html.j2", figures=figures, plot=plot_svg(figures.recent), recent=RECENT.days)
