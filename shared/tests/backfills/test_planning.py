"""What a person writes, and what is built of it."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platform_shared.backfills.planning import Asset, BackfillError, Dimension, Part, plan, stages

FIRST, LAST = date(2026, 3, 2), date(2026, 3, 29)
DAYS = tuple((FIRST + timedelta(days=n)).isoformat() for n in range(28))
WEEKS = DAYS[::7]
HOURS = tuple(f"{day}-{hour:02}:00" for day in DAYS[:3] for hour in range(24))
MONTHS = ("2026-01-01", "2026-02-01", "2026-03-01")
DEPARTMENTS = ("BAKERY", "DELI", "GROCERY")


def asset(key: str, *dimensions: Dimension, **changed: object) -> Asset:
    known = {"group": key.split("/")[0], "location": "analytics", "is_materializable": True, "dimensions": dimensions}
    return Asset(key=key, **{**known, **changed})  # type: ignore[arg-type]


def over_time(keys: tuple[str, ...]) -> Dimension:
    return Dimension("date", True, keys)


ASSETS = {
    each.key: each
    for each in (
        asset("marts/daily_sales", over_time(DAYS), at_once=None),
        asset("marts/weekly_sales", over_time(WEEKS)),
        asset("marts/hourly_sales", over_time(HOURS), at_once=10),
        asset("marts/monthly_sales", over_time(MONTHS)),
        asset("marts/by_department", over_time(DAYS), Dimension("department", False, DEPARTMENTS)),
        asset("ml/departments", Dimension("default", False, DEPARTMENTS)),
        asset("marts/household_spend"),
        asset("raw/order_lines", over_time(DAYS), feed="order_lines"),
        asset("raw/weather", over_time(DAYS), is_materializable=False),
    )
}


def partitions(key: str, first: str, last: str) -> tuple[str, ...]:
    (part,) = plan(ASSETS, [key], first, last)
    return part.partitions


@pytest.mark.parametrize(
    ("key", "first", "last", "chosen"),
    [
        ("marts/daily_sales", "2026-03-03", "2026-03-04", ("2026-03-03", "2026-03-04")),
        ("marts/daily_sales", "2026-01-01", "2026-03-02", ("2026-03-02",)),
        ("marts/daily_sales", "2026-03-29", "2027-01-01", ("2026-03-29",)),
        ("marts/weekly_sales", "2026-03-09", "2026-03-15", ("2026-03-09",)),
        ("marts/weekly_sales", "2026-03-11", "2026-03-16", ("2026-03-09", "2026-03-16")),
        ("marts/weekly_sales", "2026-03-26", "2026-03-26", ("2026-03-23",)),
        ("marts/hourly_sales", "2026-03-03", "2026-03-03", HOURS[24:48]),
        ("marts/hourly_sales", "2026-03-03-05:00", "2026-03-03-06:00", HOURS[29:31]),
        ("marts/monthly_sales", "2026-02-10", "2026-02-10", ("2026-02-01",)),
        ("marts/monthly_sales", "2026-03-31", "2026-03-31", ("2026-03-01",)),
        ("marts/by_department", "2026-03-03", "2026-03-03", tuple(f"2026-03-03|{name}" for name in DEPARTMENTS)),
        ("ml/departments", "BAKERY", "DELI", ("BAKERY", "DELI")),
    ],
)
def test_a_range_takes_what_lies_in_it_or_reaches_into_it(key: str, first: str, last: str, chosen: tuple[str, ...]):
    assert partitions(key, first, last) == chosen


@pytest.mark.parametrize(
    ("wanted", "first", "last", "told"),
    [
        ("marts/daily_sale", "2026-03-03", "2026-03-03", "Did you mean marts/daily_sales"),
        ("marts/daily_sales", "2026-03-30", "2026-03-31", "it has 2026-03-02 to 2026-03-29"),
        ("marts/daily_sales", "2025-01-01", "2025-12-31", "it has 2026-03-02 to 2026-03-29"),
        ("marts/weekly_sales", "2026-03-30", "2026-03-30", "it has 2026-03-02 to 2026-03-23"),
        ("marts/monthly_sales", "2026-04-01", "2026-04-01", "it has 2026-01-01 to 2026-03-01"),
        ("marts/daily_sales", "2026-03-05", "2026-03-04", "from=2026-03-05 is after to=2026-03-04"),
        ("marts/daily_sales", "yesterday", "2026-03-04", "from=yesterday is no date; write it as 2026-03-31"),
        ("marts/daily_sales", "2026-03-04", "2026-02-30", "to=2026-02-30 is no date"),
        ("ml/departments", "BAKERY", "FISH", "it has BAKERY to GROCERY"),
        ("ml/departments", "DELI", "BAKERY", "it has BAKERY to GROCERY"),
        ("marts/household_spend", "2026-03-03", "2026-03-03", "has no partitions"),
        ("raw/order_lines", "2026-03-03", "2026-03-03", "platform replay --feed order_lines"),
        ("raw/weather", "2026-03-03", "2026-03-03", "only observed"),
        ("group:mart", "2026-03-03", "2026-03-03", "there are marts, ml"),
        ("all", "2020-01-01", "2020-01-01", "Nothing of all has a partition"),
    ],
)
def test_a_range_that_is_not_there_is_refused_in_words(wanted: str, first: str, last: str, told: str):
    with pytest.raises(BackfillError, match=told):
        plan(ASSETS, [wanted], first, last)


def test_all_takes_every_asset_that_can_be_built_and_a_group_its_own():
    everything = {part.asset.key for part in plan(ASSETS, ["all"], "2026-03-03", "2026-03-03")}
    marts = {f"marts/{n}" for n in ("by_department", "daily_sales", "hourly_sales", "monthly_sales", "weekly_sales")}
    assert everything == {*marts, "ml/departments"}
    assert {part.asset.key for part in plan(ASSETS, ["group:marts"], "2026-03-03", "2026-03-03")} == marts
    named_twice = plan(ASSETS, ["marts/daily_sales", "group:marts"], "2026-03-03", "2026-03-03")
    assert len(named_twice) == len(marts)


def test_what_has_no_dates_comes_whole_with_what_has_and_only_then():
    (departments,) = [part for part in plan(ASSETS, ["all"], "2026-03-03", "2026-03-03") if part.asset.group == "ml"]
    assert departments.partitions == DEPARTMENTS
    with pytest.raises(BackfillError, match="Nothing of group:ml has a partition"):
        plan(ASSETS, ["group:ml"], "2026-03-03", "2026-03-03")
    (some,) = plan(ASSETS, ["group:ml"], "DELI", "GROCERY")
    assert some.partitions == ("DELI", "GROCERY")


def test_dynamic_partitions_are_backfills_of_their_own_after_the_others():
    stores = [asset(f"ml/{name}", Dimension("default", False, ("31", "367"), is_dynamic=True)) for name in "ab"]
    assets = {**{each.key: each for each in stores}, **ASSETS}
    parts = plan(assets, ["all"], "2026-03-03", "2026-03-03")
    together, first, second = stages(parts)
    assert {part.asset.key for part in together} == {part.asset.key for part in parts} - {"ml/a", "ml/b"}
    assert [part.asset.key for part in (*first, *second)] == ["ml/a", "ml/b"]
    assert stages(first) == [first]


def test_runs_follow_the_backfill_policy():
    week = [ASSETS["marts/daily_sales"], ASSETS["marts/weekly_sales"], ASSETS["marts/hourly_sales"]]
    assert [Part(each, tuple("abcdefghijk")).runs for each in week] == [1, 11, 2]
    (both,) = plan(ASSETS, ["marts/by_department"], "2026-03-03", "2026-03-09")
    assert (len(both.partitions), both.runs) == (21, 21), "three departments, a run a day"
    single = replace(both, asset=replace(both.asset, at_once=None))
    assert single.runs == 3


@given(first=st.dates(FIRST, LAST), last=st.dates(FIRST, LAST))
def test_days_are_those_between_and_their_weeks_are_theirs(first: date, last: date):
    if first > last:
        first, last = last, first
    days = partitions("marts/daily_sales", str(first), str(last))
    assert days == tuple(day for day in DAYS if str(first) <= day <= str(last))
    weeks = partitions("marts/weekly_sales", str(first), str(last))
    mondays = {date.fromisoformat(day) - timedelta(days=date.fromisoformat(day).weekday()) for day in days}
    assert weeks == tuple(sorted(map(str, mondays)))
