"""The scheduled reports on real purchases: what fills them, and that each figure is the source's."""

import csv
import io
from datetime import UTC, date, datetime, timedelta

import dagster as dg
import pytest

from batch.defs import daily_store_sales as defs
from batch.sales_by_store import to_csv
from batch.series import COUPON_HOURS, DAILY_STORE_SALES, MONTHLY_COHORT_RETENTION, WEEKLY_PROMOTION_LIFT
from platform_shared.contracts import DAILY_SALES, HOUSEHOLD_DAYS, PROMOTION_LIFT, RAW_ORDER_LINES
from platform_shared.partitions import COMPLETE_HOURS
from platform_shared.schedules import ONLY_DUE_TAGS, build_partitions
from platform_shared.testing import figures

from .conftest import ALL_DAYS, FIRST, LAST, days

pytestmark = pytest.mark.timeout(600)


def rows(text):
    return [tuple(row) for row in list(csv.reader(io.StringIO(text)))[1:]]


def materialized(shop, series):
    return shop.daemon.materialized(series.key)


def test_daily_sales_of_six_weeks_are_exact_and_made_in_one_run(shop, source):
    shop.arrives(DAILY_SALES, *days())
    assert len(shop.fill("store_sales_gap_sensor")) == 1
    assert materialized(shop, DAILY_STORE_SALES) == [day.isoformat() for day in days()]
    for day in days():
        told = rows(shop.told(f"daily_store_sales/{day}.csv"))
        assert told == figures.store_sales(source, day)
        assert told
    check = shop.daemon.check(DAILY_STORE_SALES.key, "adds_up_to_the_mart")
    assert (check.passed, check.blocking) == (True, True)


def test_four_days_without_the_daemon(shop):
    """The schedule's one tick is the last day's; the sensor fills the rest, oldest first and once."""
    shop.arrives(DAILY_SALES, *days(FIRST, date(2026, 12, 2)))
    shop.fill("store_sales_gap_sensor")
    built = materialized(shop, DAILY_STORE_SALES)
    shop.arrives(DAILY_SALES, *days(date(2026, 12, 3), date(2026, 12, 6)))
    shop.daemon.advance(datetime(2026, 12, 8, 5, 6, tzinfo=UTC) - shop.daemon.now)
    shop.arrives(DAILY_SALES, date(2026, 12, 7))
    shop.daemon.tick_schedules("store_sales_daily_schedule")
    shop.fill("store_sales_gap_sensor")
    missed = ["2026-12-07", "2026-12-03", "2026-12-04", "2026-12-05", "2026-12-06"]
    assert materialized(shop, DAILY_STORE_SALES) == [*built, *missed]


def look_again(shop, day):
    """A run of a day that is up to date, or was when the run was asked for; its verdict on the file, if it has one."""
    run = shop.daemon.launch(DAILY_STORE_SALES.key, partition=day.isoformat(), tags=dict(ONLY_DUE_TAGS))
    shop.daemon.dequeue()
    return shop.daemon.execute(run, may_fail=True)


def test_a_file_that_does_not_hold_what_the_mart_holds_fails_its_check(shop):
    shop.arrives(DAILY_SALES, *days(FIRST, FIRST))
    shop.fill("store_sales_gap_sensor")
    # Nobody announces this change, so the file stays what it is.
    shop.change(f"UPDATE lake.marts.daily_sales SET sales_value = 0 WHERE business_date = DATE '{FIRST}'")
    assert "adds_up_to_the_mart" in shop.daemon.run_error(look_again(shop, FIRST).run_id)
    assert not shop.daemon.check(DAILY_STORE_SALES.key, "adds_up_to_the_mart").passed


def test_a_file_that_was_not_written_as_it_was_read_fails_its_check(shop, monkeypatch):
    monkeypatch.setattr(defs, "to_csv", lambda stores: to_csv(stores[1:]))
    shop.arrives(DAILY_SALES, FIRST)
    shop.fill("store_sales_gap_sensor", looks=1, may_fail=True)
    check = shop.daemon.check(DAILY_STORE_SALES.key, "adds_up_to_the_mart")
    assert (check.passed, check.metadata["days"].value) == (False, FIRST.isoformat())


