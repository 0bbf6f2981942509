"""When the schedules tick, on days of 23, 24 and 25 hours: each partition is asked for exactly once."""

import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import dagster as dg
import pytest

from batch.definitions import defs
from platform_shared.contracts import (
    COUPON_USAGE,
    DAILY_SALES,
    HOUSEHOLD_DAYS,
    HOUSEHOLD_SPEND,
    PROMOTION_LIFT,
    RAW_ORDER_LINES,
)
from platform_shared.partitions import BUSINESS_TIME_ZONE, COMPLETE_HOURS
from platform_shared.schedules import Series

SCHEDULES = {
    "store_sales_daily_schedule": "5 0 * * *",
    "promotion_lift_weekly_schedule": "10 0 * * 1",
    "weekly_report_schedule": "20 0 * * 1",
    "cohort_retention_monthly_schedule": "15 0 1 * *",
    "coupon_hours_hourly_schedule": "5 * * * *",
    "segment_model_weekly_schedule": "0 5 * * 1",
    "store_profiles_weekly_schedule": "0 6 * * 1",
    "household_segments_four_hourly_schedule": "0 */4 * * *",
}


def test_every_schedule_is_in_new_york_and_runs():
    schedules = {schedule.name: schedule for schedule in defs().get_repository_def().schedule_defs}
    assert {name: schedule.cron_schedule for name, schedule in schedules.items()} == SCHEDULES
    assert {schedule.execution_timezone for schedule in schedules.values()} == {BUSINESS_TIME_ZONE}
    assert {schedule.default_status for schedule in schedules.values()} == {dg.DefaultScheduleStatus.RUNNING}


@pytest.fixture
def ticking(daemon_harness):
    """Opens a daemon over this location with nothing built, at an instant of UTC."""
    owned = (COUPON_USAGE, DAILY_SALES, HOUSEHOLD_DAYS, HOUSEHOLD_SPEND, PROMOTION_LIFT, RAW_ORDER_LINES)
    others = dg.Definitions([dg.AssetSpec(each.key, partitions_def=each.partitions) for each in owned])
    return lambda instant: daemon_harness(
        {"batch": "batch.definitions", "others": others}, datetime.fromisoformat(instant).replace(tzinfo=UTC)
    )


def asked(daemon, schedule, *, every, times):
    """The partitions that a schedule asks for, while time goes on in steps."""
    for _ in range(times):
        # A tick takes a few seconds of the harness's own clock.
        daemon.advance(every - timedelta(seconds=5))
        daemon.tick_schedules(schedule)
    return [run.tags["dagster/partition"] for run in daemon.runs(tags={"dagster/schedule_name": schedule})]


@pytest.mark.parametrize(
    ("begins", "days"),
    [
        ("2026-10-31T04:06", ["2026-10-31", "2026-11-01", "2026-11-02"]),
        ("2027-03-13T05:06", ["2027-03-13", "2027-03-14", "2027-03-15"]),
    ],
    ids=["25 hours", "23 hours"],
)
def test_each_day_is_asked_for_once(ticking, begins, days):
    daemon = ticking(begins)
    assert asked(daemon, "store_sales_daily_schedule", every=timedelta(hours=6), times=13) == days
    scheduled = [datetime.fromisoformat(run.tags[".dagster/scheduled_execution_time"]) for run in daemon.runs()]
    assert {f"{at.astimezone(ZoneInfo(BUSINESS_TIME_ZONE)):%H:%M}" for at in scheduled} == {"00:05"}


@pytest.mark.parametrize(
    ("begins", "day", "hours"),
    [("2026-11-01T04:04", "2026-11-01", 25), ("2027-03-14T05:04", "2027-03-14", 23)],
)
def test_each_hour_is_asked_for_once(ticking, begins, day, hours):
    daemon = ticking(begins)  # four past midnight
    daemon.report(RAW_ORDER_LINES.key, day)
    found = asked(daemon, "coupon_hours_hourly_schedule", every=timedelta(hours=1), times=hours + 1)
    expected = [key for key in COMPLETE_HOURS.get_partition_keys(current_time=daemon.now) if key.startswith(day)]
    assert len(expected) == hours
    assert Counter(key for key in found if key.startswith(day)) == Counter(expected)


