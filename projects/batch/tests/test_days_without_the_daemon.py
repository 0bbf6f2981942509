"""The daemon was away for four days: each partition that was due meanwhile is built once, oldest first, and today's
work is not held up; also if the daemon is killed on the way, again and again."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count

import dagster as dg
import pytest

from batch.defs.sales_report import sales_report
from batch.series import COUPON_HOURS
from platform_shared.contracts import COUPON_USAGE, RAW_ORDER_LINES
from platform_shared.partitions import COMPLETE_MONTHS, COMPLETE_WEEKS
from platform_shared.schedules import slots
from platform_shared.schedules.gap_sensor import HEALS_TAG

from .conftest import MARTS, Shop
from .test_schedule_ticks import all_series

pytestmark = pytest.mark.timeout(600)

STOPPED = datetime(2026, 11, 27, 5, 20, tzinfo=UTC)
"""Twenty past midnight in New York, on a Friday."""
STARTED = STOPPED + timedelta(days=4)
"""The same on Tuesday, 1 December: four days, 96 hours, a week and a month are over."""
TODAY = "2026-12-01"
"""The lines of the night have come."""
SERIES = [series for series in all_series().values() if series.inputs]
FIRST_DAY = "2026-11-09"
FIRST = {COMPLETE_WEEKS: "2026-11-16", COMPLETE_MONTHS: "2025-02-01"}
"""The oldest partition whose inputs are there; of days and hours, those of the first day. The page of a week reads the
week before, too, and months read all days."""


def over(series, now):
    """The partitions of a series that are over, and have their inputs."""
    first = FIRST.get(series.partitions, FIRST_DAY)
    return [key for key in series.partitions.get_partition_keys(current_time=now) if key >= first]


class Platform:
    """The daemon, and when what was asked for, started and was built."""

    def __init__(self, daemon):
        self.daemon, self._delivered = daemon, set()

    def deliver(self, now):
        """All inputs of what is over, oldest first."""
        read = {
            (each.key, part)
            for series in SERIES
            for key in over(series, now)
            for each in series.inputs
            for part in each.reads(key)
        }
        for key, part in sorted(read - self._delivered, key=lambda found: (found[1] or "", found[0])):
            self.daemon.report(key, part)
        self._delivered |= read

    def look(self):
        """Sensors and schedules; what no condition asks for."""
        return [*self.daemon.tick_sensors(), *self.daemon.tick_schedules()]

    def settle(self):
        """Looks and runs in turn, until nothing has been asked for within half an hour, nor is an hour just over."""
        idle = 0
        while True:
            self.look()
            idle = 0 if self.daemon.execute_runs() else idle + 1
            if idle >= 3 and self.daemon.now.minute >= 10:
                return
            self.daemon.advance(timedelta(minutes=11) if idle else timedelta(minutes=1))

    def built(self):
        """How often each partition of each series was built."""
        return {series.job: Counter(self.daemon.materialized(series.key)) for series in SERIES}

    def due(self):
        """Partitions that are due and that no run is to build."""
        found = [slot for series in SERIES for slot in slots(self.daemon.instance, series, self.daemon.now)]
        return [slot for slot in found if slot.is_due]

    def started(self):
        """Runs in the order in which they started."""
        records = self.daemon.instance.fetch_run_status_changes(
            dg.DagsterEventType.RUN_START, limit=1000, ascending=True
        ).records
        return [record.event_log_entry.run_id for record in records]

    def healed(self, series):
        """What runs that fill gaps have built of a series, in order."""
        healing = {run.run_id for run in self.daemon.runs(tags={HEALS_TAG: series.job})}
        found = self.daemon.materializations(series.key)
        return [record.partition_key for record in found if record.event_log_entry.run_id in healing]


@pytest.fixture
def platform(daemon_harness, platform_home, source, monkeypatch):
    """The daemon starts again; all was built when it stopped, and the inputs of four days have come since."""
    owned = [dg.AssetSpec(contract.key, partitions_def=contract.partitions) for contract in (*MARTS, COUPON_USAGE)]
    daemon = daemon_harness({"batch": "batch.definitions", "others": dg.Definitions(owned)}, STOPPED)
    Shop(daemon, platform_home, source)
    platform = Platform(daemon)
    platform.deliver(STOPPED)
    for series in SERIES:
        for key in over(series, STOPPED):
            daemon.report(series.key, key)
    assert platform.due() == []
    # Hundreds of stores, which no clock makes due.
    daemon.stop("daily_sales_stores_sensor")
    daemon.advance(STARTED - daemon.now)
    platform.deliver(STARTED)
    daemon.report(RAW_ORDER_LINES.key, TODAY)
    # So that four days are several runs of each series.
    for series in SERIES:
        per_run = 30 if series is COUPON_HOURS else 2
        monkeypatch.setitem(vars(series), "limits", replace(series.limits, per_run=per_run, rest=timedelta(0)))
    daemon.reload()
    return platform


def all_of(platform):
    """Each partition that is over by now, once."""
    return {series.job: Counter(over(series, platform.daemon.now)) for series in SERIES}


TODAYS = {
    "store_sales_daily_schedule",
    "promotion_lift_weekly_schedule",
    "weekly_report_schedule",
    "cohort_retention_monthly_schedule",
}
GAP_SENSORS = [f"{series.job.removesuffix('_job')}_gap_sensor" for series in SERIES]


def test_all_that_was_due_is_built_once_oldest_first_and_todays_work_is_not_held_up(platform):
    daemon = platform.daemon
    platform.look()
    urgent = daemon.launch(sales_report.key, tags={"dagster/priority": "10"})
    asked = daemon.runs()
    healing = [run.run_id for run in asked if HEALS_TAG in run.tags]
    scheduled = {run.tags["dagster/schedule_name"]: run.run_id for run in asked if "dagster/schedule_name" in run.tags}
    # The month has just ended, and is its schedule's for half an hour.
    assert {run.tags.get(HEALS_TAG) for run in asked} - {None} == {s.job for s in SERIES} - {"cohort_retention_job"}
    assert scheduled.keys() == TODAYS
    daemon.execute_runs(limit=len(asked))
    started = platform.started()
    assert started[0] == urgent
    assert max(map(started.index, scheduled.values())) < min(map(started.index, healing))

    # Healing goes on. Runs of it are at work when it is five past one.
    daemon.advance(datetime(2026, 12, 1, 6, 5, 1, tzinfo=UTC) - daemon.now)
    daemon.tick_sensors(*GAP_SENSORS)
    at_work = daemon.dequeue()
    (hour,) = daemon.tick_schedules("coupon_hours_hourly_schedule")
    urgent = daemon.launch(sales_report.key, tags={"dagster/priority": "10"})
    for _ in range(2):
        daemon.tick_sensors(*GAP_SENSORS)
    before = len(platform.started())
    daemon.execute_runs(limit=len(at_work) + 2)
    assert platform.started()[before:] == [*at_work, urgent, *hour.run_ids]
    assert platform.due(), "healing goes on"

    platform.settle()
    assert platform.built() == all_of(platform)
    for series in SERIES:
        rows = [series.row(key) for key in platform.healed(series)]
        assert rows == sorted(rows), "oldest first"


WRITES = ("create_run", "submit_run", "create_tick", "update_tick", "add_instigator_state", "update_instigator_state")
"""What the daemon's sensors and schedules write."""


def killed_at(write, monkeypatch, step):
    """Whether the daemon came as far as this of its writes, and was killed: neither this nor a later one is made."""
    writes = count(1)

    def dying(method):
        def die(*arguments, **options):
            if next(writes) >= write:
                raise KeyboardInterrupt
            return method(*arguments, **options)

        return die

    with monkeypatch.context() as patched:
        for name in WRITES:
            patched.setattr(dg.DagsterInstance, name, dying(getattr(dg.DagsterInstance, name)))
        try:
            step()
        except KeyboardInterrupt:
            return True
    return False


def test_a_daemon_that_is_killed_again_and_again_builds_nothing_twice_and_leaves_nothing_out(platform, monkeypatch):
    daemon, kills = platform.daemon, 0
    for write in range(1, 60, 9):
        kills += killed_at(write, monkeypatch, platform.look)
        daemon.reload()
        daemon.execute_runs(limit=1)
        daemon.advance(timedelta(minutes=1))
    assert kills >= 5
    platform.settle()
    assert platform.due() == []
    assert platform.built() == all_of(platform)