@pytest.mark.parametrize("is_built", [False, True], ids=["built", "left alone"])
def test_a_late_file_while_a_day_is_built_is_no_alarm(shop, monkeypatch, is_built):
    """The mart changes after the build has read it, or has found nothing to do."""
    shop.arrives(DAILY_SALES, FIRST)
    if is_built:
        shop.fill("store_sales_gap_sensor")

    def building(*arguments):
        yield from build_partitions(*arguments)
        shop.change(f"UPDATE lake.marts.daily_sales SET sales_value = 0 WHERE business_date = DATE '{FIRST}'")
        shop.arrives(DAILY_SALES, FIRST)

    monkeypatch.setattr(defs, "build_partitions", building)
    assert look_again(shop, FIRST).status is dg.DagsterRunStatus.SUCCESS
    assert shop.daemon.check(DAILY_STORE_SALES.key, "adds_up_to_the_mart").passed


def test_a_day_on_which_few_stores_reported_is_told_and_blocks_nothing(shop):
    shop.change(f"DELETE FROM lake.marts.daily_sales WHERE business_date = DATE '{LAST}' AND store_id > 300")
    shop.arrives(DAILY_SALES, *days(LAST - timedelta(days=2)))
    shop.fill("store_sales_gap_sensor")
    check = shop.daemon.check(DAILY_STORE_SALES.key, "most_stores_reported")
    assert (check.passed, check.blocking, check.metadata["days"].value) == (False, False, LAST.isoformat())


@pytest.mark.parametrize("closed_before", [0, 2])
def test_a_run_of_one_day_compares_it_with_the_last_day_of_trade(shop, closed_before):
    """As the schedule asks for it, also after days without trade."""
    shop.change(f"DELETE FROM lake.marts.daily_sales WHERE business_date = DATE '{LAST}' AND store_id > 300")
    shop.change(
        f"DELETE FROM lake.marts.daily_sales WHERE business_date < DATE '{LAST}' "
        f"AND business_date >= DATE '{LAST}' - {closed_before}"
    )
    told = []
    for day in (LAST - timedelta(days=4), LAST):
        shop.arrives(DAILY_SALES, day)
        look_again(shop, day)
        told.append(shop.daemon.check(DAILY_STORE_SALES.key, "most_stores_reported").metadata["days"].value)
    assert told == ["none", LAST.isoformat()]


def test_the_first_day_of_trade_has_none_before_it(shop):
    shop.arrives(DAILY_SALES, FIRST)
    shop.fill("store_sales_gap_sensor")
    assert shop.daemon.check(DAILY_STORE_SALES.key, "most_stores_reported").passed


def test_weekly_promotion_lift_is_what_the_mart_says_and_more(shop):
    shop.arrives(PROMOTION_LIFT, FIRST)
    shop.fill("promotion_lift_gap_sensor")
    assert materialized(shop, WEEKLY_PROMOTION_LIFT) == [FIRST.isoformat()]
    assert rows(shop.told(f"weekly_promotion_lift/{FIRST}.csv")) == [
        ("display", "3", "10", "25.50", "4", "8", "1.6667", "4.0"),
        ("mailer", "5", "0", "0.00", "7", "0", "", "0.0"),
    ]


def test_monthly_cohorts_are_exact_and_wait_for_all_days_until_the_months_end(shop, source):
    november_30 = date(2026, 11, 30)
    shop.arrives(HOUSEHOLD_DAYS, *(day for day in ALL_DAYS if day != november_30))
    shop.fill("cohort_retention_gap_sensor")
    assert materialized(shop, MONTHLY_COHORT_RETENTION)[-1] == "2026-10-01"
    shop.arrives(HOUSEHOLD_DAYS, november_30)
    shop.daemon.advance(timedelta(minutes=5))
    assert len(shop.fill("cohort_retention_gap_sensor")) == 1
    assert materialized(shop, MONTHLY_COHORT_RETENTION)[-1] == "2026-11-01"
    expected = figures.cohort_retention(source, "2026-11")
    assert [cohort for cohort, *_ in expected] == ["2026-10", "2026-11"]
    assert rows(shop.told("monthly_cohort_retention/2026-11-01.csv")) == expected
    assert rows(shop.told("monthly_cohort_retention/2026-10-01.csv"))[0][1:3] == (expected[0][1], expected[0][1])
    assert rows(shop.told("monthly_cohort_retention/2025-02-01.csv")) == []


