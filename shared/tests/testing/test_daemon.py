"""The daemon harness does what the daemon does, one tick at a time."""

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from platform_shared import clock
from platform_shared.postgres import URL_VARIABLE, stop_embedded
from platform_shared.settings import Home
from platform_shared.testing.daemon import DaemonError, DaemonHarness

NOW = datetime(2026, 3, 4, 14, 59, 30, tzinfo=UTC)
TABLE = dg.AssetKey(["raw", "table"])
DAYS = dg.DailyPartitionsDefinition("2026-03-01")
RUNNING = dg.DefaultSensorStatus.RUNNING

OpenHarness = Callable[..., DaemonHarness]


class Zoo:
    """A location with one of each instigator; the test sets what they do."""

    def __init__(self) -> None:
        self.run_keys: list[str] = []
        self.sensor_error: Exception | None = None
        self.run_error: Exception | None = None
        self.told: list[str] = []
        self.times: list[datetime] = []

        @dg.asset(key=TABLE, partitions_def=DAYS)
        def table() -> None:
            self.times.append(clock.utc_now())
            if self.run_error:
                raise self.run_error

        job = dg.define_asset_job("table_job", [table])

        @dg.sensor(name="keys", job=job, default_status=RUNNING, minimum_interval_seconds=60)
        def keys(context: dg.SensorEvaluationContext) -> dg.SensorResult:
            if self.sensor_error:
                raise self.sensor_error
            if not self.run_keys:
                return dg.SensorResult(skip_reason="no keys")
            requests = [dg.RunRequest(key, partition_key="2026-03-01") for key in self.run_keys]
            return dg.SensorResult(run_requests=requests, cursor="after")

        @dg.sensor(name="off", job=job)
        def off() -> dg.SkipReason:
            return dg.SkipReason("switched on after all")

        @dg.run_failure_sensor(name="failures", default_status=RUNNING)
        def failures(context: dg.RunFailureSensorContext) -> None:
            self.told.append(context.dagster_run.run_id)

        @dg.schedule(name="hourly", job=job, cron_schedule="0 * * * *", default_status=dg.DefaultScheduleStatus.RUNNING)
        def hourly(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
            return dg.RunRequest(partition_key="2026-03-02", tags={"at": f"{context.scheduled_execution_time:%H:%M}"})

        self.definitions = dg.Definitions([table], jobs=[job], sensors=[keys, off, failures], schedules=[hourly])


@pytest.fixture
def zoo() -> Zoo:
    return Zoo()


@pytest.fixture
def platform(daemon_harness: OpenHarness, zoo: Zoo) -> DaemonHarness:
    return daemon_harness({"zoo": zoo.definitions}, NOW)


def test_a_requested_run_waits_until_the_test_executes_it(platform: DaemonHarness, zoo: Zoo) -> None:
    zoo.run_keys = ["one"]
    (tick,) = platform.tick_sensors("keys")
    assert (tick.location, tick.status, tick.run_keys, tick.cursor) == ("zoo", "SUCCESS", ("one",), "after")
    assert [run.status for run in platform.runs()] == [dg.DagsterRunStatus.QUEUED]
    (run,) = platform.execute_runs()
    assert (run.run_id, run.status) == (tick.run_ids[0], dg.DagsterRunStatus.SUCCESS)
    assert platform.materialized(TABLE) == ["2026-03-01"]


def test_a_run_key_is_spent(platform: DaemonHarness, zoo: Zoo) -> None:
    zoo.run_keys = ["one"]
    platform.tick_sensors("keys")
    platform.execute_runs()
    zoo.run_keys = ["one", "two"]
    platform.tick_sensors("keys")
    assert [tick.run_keys for tick in platform.ticks("keys")] == [("one",), ("one", "two")]
    assert len(platform.runs()) == 2


def test_a_look_ticks_only_sensors_that_are_due(platform: DaemonHarness) -> None:
    assert [tick.name for tick in platform.tick_sensors()] == ["failures", "keys"]
    assert platform.tick_sensors() == []
    platform.advance(timedelta(seconds=60))
    assert "keys" in [tick.name for tick in platform.tick_sensors()]
    before = platform.now
    (tick,) = platform.tick_sensors("keys")
    assert tick.skip_reason == "no keys"
    assert platform.now - before >= timedelta(seconds=55)


def test_a_failed_tick_raises_its_error(platform: DaemonHarness, zoo: Zoo) -> None:
    zoo.sensor_error = ValueError("the folder is away")
    with pytest.raises(DaemonError, match="the folder is away"):
        platform.tick_sensors("keys")
    (tick,) = platform.tick_sensors("keys", may_fail=True)
    assert tick.status == "FAILURE"
    assert "the folder is away" in str(tick.error)


def test_a_failed_run_raises_its_error(platform: DaemonHarness, zoo: Zoo) -> None:
    zoo.run_error = ValueError("line 3 is torn")
    platform.launch(TABLE, partition="2026-03-01")
    with pytest.raises(DaemonError, match="line 3 is torn"):
        platform.execute_runs()


def test_run_status_sensors_hear_of_failures(platform: DaemonHarness, zoo: Zoo) -> None:
    platform.tick_sensors("failures")
    zoo.run_error = ValueError("broken")
    run_id = platform.launch(TABLE, partition="2026-03-01")
    platform.execute_runs(may_fail=True)
    platform.tick_sensors("failures")
    assert zoo.told == [run_id]


def test_retries_come_from_the_instance_as_the_tag_grants(platform: DaemonHarness, zoo: Zoo) -> None:
    zoo.run_error = ValueError("broken")
    platform.launch(TABLE, partition="2026-03-01", tags={"dagster/max_retries": "1"})
    platform.execute_runs(may_fail=True)
    assert len(platform.tick_retries()) == 1
    platform.execute_runs(may_fail=True)
    assert platform.tick_retries() == []
    assert len(platform.runs(dg.DagsterRunStatus.FAILURE)) == 2


def test_a_schedule_ticks_at_its_time_and_never_catches_up(platform: DaemonHarness) -> None:
    assert platform.tick_schedules() == []
    platform.advance(timedelta(hours=3))
    platform.tick_schedules()
    assert [run.tags["at"] for run in platform.runs()] == ["17:00"]


def test_instigators_are_switched_by_name(platform: DaemonHarness) -> None:
    with pytest.raises(DaemonError, match="no running sensor 'off'"):
        platform.tick_sensors("off")
    platform.start("off")
    assert platform.tick_sensors("off")[0].skip_reason == "switched on after all"
    platform.stop("hourly")
    platform.advance(timedelta(hours=1))
    assert platform.tick_schedules() == []


def test_the_limits_of_the_queue_hold(platform: DaemonHarness) -> None:
    for day in range(1, 5):
        platform.launch(TABLE, partition=f"2026-03-0{day}", tags={"platform/location": "zoo"})
    assert len(platform.dequeue()) == 3
    assert len(platform.execute_runs()) == 4


def test_a_canceled_run_and_a_lost_one_never_end(platform: DaemonHarness) -> None:
    canceled, lost, started = (platform.launch(TABLE, partition=f"2026-03-0{day}") for day in (1, 2, 3))
    platform.cancel(canceled)
    platform.lose(lost)
    platform.cancel(started)
    assert platform.execute_runs() == []
    status = {run.run_id: run.status.value for run in platform.runs()}
    assert status == {canceled: "CANCELED", lost: "STARTED", started: "CANCELED"}


def test_a_backfill_by_hand_builds_its_partitions(platform: DaemonHarness) -> None:
    platform.stop("hourly")
    platform.backfill(TABLE, partitions=["2026-03-01", "2026-03-03"])
    platform.run_until_quiet()
    assert sorted(map(str, platform.materialized(TABLE))) == ["2026-03-01", "2026-03-03"]
    assert [backfill.status.value for backfill in platform.backfills()] == ["COMPLETED_SUCCESS"]


def test_a_platform_that_never_rests_is_told(daemon_harness: OpenHarness) -> None:
    @dg.asset
    def table() -> None: ...

    @dg.sensor(target=[table], default_status=RUNNING, minimum_interval_seconds=1)
    def restless() -> dg.RunRequest:
        return dg.RunRequest()

    platform = daemon_harness({"lab": dg.Definitions([table], sensors=[restless])}, NOW)
    with pytest.raises(DaemonError, match="Not quiet after 3 rounds"):
        platform.run_until_quiet(max_rounds=3)


def test_a_reload_brings_new_code_and_keeps_what_happened(platform: DaemonHarness, zoo: Zoo) -> None:
    zoo.run_keys = ["one"]
    platform.tick_sensors("keys")
    newer = Zoo()
    newer.run_keys, newer.run_error = ["one", "two"], ValueError("the new code")
    platform.reload(zoo=newer.definitions)
    platform.tick_sensors("keys")
    assert len(platform.runs()) == 2
    with pytest.raises(DaemonError, match="the new code"):
        platform.execute_runs()


def test_a_location_that_does_not_load_is_told(daemon_harness: OpenHarness) -> None:
    with pytest.raises(DaemonError, match=r"(?s)Location gone does not load.*no_such_module"):
        daemon_harness({"gone": "no_such_module"}, NOW)


def test_all_clocks_stand_still_and_are_given_back(platform_home: Home, zoo: Zoo) -> None:
    with DaemonHarness({"zoo": zoo.definitions}, platform_home, NOW) as platform:
        platform.launch(TABLE, partition="2026-03-01")
        platform.execute_runs()
        (record,) = platform.materializations(TABLE)
        assert zoo.times == [NOW]
        assert datetime.fromtimestamp(record.timestamp, UTC) == NOW
        assert clock.utc_now() == platform.now == NOW + timedelta(seconds=1)
        with pytest.raises(ValueError, match="backwards"):
            platform.advance(timedelta(seconds=-1))
    assert abs(clock.utc_now() - datetime.now(UTC)) < timedelta(minutes=1)


def test_sensors_of_one_name_in_two_locations_both_tick(daemon_harness: OpenHarness) -> None:
    platform = daemon_harness({"one": Zoo().definitions, "two": Zoo().definitions}, NOW)
    assert [(tick.location, tick.name) for tick in platform.tick_sensors("keys")] == [("one", "keys"), ("two", "keys")]


def test_a_home_without_a_server_gets_its_own_and_the_environment_is_given_back(
    tmp_path: Path, zoo: Zoo, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (URL_VARIABLE, "PLATFORM_HOME", "DAGSTER_HOME"):
        monkeypatch.delenv(name, raising=False)
    home = Home(tmp_path)
    try:
        with DaemonHarness({"zoo": zoo.definitions}, home, NOW) as platform:
            assert os.environ["DAGSTER_HOME"] == str(home.dagster)
            assert platform.tick_sensors("keys")[0].status == "SKIPPED"
    finally:
        assert stop_embedded(home)
    assert "DAGSTER_HOME" not in os.environ