def test_a_week_and_a_month_are_asked_for_when_they_are_over(ticking):
    daemon = ticking("2026-11-30T05:04")  # a Monday, four past midnight; the next day is the first
    partitioned = ("promotion_lift_weekly_schedule", "weekly_report_schedule", "cohort_retention_monthly_schedule")
    for _ in range(8):
        daemon.advance(timedelta(hours=6))
        daemon.tick_schedules(*partitioned)
    assert {run.tags["dagster/schedule_name"]: run.tags["dagster/partition"] for run in daemon.runs()} == {
        "promotion_lift_weekly_schedule": "2026-11-23",
        "weekly_report_schedule": "2026-11-23",
        "cohort_retention_monthly_schedule": "2026-11-01",
    }
    assert len(daemon.runs()) == 3


JOBS = {
    "cohort_retention_job": {"monthly_cohort_retention"},
    "coupon_hours_job": {"coupon_hours"},
    "department_profiles_job": {"department_profiles"},
    "department_sales_job": {"department_sales"},
    "household_segments_job": {"household_segments"},
    "promotion_lift_job": {"weekly_promotion_lift"},
    "sales_report_delivery_job": set(),
    "segment_model_job": {"household_segment_model"},
    "segments_refresh_job": {"household_segment_model", "household_segments"},
    "store_profiles_job": {"store_profiles"},
    "store_sales_job": {"daily_store_sales"},
    "weekly_report_job": {"weekly_report"},
}


def test_every_job_builds_what_it_is_named_for():
    jobs = [job for job in defs().get_repository_def().get_all_jobs() if not job.name.startswith("__")]
    built = {job.name: {key.path[-1] for key in job.asset_layer.selected_asset_keys} for job in jobs}
    assert built == JOBS


def all_series():
    """Every series that a module of this location has, by its asset."""
    defs()
    modules = [module for name, module in sys.modules.items() if name.partition(".")[0] == "batch"]
    found = [value for module in modules for value in vars(module).values() if isinstance(value, Series)]
    return {series.key: series for series in found}


def test_no_two_runs_build_one_series_at_once():
    assets = defs().get_repository_def().assets_defs_by_key
    pools = {key.path[-1]: assets[key].op.pool for key in all_series()}
    assert pools == {name: f"batch_{name}" for name in pools}
    assert len(pools) >= 7


def test_what_no_sensor_fills_is_retried_by_its_run():
    """A failed run of the others is a gap. Stores have both: the weekly run renews what is there. An effect is tried
    again by its op."""
    repository = defs().get_repository_def()
    healed = {
        sensor.name.replace("_gap_sensor", "_job")
        for sensor in repository.sensor_defs
        if sensor.name.endswith("_gap_sensor")
    }
    tries = {name: repository.get_job(name).tags["dagster/max_retries"] for name in JOBS}
    assert tries == {
        name: "0" if name in healed - {"store_profiles_job"} | {"sales_report_delivery_job"} else "2" for name in JOBS
    }


def test_a_name_is_of_a_thing():
    """`daily_store_sales`, not `compute_sales`."""
    verbs = {"build", "calculate", "check", "compute", "create", "fetch", "generate", "get", "load", "make", "process"}
    verbs |= {"read", "refresh", "run", "train", "transform", "update", "write"}
    names = [spec.key.path[-1] for spec in defs().resolve_all_asset_specs()]
    assert [name for name in names if name.split("_")[0] in verbs] == []


def test_every_asset_says_what_it_is_and_whose():
    specs = [spec for spec in defs().resolve_all_asset_specs() if spec.key.path[0] == "reports"]
    assert len(specs) >= 12
    for spec in specs:
        assert (spec.group_name, list(spec.owners)) == ("reports", ["team:batch"]), spec.key
        assert spec.description, spec.key
        assert spec.kinds, spec.key
        assert spec.key.path[-1].islower(), spec.key
