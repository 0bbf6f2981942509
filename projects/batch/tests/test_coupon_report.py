from datetime import date, timedelta
from decimal import Decimal

import pytest

from batch.coupon_report import CouponWeek, as_table, to_csv


def weeks(number):
    first = date(2025, 1, 6)
    return [
        CouponWeek(first + timedelta(weeks=i), 200, 10 + i, Decimal("12.30"), Decimal("0.40")) for i in range(number)
    ]


def test_the_file_has_a_line_a_week():
    assert to_csv(weeks(2)).splitlines() == [
        "business_week,baskets,baskets_with_coupon,coupon_disc,coupon_match_disc",
        "2025-01-06,200,10,12.30,0.40",
        "2025-01-13,200,11,12.30,0.40",
    ]


@pytest.mark.parametrize("number", [0, 1, 60])
def test_what_the_ui_shows_is_short_enough_to_be_shown(number):
    assert len(as_table(weeks(number))) < 1000
    assert len(as_table(weeks(number)).splitlines()) == 2 + min(number, 7)


def test_the_share_of_no_baskets_is_nothing():
    assert CouponWeek(date(2025, 1, 6), 0, 0, Decimal(0), Decimal(0)).share == 0
    assert "| 2025-01-06 | 200 | 5.0% | 12.30 |" in as_table(weeks(1))
