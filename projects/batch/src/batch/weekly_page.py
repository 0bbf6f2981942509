"""The weekly report's page and plots; no Dagster here."""

import base64
from typing import TYPE_CHECKING

from batch.pages import render
from batch.plots import ACCENT, MUTED, house_style, plain, png, svg_element
from batch.weekly_report import Week, change

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TOP = 10
"""Stores in the plot and in the table beside it."""


def render_html(week: Week) -> str:
    """The page of a week, without references to other files; without sales it says so and has no plot."""
    plots = {}
    if week.now.trading_days:
        best = max(week.now.days, key=lambda day: day.sales_value).day
        with house_style():
            plots = {
                "days": svg_element(
                    _days(week), "days", f"Bars of the sales by day, most on {best:%A}; the table has them."
                ),
                "stores": svg_element(
                    _stores(week), "stores", "Bars of the stores that sold most; the table has them."
                ),
            }
    return render("weekly_report.html.j2", week=week, plots=plots, top=TOP, change=change)


def picture(week: Week) -> bytes:
    """Sales by day as a PNG picture that stands by itself."""
    with house_style():
        figure = _days(week)
        figure.suptitle(f"Sales by day, US $, week of {week.monday.day} {week.monday:%B %Y}", x=0.01, ha="left")
        return png(figure, dpi=200)


def thumbnail(week: Week) -> str:
    """The same in small, as Markdown that Dagster's UI shows at once: bars alone, below a thousand characters."""
    from matplotlib.figure import Figure

    with house_style():
        figure = Figure(figsize=(2.8, 0.6))
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        for values, width, colour in _bars(week):
            axes.bar(range(7), values, width=width, color=colour)
        data = base64.b64encode(png(figure, dpi=100, transparent=True)).decode()
    return f"![sales by day](data:image/png;base64,{data}) Monday to Sunday; grey: the week before"


def _bars(week: Week) -> list[tuple[list[float], float, str]]:
    """Values, width and colour of the days before and of those of the week, which stand in front of them."""
    sales = [[float(day.sales_value) for day in each.days] for each in (week.before, week.now)]
    return [(sales[0], 0.8, MUTED), (sales[1], 0.5, ACCENT)]


def _days(week: Week) -> "Figure":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.4, 2.4), layout="constrained")
    axes = figure.add_subplot()
    for (values, width, colour), label in zip(_bars(week), ("week before", "this week"), strict=True):
        axes.bar(range(7), values, width=width, color=colour, label=label)
    axes.set_xticks(range(7), [f"{day.day:%a}\n{day.day.day}" for day in week.now.days])
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.legend(frameon=False, ncols=2, loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0)
    plain(axes)
    return figure


def _stores(week: Week) -> "Figure":
    from matplotlib.figure import Figure

    best = week.stores[:TOP]
    figure = Figure(figsize=(4.4, 0.7 + 0.24 * len(best)), layout="constrained")
    axes = figure.add_subplot()
    axes.barh(range(len(best)), [float(s.before) for s in best], height=0.8, color=MUTED, label="week before")
    axes.barh(range(len(best)), [float(s.sales_value) for s in best], height=0.5, color=ACCENT, label="this week")
    axes.set_yticks(range(len(best)), [f"store {store.store_id}" for store in best])
    axes.invert_yaxis()
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.legend(frameon=False, ncols=2, loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0)
    plain(axes)
    return figure