def test_coupons_by_hour_are_exact_also_on_the_day_of_25_hours(shop, source):
    november = days(date(2026, 11, 1), date(2026, 11, 4))
    shop.arrives(RAW_ORDER_LINES, *november)
    shop.fill("coupon_hours_gap_sensor")
    hours = [hour for hour in COMPLETE_HOURS.get_partition_keys(current_time=shop.daemon.now) if hour < "2026-11-05"]
    assert materialized(shop, COUPON_HOURS) == hours
    assert len(hours) == 97
    for hour in hours:
        began = COMPLETE_HOURS.time_window_for_partition_key(hour).start
        name = f"{hour[:10]}/{hour[11:].replace(':', '')}"
        told = rows(shop.told(f"coupon_hours/{name}.csv"))
        assert told == [(*figured, "0") for figured in figures.coupon_hours(source, began)]
    assert shop.daemon.check(COUPON_HOURS.key, "no_match_beyond_the_coupon").passed


def test_a_coupon_that_was_matched_with_more_than_it_was_worth_is_told(shop):
    hour = "2026-11-03-12:00"
    noon = "TIMESTAMPTZ '2026-11-03 17:30:00+00'"
    shop.change(
        f"UPDATE lake.raw.order_lines SET coupon_match_disc = 9, coupon_disc = 1 WHERE transaction_timestamp "
        f"BETWEEN {noon} - INTERVAL 20 MINUTE AND {noon}"
    )
    shop.daemon.launch(COUPON_HOURS.key, partition=hour)
    shop.daemon.execute_runs()
    check = shop.daemon.check(COUPON_HOURS.key, "no_match_beyond_the_coupon")
    assert (check.passed, check.blocking, check.metadata["hours"].value) == (False, False, hour)


@pytest.fixture
def at_noon(shop):
    """Three past noon in New York on 7 December; the hours since 5 December are built, but for the one just over."""
    shop.arrives(RAW_ORDER_LINES, *days(date(2026, 12, 5), date(2026, 12, 7)))
    shop.fill("order_lines_threshold_sensor", looks=1)
    shop.daemon.advance(datetime(2026, 12, 7, 16, 40, tzinfo=UTC) - shop.daemon.now)
    shop.fill("order_lines_threshold_sensor", looks=2)
    shop.fill("coupon_hours_gap_sensor", looks=2)
    shop.daemon.advance(datetime(2026, 12, 7, 17, 3, tzinfo=UTC) - shop.daemon.now)
    return shop


def report_lines(shop, batch, lines):
    metadata = {"batch": batch, "batch_rows": lines}
    key = RAW_ORDER_LINES.key
    shop.daemon.instance.report_runless_asset_event(
        dg.AssetMaterialization(key, partition="2026-12-07", metadata=metadata)
    )


def newly(shop, before):
    return materialized(shop, COUPON_HOURS)[len(before) :]


def test_every_hour_until_now_is_there_once(at_noon):
    hours = COMPLETE_HOURS.get_partition_keys(current_time=at_noon.daemon.now)
    assert hours[-1] == "2026-12-07-11:00"
    assert sorted(materialized(at_noon, COUPON_HOURS)) == [hour for hour in hours[:-1] if hour >= "2026-12-05"]


