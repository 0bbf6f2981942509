from decimal import Decimal

from analytics.segments import Segments

ROWS = [("Under 15K", "19-24", 3, 9, Decimal("12.30")), ("unknown", "unknown", 2, 4, Decimal("0.45"))]


def test_the_file_has_a_line_a_segment():
    assert Segments(ROWS).csv().splitlines() == [
        "income_band,age_band,households,baskets,sales_value",
        "Under 15K,19-24,3,9,12.30",
        "unknown,unknown,2,4,0.45",
    ]


def test_totals_are_exact():
    assert (Segments(ROWS).households, Segments(ROWS).sales_value) == (5, Decimal("12.75"))
