"""Reports by store (partitions that come and go) and by day and department (two dimensions)."""

import csv
import io
from datetime import date, timedelta
from decimal import Decimal

import dagster as dg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch.defs import departments as defs
from batch.defs.departments import ADDS_UP, DEPARTMENT_PROFILES, DEPARTMENT_SALES, FEW_UNKNOWN, LISTED
from batch.defs.store_profiles import STORE_PROFILES
from batch.departments import WEEKDAYS, profile, to_csv
from batch.partitions import (
    BY_DAY_AND_DEPARTMENT,
    DEPARTMENTS,
    LARGE_DEPARTMENTS,
    OTHER_DEPARTMENTS,
    STORES,
    STORES_NAME,
)
from batch.store_profiles import RETIRES_AFTER, changes
from platform_shared.contracts import DAILY_SALES, PRODUCTS, RAW_ORDER_LINES
from platform_shared.schedules import ONLY_DUE_TAGS, range_request

from .conftest import ALL_DAYS, DATA, LAST, days

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


def automate(shop, minutes=4, **options):
    """Runs of the sensor that fills gaps and of the one that follows conditions."""
    shop.daemon.advance(timedelta(minutes=5))
    runs = shop.fill("department_sales_gap_sensor", looks=2, **options)
    for _ in range(minutes):
        shop.daemon.advance(timedelta(minutes=1))
        shop.daemon.tick_automation("batch_automation_sensor")
        shop.daemon.tick_backfills()
        runs += shop.daemon.execute_runs()
        shop.daemon.tick_backfills()
    return runs


NOVEMBER = days(date(2026, 11, 1))
BY_SOURCE = f"""
    SELECT business_date::VARCHAR,
           CASE WHEN department IS NULL THEN 'UNKNOWN' WHEN department IN {LARGE_DEPARTMENTS} THEN department
                ELSE 'OTHER' END AS department, store_id, count(DISTINCT basket_id), sum(sales_value)
    FROM lines LEFT JOIN products USING (product_id)
    WHERE business_date >= DATE '2026-11-01' GROUP BY 1, 2, 3 ORDER BY 3
"""


@pytest.fixture
def sold(shop, source):
    """November by department and day from the source, with all that is read announced."""
    shop.arrives(RAW_ORDER_LINES, *ALL_DAYS)
    shop.arrives(PRODUCTS)
    found = {}
    for day, department, *row in source.execute(BY_SOURCE).fetchall():
        found.setdefault((day, department), []).append(tuple(map(str, row)))
    return found


def built(shop, series):
    return shop.daemon.materialized(series.key)


def test_sales_by_day_and_department_are_exact_and_each_department_has_its_profile(shop, source, sold):
    runs = automate(shop)
    keys = BY_DAY_AND_DEPARTMENT.get_partition_keys(current_time=shop.daemon.now)
    assert sorted(built(shop, DEPARTMENT_SALES)) == sorted(keys)
    assert sorted(built(shop, DEPARTMENT_PROFILES)) == sorted(DEPARTMENTS)
    assert len(runs) == 2, "one for all days and departments, and one for all profiles"
    for day in NOVEMBER:
        told = {each: rows(shop.told(f"department_sales/{day}/{each}.csv")) for each in DEPARTMENTS}
        assert told == {each: sold.get((f"{day}", each), []) for each in DEPARTMENTS}
        sales = sum(Decimal(row[2]) for stores in told.values() for row in stores)
        assert [(sales,)] == source.execute(
            f"SELECT sum(sales_value) FROM lines WHERE business_date = DATE '{day}'"
        ).fetchall()
    assert {name for _, name in sold} == {*DEPARTMENTS}
    checks = {name: shop.daemon.check(DEPARTMENT_SALES.key, name) for name in (ADDS_UP, LISTED, FEW_UNKNOWN)}
    assert {name: check.passed for name, check in checks.items()} == dict.fromkeys(checks, True)
    assert "5978648" in checks[FEW_UNKNOWN].metadata["products"].value

    # A late file of a day: its departments and the profiles again, no other day.
    before = len(built(shop, DEPARTMENT_SALES))
    shop.arrives(RAW_ORDER_LINES, date(2026, 11, 20))
    automate(shop)
    again = built(shop, DEPARTMENT_SALES)[before:]
    assert sorted(again) == sorted(f"2026-11-20|{each}" for each in DEPARTMENTS)
    assert len(built(shop, DEPARTMENT_PROFILES)) == 2 * len(DEPARTMENTS)


