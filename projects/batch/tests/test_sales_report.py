import re
from datetime import date, timedelta
from decimal import Decimal

import pytest

from batch.sales_report import (
    RECENT,
    UI_MARKDOWN_LIMIT,
    DaySales,
    Figures,
    HouseholdSales,
    StoreSales,
    plot_svg,
    render_html,
    sparkline,
    summary_table,
)


def days(number):
    first = date(2025, 1, 6)
    return tuple(
        DaySales(first + timedelta(days=i), 100 + i, 3000 + i, Decimal(f"{10000 + 37 * i}.25")) for i in range(number)
    )


def figures(number):
    stores = tuple(StoreSales(store, number, Decimal("99.90")) for store in range(10))
    households = tuple(HouseholdSales(household, 3, Decimal("12.30")) for household in range(10))
    return Figures(days(number), stores, households, 2469)


def test_totals_are_exact():
    assert figures(3).sales_value == Decimal("30111.75")
    assert figures(3).order_lines == 9003


@pytest.mark.parametrize("number", [0, 1, 14, 364])
def test_what_the_ui_shows_is_short_enough_to_be_shown(number):
    assert len(sparkline(days(number))) < UI_MARKDOWN_LIMIT
    assert len(summary_table(days(number))) < UI_MARKDOWN_LIMIT


@pytest.mark.parametrize("number", [0, 1, 14])
def test_the_page_stands_alone_and_shows_every_day(number):
    page = render_html(figures(number))
    assert page.count("<svg") == 1
    for reference in ("<script", "<link", 'src="', "url(http"):
        assert reference not in page
    for day in days(number):
        assert f"{day.day:%a %d %b %Y}" in page
        assert f"{day.sales_value:,.2f}" in page


def places(plot):
    """Where the bars of a plot stand, from left to right."""
    bars = re.findall(r'<path d="M ([0-9.]+) [^"]*"[^>]*style="fill: var\(--accent\)', plot)
    return sorted({float(place) for place in bars})


def test_the_page_of_years_shows_the_last_days_and_the_totals_of_all():
    page, newest = render_html(figures(800)), days(800)[-60:]
    assert [f"{day.day:%a %d %b %Y}" for day in reversed(newest)] == re.findall(
        r"<td>(\w{3} \d\d \w{3} \d{4})</td>", page
    )
    assert len(places(page)) == 60
    labels = re.findall(r"<text [^>]*>(\d\d \w{3})</text>", page)
    assert labels == [f"{newest[-1 - n].day:%d %b}" for n in range(0, 60, 7)]
    assert f"<b>$ {sum(day.sales_value for day in days(800)):,.2f}</b> sales" in page
    assert "<b>800</b> business days" in page
    assert "The 60 days up to the newest; all other figures of this page are of all days." in page
    assert "up to the newest" not in render_html(figures(RECENT.days))


def test_bars_stand_at_their_dates():
    """A day without sales is a gap, and the same day of another year another place."""
    first, second, third = days(1)[0], days(4)[3], days(366)[365]
    near, far, later = places(plot_svg([first, second, third]))
    assert (later - near) / (far - near) == pytest.approx(365 / 3, rel=0.01)


@pytest.mark.parametrize("number", [1, 2, 14, 15, 60])
def test_few_days_are_labelled_and_the_newest_always(number):
    labels = re.findall(r"<text [^>]*>(\d\d \w{3})</text>", plot_svg(days(number)))
    assert labels[0] == f"{days(number)[-1].day:%d %b}"
    assert len({*labels}) == len(labels) == (number if number <= 14 else -(-number // 7))


def test_the_page_says_that_nothing_is_there_yet():
    assert "No sales are loaded yet" in render_html(Figures((), (), (), 0))
    assert "No sales are loaded yet" not in render_html(figures(1))


def test_the_summary_ends_with_the_newest_day():
    lines = summary_table(days(30)).splitlines()
    assert len(lines) == 9
    assert "Tue 04 Feb 2025" in lines[-1]
