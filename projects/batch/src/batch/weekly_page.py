"""The weekly report's page and plots; no Dagster here."""

import base64
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from batch.pages import render
from batch.plots import ACCENT, MUTED, house_style, plain, png, svg_element
from batch.weekly_report import Store, Week, change

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TOP = 10
"""Stores in the plot and in the table beside it."""


class _Bars(NamedTuple):
    values: list[float]
    thickness: float
    colour: str
    label: str


def render_html(week: Week) -> str:
    """The page of a week, without references to other files; without sales it says so and has no plot."""
    plots, best = {}, week.best(TOP)
    if week.now.trading_days:
        most = max(week.now.days, key=lambda day: day.sales_value).day
        with house_style():
            plots["days"] = svg_element(
                _days(week), "days", f"Bars of the sales by day, most on {most:%A}; the table has them."
            )
            if best:
                plots["stores"] = svg_element(
                    _stores(best, compared=week.comparable),
                    "stores",
                    "Bars of the stores that sold most; the table has them.",
                )
    return render("weekly_report.html.j2", week=week, plots=plots, best=best, change=change)


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
        for values, width, colour, _ in _bars(week):
            axes.bar(range(7), values, width=width, color=colour)
        data = base64.b64encode(png(figure, dpi=100, transparent=True)).decode()
    grey = "; grey: the week before" if week.before.trading_days else ""
    return f"![sales by day](data:image/png;base64,{data}) Monday to Sunday{grey}"


def _bars(week: Week) -> list[_Bars]:
    """The days before, if there are any, and those of the week, which stand in front of them."""
    before, now = ([float(day.sales_value) for day in each.days] for each in (week.before, week.now))
    return _beside(now, before if week.before.trading_days else None)


def _beside(now: list[float], before: list[float] | None) -> list[_Bars]:
    bars = [_Bars(now, 0.5, ACCENT, "this week")]
    return bars if before is None else [_Bars(before, 0.8, MUTED, "week before"), *bars]


def _days(week: Week) -> "Figure":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.4, 2.4), layout="constrained")
    axes = figure.add_subplot()
    bars = _bars(week)
    for values, width, colour, label in bars:
        axes.bar(range(7), values, width=width, color=colour, label=label)
    axes.set_xticks(range(7), [f"{day.day:%a}\n{day.day.day}" for day in week.now.days])
    axes.yaxis.set_major_formatter("{x:,.0f}")
    _finish(axes, bars)
    return figure


def _stores(best: Sequence[Store], *, compared: bool) -> "Figure":
    from matplotlib.figure import Figure

    bars = _beside(
        [float(store.sales_value) for store in best], [float(store.before) for store in best] if compared else None
    )
    figure = Figure(figsize=(4.4, 0.7 + 0.24 * len(best)), layout="constrained")
    axes = figure.add_subplot()
    for values, height, colour, label in bars:
        axes.barh(range(len(best)), values, height=height, color=colour, label=label)
    axes.set_yticks(range(len(best)), [f"store {store.store_id}" for store in best])
    axes.invert_yaxis()
    axes.xaxis.set_major_formatter("{x:,.0f}")
    _finish(axes, bars)
    return figure


def _finish(axes: "Axes", bars: Sequence[_Bars]) -> None:
    if len(bars) > 1:
        axes.legend(frameon=False, ncols=2, loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0)
    plain(axes)