@pytest.mark.parametrize("first", ["sensor", "schedule"])
def test_a_schedule_and_a_sensor_in_one_look_build_each_hour_once(shop, first):
    """On a fresh platform, whose pools no queue has seen: who comes second sees the run of the first, and waits."""
    daemon = shop.daemon
    daemon.advance(datetime(2026, 12, 7, 17, 5, 1, tzinfo=UTC) - daemon.now)
    report_lines(shop, "b1", 6_000)
    looks = [
        lambda: daemon.tick_sensors("order_lines_threshold_sensor"),
        lambda: daemon.tick_schedules("coupon_hours_hourly_schedule"),
    ]
    (one,), (other,) = [look() for look in (looks if first == "sensor" else reversed(looks))]
    assert (len(one.run_ids), other.run_ids) == (1, ())
    assert other.skip_reason in ("A run builds 2026-12-07-11:00 already.", "Waits for the run that is under way.")
    daemon.execute_runs()
    for _ in range(3):
        daemon.tick_schedules()
        shop.fill("order_lines_threshold_sensor", looks=1)
    hours = [hour for hour in COMPLETE_HOURS.get_partition_keys(current_time=daemon.now) if hour >= "2026-12-07"]
    assert len(hours) == 12
    assert sorted(materialized(shop, COUPON_HOURS)) == hours
    assert [run.job_name for run in daemon.runs()].count(COUPON_HOURS.job) == (1 if first == "sensor" else 2)


def test_even_if_both_runs_are_there_the_work_is_done_once(at_noon):
    shop, before = at_noon, materialized(at_noon, COUPON_HOURS)
    shop.daemon.advance(timedelta(minutes=3))
    for _ in range(2):
        shop.daemon.launch(COUPON_HOURS.key, partition="2026-12-07-11:00", tags={"platform/only-due": "true"})
    assert len(shop.daemon.dequeue()) == 1, "one run at a time"
    assert len(shop.daemon.execute_runs()) == 2
    assert newly(shop, before) == ["2026-12-07-11:00"]


@pytest.mark.parametrize(("lines", "minutes", "asks"), [(4_999, 1, False), (4_999, 11, True), (5_000, 1, True)])
def test_few_lines_gather_until_they_are_worth_a_run_or_have_waited(at_noon, lines, minutes, asks):
    shop = at_noon
    report_lines(shop, "b1", lines - 10)
    shop.daemon.tick_sensors("order_lines_threshold_sensor")
    report_lines(shop, "b2", 10)
    report_lines(shop, "b2", 10)  # a batch tells its lines with each of its days
    shop.daemon.advance(timedelta(minutes=minutes))
    (tick,) = shop.daemon.tick_sensors("order_lines_threshold_sensor")
    assert bool(tick.run_ids) == asks
    if asks:
        shop.daemon.execute_runs()
        shop.daemon.advance(timedelta(minutes=20))
        assert shop.daemon.tick_sensors("order_lines_threshold_sensor")[0].skip_reason == "Nothing new."


def test_an_hour_without_lines_of_its_day_is_skipped_with_the_reason(shop):
    shop.daemon.advance(timedelta(hours=1, minutes=6))
    (tick,) = shop.daemon.tick_schedules("coupon_hours_hourly_schedule")
    assert "no order lines of its day yet" in tick.skip_reason


def test_no_range_of_the_sensor_spans_an_hour_that_failed(at_noon):
    shop, failed = at_noon, "2026-12-07-05:00"
    report_lines(shop, "b1", 6_000)  # the hours of the day are due again
    shop.daemon.launch(COUPON_HOURS.key, partition=failed)
    (run,) = shop.daemon.runs(dg.DagsterRunStatus.QUEUED)
    shop.daemon.instance.report_run_failed(run)
    before, spans = materialized(shop, COUPON_HOURS), []
    for _ in range(3):
        shop.fill("order_lines_threshold_sensor", looks=1)
        spans.append(newly(shop, before))
        before = materialized(shop, COUPON_HOURS)
    hours = [hour for hour in COMPLETE_HOURS.get_partition_keys(current_time=shop.daemon.now) if hour >= "2026-12-07"]
    assert spans == [
        [hour for hour in hours if hour < failed],
        [hour for hour in hours if hour > failed],
        [],
    ]