def test_products_that_are_listed_late_build_their_latest_days_again_and_no_others(shop, sold):
    named = "product_id IN (SELECT product_id FROM lake.marts.products WHERE department = 'DELI')"
    with shop.warehouse.connect() as lake:
        lake.execute(f"CREATE TEMP TABLE late AS FROM lake.marts.products WHERE {named}")
        lake.execute(f"DELETE FROM lake.marts.products WHERE {named}")
        automate(shop, minutes=0)
        before = len(built(shop, DEPARTMENT_SALES))
        assert shop.told(f"department_sales/{LAST}/DELI.csv").count("\n") == 1
        many = shop.daemon.check(DEPARTMENT_SALES.key, FEW_UNKNOWN)
        assert (many.passed, many.blocking, many.severity) == (False, False, dg.AssetCheckSeverity.WARN)
        lake.execute("INSERT INTO lake.marts.products FROM late")
    shop.arrives(PRODUCTS)
    automate(shop, minutes=0)
    latest = days(date(2026, 11, 23))
    again = built(shop, DEPARTMENT_SALES)[before:]
    assert sorted(again) == sorted(f"{day}|{each}" for day in latest for each in DEPARTMENTS)
    for day in NOVEMBER:
        told = rows(shop.told(f"department_sales/{day}/DELI.csv"))
        assert told == (sold[f"{day}", "DELI"] if day in latest else [])


def test_a_department_that_nobody_has_listed_is_counted_and_fails_the_run_with_its_name(shop, sold):
    shop.change("UPDATE lake.marts.products SET department = 'OTHER' WHERE department = 'GARDEN CENTER'")
    shop.change("UPDATE lake.marts.products SET department = 'BAKERY' WHERE department = 'PASTRY'")
    runs = [run for run in automate(shop, minutes=2, may_fail=True) if run.job_name == DEPARTMENT_SALES.job]
    assert [run.status for run in runs] == [dg.DagsterRunStatus.FAILURE]
    assert LISTED in shop.daemon.run_error(runs[0].run_id)
    check = shop.daemon.check(DEPARTMENT_SALES.key, LISTED)
    assert (check.passed, check.metadata["departments"].value) == (False, "BAKERY, OTHER")
    assert shop.daemon.check(DEPARTMENT_SALES.key, ADDS_UP).passed
    for row in rows(shop.told(f"department_sales/{LAST}/OTHER.csv")):
        assert row[0] in {store for each in ("OTHER", "PASTRY") for store, *_ in sold[f"{LAST}", each]}
    assert rows(shop.told(f"department_sales/{LAST}/PASTRY.csv")) == []
    assert built(shop, DEPARTMENT_PROFILES) == [], "what reads them waits until somebody has listed it"


def test_a_product_that_the_master_has_twice_counts_once(shop, sold):
    shop.change("INSERT INTO lake.marts.products FROM lake.marts.products WHERE department = 'FUEL'")
    automate(shop, minutes=0)
    assert rows(shop.told(f"department_sales/{LAST}/FUEL.csv")) == sold[f"{LAST}", "FUEL"]


@pytest.mark.parametrize("whole", [True, False], ids=["a day", "a department of a day"])
def test_departments_that_do_not_add_up_to_the_lines_fail_their_check(shop, sold, monkeypatch, whole):
    """What cannot be, unless the code is wrong: here it leaves a store out."""
    keys = [f"{LAST}|{each}" for each in DEPARTMENTS][: None if whole else 1]
    with monkeypatch.context() as patch:
        patch.setattr(defs, "to_csv", lambda stores: to_csv(stores[1:]))
        shop.daemon.launch(DEPARTMENT_SALES.key, tags=dict(range_request(keys).tags))
        shop.daemon.execute_runs(may_fail=True)
    check = shop.daemon.check(DEPARTMENT_SALES.key, ADDS_UP)
    assert (check.passed, check.metadata["days"].value) == ((False, f"{LAST}") if whole else (True, "none"))
    # Nothing is due, so a run of what is due builds nothing: what is wrong stays red.
    shop.daemon.launch(DEPARTMENT_SALES.key, tags={**range_request(keys).tags, **ONLY_DUE_TAGS})
    shop.daemon.execute_runs(may_fail=True)
    assert shop.daemon.check(DEPARTMENT_SALES.key, ADDS_UP).passed is not whole


def test_every_department_of_the_source_is_listed_and_the_large_ones_by_themselves(source):
    names = source.execute("SELECT DISTINCT department FROM products").fetchall()
    assert {name for (name,) in names} == {*LARGE_DEPARTMENTS} | OTHER_DEPARTMENTS
    assert not {*LARGE_DEPARTMENTS} & OTHER_DEPARTMENTS
    large = source.execute(
        f"""SELECT department FROM read_parquet('{DATA}/transactions.parquet') JOIN products USING (product_id)
            GROUP BY 1 HAVING sum(sales_value) >= 0.01 *
                (SELECT sum(sales_value) FROM read_parquet('{DATA}/transactions.parquet'))
            ORDER BY sum(sales_value) DESC"""
    ).fetchall()
    assert tuple(name for (name,) in large) == LARGE_DEPARTMENTS


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
