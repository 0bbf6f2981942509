"""Reports by store (partitions that come and go) and by day and part of the day (two dimensions)."""

import csv
import io
from datetime import date, timedelta
from decimal import Decimal

import dagster as dg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch.dayparts import WEEKDAYS, profile
from batch.defs.dayparts import DAYPART_PROFILES, DAYPART_SALES
from batch.defs.store_profiles import STORE_PROFILES
from batch.partitions import BY_DAY_AND_DAYPART, DAYPARTS, STORES, STORES_NAME
from batch.store_profiles import RETIRES_AFTER, changes
from platform_shared.contracts import DAILY_SALES, RAW_ORDER_LINES

from .conftest import LAST, days

pytestmark = pytest.mark.timeout(600)
TODAY = date(2026, 12, 7)
stores = st.sets(st.integers(1, 40).map(str))


def rows(text):
    return [tuple(row) for row in list(csv.reader(io.StringIO(text)))[1:]]


@given(st.dictionaries(st.integers(1, 40).map(str), st.integers(0, 800)), stores)
def test_any_stores_are_known_when_they_sell_and_retired_when_they_have_closed(ages, known):
    last_sales = {store: TODAY - timedelta(days=age) for store, age in ages.items()}
    found = changes(last_sales, known, TODAY)
    after = (known | {*found.new}) - {*found.retired}
    selling = {store for store, last in last_sales.items() if TODAY - last <= RETIRES_AFTER}
    assert selling <= after
    assert after - selling == known - last_sales.keys(), "of what nothing is read, nothing is concluded"
    assert not {*found.new} & known
    assert {*found.retired} <= known
    assert list(found.new) == sorted(found.new, key=int)


def look_at_stores(shop):
    (tick,) = shop.daemon.tick_sensors("daily_sales_stores_sensor")
    return tick


def test_a_store_is_added_when_it_sells_built_once_and_retired_when_it_has_closed(shop, source):
    assert "not changed" in look_at_stores(shop).skip_reason
    shop.arrives(DAILY_SALES, *days())
    look_at_stores(shop)
    assert len(shop.fill("store_profiles_gap_sensor")) == 1
    expected = source.execute(
        """SELECT store_id, min(business_date)::VARCHAR, max(business_date)::VARCHAR, count(DISTINCT business_date),
                  count(DISTINCT (business_date, basket_id)), sum(sales_value) FROM lines GROUP BY ALL ORDER BY 1"""
    ).fetchall()
    known = shop.daemon.instance.get_dynamic_partitions(STORES_NAME)
    assert known == [str(row[0]) for row in expected]
    for row in expected:
        assert rows(shop.told(f"store_profiles/{row[0]}.csv")) == [tuple(map(str, row))]

    # One opens, one closed long ago, and nothing else is built.
    closed = known[0]
    shop.change(f"UPDATE lake.marts.daily_sales SET business_date = business_date - 400 WHERE store_id = {closed}")
    shop.change(f"INSERT INTO lake.marts.daily_sales VALUES (DATE '{LAST}', 99999, 1, 1, 1, 1.50)")
    shop.arrives(DAILY_SALES, LAST)
    assert look_at_stores(shop).skip_reason == "1 stores are new, 1 have closed."
    assert shop.daemon.instance.get_dynamic_partitions(STORES_NAME) == [*known[1:], "99999"]
    shop.daemon.advance(timedelta(minutes=5))
    shop.fill("store_profiles_gap_sensor")
    assert shop.daemon.materialized(STORE_PROFILES.key)[len(known) :] == ["99999"]


def test_a_store_that_was_added_and_never_asked_for_is_a_gap(shop):
    """As after a crash between the two: that a partition exists says nothing about work done."""
    shop.daemon.instance.add_dynamic_partitions(STORES_NAME, ["367"])
    shop.fill("store_profiles_gap_sensor")
    assert shop.daemon.materialized(STORE_PROFILES.key) == ["367"]


def test_all_stores_are_built_weekly_in_one_run(shop):
    shop.daemon.advance(timedelta(days=7))
    (tick,) = shop.daemon.tick_schedules("store_profiles_weekly_schedule")
    assert tick.skip_reason == "There is no store yet."
    shop.daemon.instance.add_dynamic_partitions(STORES_NAME, ["31", "367", "406"])
    shop.daemon.advance(timedelta(days=7))
    shop.daemon.tick_schedules("store_profiles_weekly_schedule")
    (run,) = shop.daemon.execute_runs()
    assert run.job_name == STORE_PROFILES.job
    assert shop.daemon.materialized(STORE_PROFILES.key) == ["31", "367", "406"]


