"""Business hours, days, weeks and months, on days of 23, 24 and 25 hours."""

from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from platform_shared.partitions import (
    BUSINESS_DAYS,
    COMPLETE_DAYS,
    COMPLETE_HOURS,
    COMPLETE_MONTHS,
    COMPLETE_WEEKS,
    business_days_of,
)

NOW = datetime(2027, 4, 5, 14, 30, tzinfo=UTC)  # a Monday, 10:30 in New York


@pytest.mark.parametrize(
    ("partitions", "newest"),
    [
        (BUSINESS_DAYS, "2027-04-05"),
        (COMPLETE_DAYS, "2027-04-04"),
        (COMPLETE_WEEKS, "2027-03-29"),
        (COMPLETE_MONTHS, "2027-03-01"),
        (COMPLETE_HOURS, "2027-04-05-09:00"),
    ],
)
def test_the_newest_partition_is_the_last_that_is_over_but_for_business_days(partitions, newest):
    assert partitions.get_partition_keys(current_time=NOW)[-1] == newest


@pytest.mark.parametrize(
    ("minutes", "newest"), [(0, "2027-04-04"), (-1, "2027-04-03")], ids=["midnight", "a minute before"]
)
def test_a_day_is_over_at_midnight_in_new_york(minutes, newest):
    midnight = datetime(2027, 4, 5, 4, tzinfo=UTC) + timedelta(minutes=minutes)
    assert COMPLETE_DAYS.get_partition_keys(current_time=midnight)[-1] == newest


@pytest.mark.parametrize(("day", "hours"), [("2026-11-01", 25), ("2026-11-02", 24), ("2027-03-14", 23)])
def test_a_day_has_23_to_25_hours_each_with_a_key_of_its_own(day, hours):
    keys = [key for key in COMPLETE_HOURS.get_partition_keys(current_time=NOW) if key.startswith(day)]
    assert len({*keys}) == hours
    windows = [COMPLETE_HOURS.time_window_for_partition_key(key) for key in keys]
    assert {window.end.timestamp() - window.start.timestamp() for window in windows} == {3600}
    assert [w.end for w in windows[:-1]] == [w.start for w in windows[1:]]
    assert {business_days_of(COMPLETE_HOURS, key) for key in keys} == {(day,)}


def test_weeks_are_seven_days_from_monday_and_months_are_calendar_months():
    assert business_days_of(COMPLETE_DAYS, "2027-03-14") == ("2027-03-14",)
    week = business_days_of(COMPLETE_WEEKS, "2027-03-08")
    assert (len(week), week[0], week[-1]) == (7, "2027-03-08", "2027-03-14")
    month = business_days_of(COMPLETE_MONTHS, "2027-02-01")
    assert (len(month), month[0], month[-1]) == (28, "2027-02-01", "2027-02-28")


@pytest.mark.parametrize("partitions", [COMPLETE_DAYS, COMPLETE_WEEKS, COMPLETE_MONTHS])
def test_the_first_partition_is_whole(partitions):
    days = {*BUSINESS_DAYS.get_partition_keys(current_time=NOW)}
    assert {*business_days_of(partitions, partitions.get_partition_keys(current_time=NOW)[0])} <= days


@pytest.mark.parametrize("partitions", [COMPLETE_DAYS, COMPLETE_WEEKS, COMPLETE_MONTHS])
def test_dagsters_own_mapping_reads_the_same_days(partitions):
    """What conditions wait for is what the reports read."""
    mapping = dg.TimeWindowPartitionMapping()
    for key in partitions.get_partition_keys(current_time=datetime(2026, 4, 6, tzinfo=UTC))[-3:]:
        subset = partitions.subset_with_partition_keys([key])
        found = mapping.get_upstream_mapped_partitions_result_for_partitions(subset, partitions, BUSINESS_DAYS)
        assert tuple(found.partitions_subset.get_partition_keys()) == business_days_of(partitions, key)


@pytest.mark.parametrize("partitions", [BUSINESS_DAYS, COMPLETE_HOURS])
def test_a_start_need_not_move_for_ten_years(partitions):
    """Dagster advises 100,000 partitions of an asset at most."""
    first, *_ = partitions.get_partition_keys(current_time=NOW)
    ten_years_later = partitions.time_window_for_partition_key(first).start + timedelta(days=3653)
    assert len(partitions.get_partition_keys(current_time=ten_years_later)) < 100_000
