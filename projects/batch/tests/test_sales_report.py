from datetime import date, timedelta
from decimal import Decimal

import pytest

from batch.sales_report import (
    UI_MARKDOWN_LIMIT,
    DaySales,
    Figures,
    HouseholdSales,
    StoreSales,
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


def test_the_page_says_that_nothing_is_there_yet():
    assert "No sales are loaded yet" in render_html(Figures((), (), (), 0))
    assert "No sales are loaded yet" not in render_html(figures(1))


def test_the_summary_ends_with_the_newest_day():
    lines = summary_table(days(30)).splitlines()
    assert len(lines) == 9
    assert "Tue 04 Feb 2025" in lines[-1]