def test_a_weekly_run_of_the_stores_that_fails_is_tried_again(shop):
    """What it renews is there, and so no gap."""
    shop.daemon.instance.add_dynamic_partitions(STORES_NAME, ["31"])
    shop.fill("store_profiles_gap_sensor")
    shop.daemon.advance(timedelta(days=7))
    shop.daemon.tick_schedules("store_profiles_weekly_schedule")
    shop.daemon.tick_sensors("store_profiles_gap_sensor")
    (run,) = shop.daemon.runs(dg.DagsterRunStatus.QUEUED)
    shop.daemon.instance.report_run_failed(run)
    assert len(shop.daemon.tick_retries()) == 1
    shop.daemon.execute_runs()
    assert shop.daemon.materialized(STORE_PROFILES.key) == ["31", "31"]


def automate(shop, minutes=4):
    """Runs of the sensor that fills gaps and of the one that follows conditions."""
    shop.daemon.advance(timedelta(minutes=5))
    runs = shop.fill("daypart_sales_gap_sensor", looks=2)
    for _ in range(minutes):
        shop.daemon.advance(timedelta(minutes=1))
        shop.daemon.tick_automation("batch_automation_sensor")
        shop.daemon.tick_backfills()
        runs += shop.daemon.execute_runs()
        shop.daemon.tick_backfills()
    return runs


def test_sales_by_day_and_daypart_are_exact_and_each_daypart_has_its_profile(shop, source):
    november = days(date(2026, 11, 1))
    shop.arrives(RAW_ORDER_LINES, *november)
    runs = automate(shop)
    keys = BY_DAY_AND_DAYPART.get_partition_keys(current_time=shop.daemon.now)
    assert sorted(shop.daemon.materialized(DAYPART_SALES.key)) == sorted(keys)
    assert sorted(shop.daemon.materialized(DAYPART_PROFILES.key)) == sorted(DAYPARTS)
    assert len(runs) == 2, "one for all days and parts, and one for all profiles"
    for day in (date(2026, 11, 1), date(2026, 11, 25), LAST):
        for part, begins in DAYPARTS.items():
            ends = min([other for other in DAYPARTS.values() if other > begins], default=24)
            expected = source.execute(
                f"""SELECT store_id, count(DISTINCT basket_id), sum(sales_value) FROM lines
                    WHERE business_date = DATE '{day}'
                    AND extract(hour FROM transaction_timestamp AT TIME ZONE 'America/New_York')
                        BETWEEN {begins} AND {ends - 1}
                    GROUP BY ALL ORDER BY 1"""
            ).fetchall()
            assert rows(shop.told(f"daypart_sales/{day}/{part}.csv")) == [tuple(map(str, row)) for row in expected]

    # A late file of a day: its five parts and the profiles again, no other day.
    before = len(shop.daemon.materialized(DAYPART_SALES.key))
    shop.arrives(RAW_ORDER_LINES, date(2026, 11, 20))
    automate(shop)
    again = shop.daemon.materialized(DAYPART_SALES.key)[before:]
    assert sorted(again) == sorted(f"2026-11-20|{part}" for part in DAYPARTS)
    assert len(shop.daemon.materialized(DAYPART_PROFILES.key)) == 2 * len(DAYPARTS)


def test_a_weekday_is_the_mean_of_its_open_days():
    monday = date(2026, 11, 2)
    figures = {
        monday: (10, Decimal("100.00")),
        monday + timedelta(days=7): (20, Decimal("50.01")),
        monday + timedelta(days=14): (0, Decimal(0)),
        monday + timedelta(days=1): (0, Decimal(0)),
    }
    (found,) = profile(figures)
    assert (found.weekday, found.days, found.baskets_a_day) == (WEEKDAYS[0], 2, 15.0)
    assert found.sales_a_day == Decimal("75.00")


def test_two_dimensions_are_as_many_as_there_are():
    with pytest.raises(dg.DagsterInvalidInvocationError):
        dg.MultiPartitionsDefinition(dict.fromkeys("abc", STORES))
