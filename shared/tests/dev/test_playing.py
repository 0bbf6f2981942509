"""What `make demo` makes of the demo world's reports."""

import json
from dataclasses import replace
from datetime import date
from decimal import Decimal

from platform_shared.dev.playing import PlayedDay, PlayedObjects, Progress, played, summary, waits_for
from platform_shared.ledger import UnitState

DAY = {"feed": "order_lines", "day": "2025-07-01", "objects": 2, "rows": 30, "sales": "4.50", "data_day": "2017-07-04"}
HOUSEHOLDS = {"feed": "households", "objects": 9, "rows": 801}
WEEK = {"feed": "promotions", "week": "2025-06-23", "objects": 1, "rows": 336_420, "source_week": 28}


def test_a_day_of_files_is_a_day_and_what_came_into_s3_is_not() -> None:
    assert played(json.dumps(DAY)) == PlayedDay(date(2025, 7, 1), 2, 30, Decimal("4.50"))
    assert played(json.dumps(HOUSEHOLDS)) == PlayedObjects("households", 9, 801)
    assert played(json.dumps(WEEK)) == PlayedObjects("promotions", 1, 336_420)


def test_the_closing_table_has_a_line_for_each_feed_in_s3() -> None:
    objects = [
        PlayedObjects("households", 9, 801),
        PlayedObjects("promotions", 1, 400),
        PlayedObjects("promotions", 1, 600),
    ]
    rows = summary([PlayedDay(date(2025, 7, 1), 2, 30, Decimal("4.50"))], objects, Progress(), None, 1)
    assert rows[0] == ["landing/order_lines", "2 files, 1 days", "4.50"]
    assert rows[1:3] == [
        ["S3: households", "9 objects, 801 rows", ""],
        ["S3: promotions", "2 objects, 1,000 rows", ""],
    ]


def test_it_waits_for_the_objects_in_s3_too() -> None:
    day, sales = date(2025, 7, 1), Decimal("4.50")
    put = [PlayedObjects("promotions", 1, 400), PlayedObjects("promotions", 1, 600)]
    done = Progress(
        objects={UnitState.LOADED: 2}, raw={day: (30, sales)}, marts={day: sales}, household_spend=sales, report=sales
    )
    days = [PlayedDay(day, 2, 30, sales)]
    assert waits_for(days, [], done) is None
    assert waits_for(days, put, done) == "0 of 2 objects of promotions are loaded"
    waiting = replace(done, in_s3={"promotions": {UnitState.LOADED: 1, UnitState.REQUESTED: 1}})
    assert waits_for(days, put, waiting) == "1 of 2 objects of promotions are loaded"
    loaded = replace(done, in_s3={"promotions": {UnitState.LOADED: 1, UnitState.UNCHANGED: 1}})
    assert waits_for(days, put, loaded) is None
