import io
import json
from datetime import date
from decimal import Decimal

from platform_shared.cli.formats import table, write_rows

NAMES = ["day", "sales"]
ROWS = [(date(2026, 1, 1), Decimal("12.50")), (date(2026, 1, 2), None)]


def test_a_table_is_aligned_and_numbers_stand_right():
    assert table(NAMES, ROWS).splitlines() == [
        "day         sales",
        "----------  -----",
        "2026-01-01  12.50",
        "2026-01-02",
    ]


def test_csv_can_be_read_back():
    out = io.StringIO()
    write_rows(out, NAMES, [("a,b", 'say "x"')], "csv")
    assert out.getvalue() == 'day,sales\n"a,b","say ""x"""\n'


def test_json_keeps_money_exact():
    out = io.StringIO()
    write_rows(out, NAMES, ROWS, "json")
    assert json.loads(out.getvalue()) == [
        {"day": "2026-01-01", "sales": "12.50"},
        {"day": "2026-01-02", "sales": None},
    ]


def test_an_empty_answer_has_a_header():
    assert table(NAMES, []) == "day  sales\n---  -----\n"
