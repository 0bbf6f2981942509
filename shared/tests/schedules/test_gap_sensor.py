"""Gaps in a real instance: what the sensor asks for, and what the runs make of it."""

from contextlib import closing
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from platform_shared.partitions import BUSINESS_DAYS, BUSINESS_TIME_ZONE, COMPLETE_DAYS
from platform_shared.postgres import postgres
from platform_shared.schedules import (
    ONLY_DUE_TAGS,
    Input,
    Limits,
    Series,
    build_partitions,
    gap_healing_sensor,
    same_day,
    slots,
)

NOW = datetime(2026, 3, 3, 17, tzinfo=UTC)  # noon in New York
MART, REPORT = dg.AssetKey("mart"), dg.AssetKey("report")
SENSOR = "report_gap_sensor"


class World:
    """What happens while a partition is written, and which ones were, in order."""

    def __init__(self, **limits):
        self.written, self.broken, self.meanwhile = [], set(), lambda key: None
        self.reads_left = None  # reads before the warehouse is away; None for no end
        self.series = Series(
            REPORT,
            "report_job",
            COMPLETE_DAYS,
            (Input(MART, same_day),),
            timedelta(minutes=15),
            Limits(rest=timedelta(0), **limits),
        )

    def read(self, keys):
        if self.reads_left is not None:
            self.reads_left -= 1
            if self.reads_left < 0:
                raise ConnectionError("no warehouse")
        return dict.fromkeys(keys, 1)

    def write(self, key, value):
        if key in self.broken:
            raise RuntimeError(f"no ink on {key}")
        self.meanwhile(key)
        self.written.append(key)
        return {"value": value}

    def location(self):
        @dg.multi_asset(
            specs=[dg.AssetSpec(REPORT, deps=[MART], partitions_def=COMPLETE_DAYS, skippable=True)],
            backfill_policy=dg.BackfillPolicy.single_run(),
            pool="batch_report",
        )
        def report(context: dg.AssetExecutionContext):
            yield from build_partitions(context, self.series, self.read, self.write)

        job = dg.define_asset_job("report_job", [report])
        schedule = dg.build_schedule_from_partitioned_job(
            job,
            name="report_daily_schedule",
            hour_of_day=0,
            minute_of_hour=5,
            tags=dict(ONLY_DUE_TAGS),
            default_status=dg.DefaultScheduleStatus.RUNNING,
        )
        sensor = gap_healing_sensor("batch", self.series)
        mart = dg.AssetSpec(MART, partitions_def=BUSINESS_DAYS)
        return dg.Definitions([report, mart], jobs=[job], schedules=[schedule], sensors=[sensor])


@pytest.fixture
def world():
    return World()


@pytest.fixture
def daemon(world, daemon_harness):
    return daemon_harness({"batch": world.location()}, NOW)


def days(first, number):
    start = datetime.fromisoformat(first)
    return [f"{start + timedelta(days=n):%Y-%m-%d}" for n in range(number)]


def deliver(daemon, *keys):
    for key in keys:
        daemon.report(MART, key)


def heal(daemon, looks=1, **options):
    """Looks of the sensor with their runs executed; the requests of the last look."""
    for _ in range(looks):
        (tick,) = daemon.tick_sensors(SENSOR)
        daemon.execute_runs(**options)
    return tick


def test_what_the_daemon_missed_is_built_once_oldest_first_and_today_is_not_held_up(daemon, world):
    deliver(daemon, *days("2026-02-25", 6))
    heal(daemon)
    assert world.written == days("2026-02-25", 6)

    # The daemon is away from noon of 3 March to six past midnight of 8 March: one tick is left of five.
    deliver(daemon, *days("2026-03-03", 5))
    world.written.clear()
    daemon.advance(datetime(2026, 3, 8, 5, 6, tzinfo=UTC) - daemon.now)
    daemon.tick_schedules()
    daemon.tick_sensors(SENSOR)
    assert [run.tags.get("dagster/partition") for run in daemon.runs()[-2:]] == ["2026-03-07", None]
    daemon.execute_runs()
    assert world.written == ["2026-03-07", *days("2026-03-03", 4)], "today's own run first, then the gaps"
    heal(daemon, looks=3)
    assert len(world.written) == 5
    assert daemon.ticks(SENSOR)[-1].skip_reason == "No gaps."


def test_the_newest_day_is_left_to_the_schedule_for_a_while(daemon, world):
    deliver(daemon, "2026-03-03")
    daemon.advance(datetime(2026, 3, 4, 5, 1, tzinfo=UTC) - daemon.now)
    assert heal(daemon).run_ids == ()
    daemon.advance(timedelta(minutes=15))
    heal(daemon)
    assert world.written == ["2026-03-03"]


def test_a_day_without_its_input_waits_for_it(daemon, world):
    daemon.advance(datetime(2026, 3, 4, 5, 4, tzinfo=UTC) - daemon.now)
    daemon.tick_schedules()
    daemon.advance(timedelta(minutes=2))
    daemon.tick_schedules()
    (run,) = daemon.execute_runs()
    assert (run.tags["dagster/partition"], world.written) == ("2026-03-03", [])
    daemon.advance(timedelta(hours=3))
    deliver(daemon, "2026-03-03")
    heal(daemon)
    assert world.written == ["2026-03-03"]


def test_a_late_change_of_the_input_builds_its_day_again(daemon, world):
    deliver(daemon, *days("2026-02-25", 3))
    heal(daemon)
    world.written.clear()
    deliver(daemon, "2026-02-26")
    heal(daemon, looks=3)
    assert world.written == ["2026-02-26"]


def test_a_change_while_it_is_written_is_not_lost(daemon, world):
    deliver(daemon, *days("2026-02-25", 2))
    changes = ["2026-02-25"]
    world.meanwhile = lambda key: deliver(daemon, *[changes.pop()] if key in changes else [])
    heal(daemon, looks=3)
    assert world.written == ["2026-02-25", "2026-02-26", "2026-02-25"]


def test_what_is_announced_is_newer_than_its_inputs_even_if_the_run_ends_then(daemon, world):
    deliver(daemon, *days("2026-02-25", 2))
    changes = ["2026-02-25"]
    world.meanwhile = lambda key: deliver(daemon, *[changes.pop()] if key in changes else [])
    world.reads_left = 1
    heal(daemon, may_fail=True)
    assert daemon.materialized(REPORT) == ["2026-02-26"], "the other was read before its change"
    world.reads_left = None
    daemon.advance(timedelta(minutes=10))
    heal(daemon)
    assert daemon.materialized(REPORT) == ["2026-02-26", "2026-02-25"]


def test_what_changes_faster_than_it_is_read_is_not_announced(daemon, world):
    deliver(daemon, *days("2026-02-25", 2))
    world.meanwhile = lambda key: deliver(daemon, "2026-02-25") if key == "2026-02-25" else None
    daemon.tick_sensors(SENSOR)
    (run,) = daemon.execute_runs(may_fail=True)
    assert "inputs of 1 partitions change faster than they are read: 2026-02-25" in daemon.run_error(run.run_id)
    assert daemon.materialized(REPORT) == ["2026-02-26"]


def test_one_day_that_cannot_be_built_spoils_no_other_and_is_never_given_up(daemon, world):
    deliver(daemon, *days("2026-02-24", 5))
    world.broken = {"2026-02-25"}
    heal(daemon, may_fail=True)
    assert world.written == ["2026-02-24", *days("2026-02-26", 3)]
    for _ in range(12):
        daemon.advance(timedelta(minutes=30))
        tick = heal(daemon, may_fail=True)
    assert len(daemon.runs(dg.DagsterRunStatus.FAILURE)) == 5
    assert "1 partitions are due" in tick.skip_reason
    assert "tried again: 2026-02-25 after 2026-03-0" in tick.skip_reason
    # The ink is there again; its input stays as it was.
    world.broken = set()
    daemon.advance(timedelta(days=1))
    heal(daemon)
    assert world.written[-1] == "2026-02-25"


def test_a_changed_input_is_tried_at_once(daemon, world):
    deliver(daemon, "2026-02-25")
    world.broken = {"2026-02-25"}
    heal(daemon, may_fail=True)
    assert "2026-02-25 after" in heal(daemon).skip_reason
    world.broken = set()
    deliver(daemon, "2026-02-25")
    heal(daemon)
    assert world.written == ["2026-02-25"]


def test_a_range_that_died_together_is_tried_again_in_halves(daemon, world):
    deliver(daemon, *days("2026-02-23", 6))
    world.reads_left = 0
    heal(daemon, may_fail=True)
    daemon.advance(timedelta(minutes=10))
    world.reads_left = None
    heal(daemon, looks=3)
    assert world.written == days("2026-02-23", 6)
    assert len(daemon.runs()) == 3


def test_a_canceled_run_is_a_try_that_failed(daemon, world):
    deliver(daemon, *days("2026-02-25", 2))
    (tick,) = daemon.tick_sensors(SENSOR)
    daemon.cancel(*tick.run_ids)
    again = heal(daemon)
    assert (again.run_ids, world.written) == ((), [])
    assert "2026-02-25 after 2026-03-03 17:1" in again.skip_reason
    daemon.advance(timedelta(minutes=10))
    heal(daemon, looks=2)
    assert world.written == days("2026-02-25", 2)


def test_runs_are_bounded_and_one_after_another(daemon_harness):
    world = World(per_run=2)
    daemon = daemon_harness({"batch": world.location()}, NOW)
    deliver(daemon, *days("2026-02-20", 5))
    for _ in range(3):
        daemon.tick_sensors(SENSOR)
    assert len(daemon.runs()) == 1, "one in flight"
    daemon.execute_runs()
    heal(daemon, looks=3)
    assert (world.written, len(daemon.runs())) == (days("2026-02-20", 5), 3)


def ask_twice_at_once(daemon):
    """The schedule and the sensor ask for the day that has just ended, in one look of the daemon."""
    daemon.advance(datetime(2026, 3, 4, 5, 4, tzinfo=UTC) - daemon.now)
    daemon.tick_schedules()
    deliver(daemon, "2026-03-03")
    daemon.advance(timedelta(minutes=15))
    ticks = daemon.tick_all()
    assert {tick.name for tick in ticks if tick.run_ids} == {SENSOR, "report_daily_schedule"}


def test_the_schedule_and_the_sensor_ask_for_the_same_at_the_same_moment(daemon, world):
    deliver(daemon, "2026-02-25")
    heal(daemon)  # Dagster knows a pool once its queue has seen a run of it
    world.written.clear()
    ask_twice_at_once(daemon)
    assert len(daemon.dequeue()) == 1, "the pool keeps two runs apart"
    assert len(daemon.execute_runs()) == 2
    assert world.written == ["2026-03-03"]
    assert heal(daemon).run_ids == ()
    assert daemon.materialized(REPORT) == ["2026-02-25", "2026-03-03"]


WAITS_FOR_A_LOCK = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"


@pytest.mark.parametrize("first", ["the schedule's", "the sensor's"])
def test_the_first_runs_ever_of_a_pool_do_the_work_once(daemon, world, first):
    """Their pool does not keep them apart: its limit holds from the next look of the queue on."""
    ask_twice_at_once(daemon)
    runs = daemon.dequeue()
    assert len(runs) == 2, "Dagster limits a pool from the first look on: docs/schedules.md need not speak of a lock"
    by_the_sensor = {run.run_id for run in daemon.runs(tags={"dagster/sensor_name": SENSOR})}
    one, other = sorted(runs, key=lambda run: (run in by_the_sensor) == (first == "the schedule's"))
    beside = []

    def starts_the_other(key):
        """While the one writes; goes on when the other has ended, or waits for the one to end."""
        if not beside:
            beside.append(daemon.execute_beside(other))
            with closing(postgres().connect()) as connection, connection.cursor() as cursor:
                waits = False
                while not waits and not beside[0].done():
                    cursor.execute(WAITS_FOR_A_LOCK)
                    ((waits,),) = cursor.fetchall()

    world.meanwhile = starts_the_other
    daemon.execute(one)
    beside[0].result()
    assert {run.status for run in daemon.runs()} == {dg.DagsterRunStatus.SUCCESS}
    assert (world.written, daemon.materialized(REPORT)) == (["2026-03-03"], ["2026-03-03"])


def test_a_person_builds_what_the_person_chose(daemon, world):
    deliver(daemon, "2026-02-25")
    heal(daemon)
    daemon.launch(REPORT, partition="2026-02-25")
    daemon.execute_runs()
    assert world.written == ["2026-02-25"] * 2


@pytest.fixture
def reads(monkeypatch):
    """The instants at which the sensor has read the partitions."""
    instants = []

    def read(instance, series, now, only=None):
        instants.append(now)
        return slots(instance, series, now, only)

    monkeypatch.setattr("platform_shared.schedules.gap_sensor.slots", read)
    return instants


def test_where_nothing_is_due_and_nothing_is_new_the_partitions_are_not_read_again(daemon, world, reads):
    deliver(daemon, "2026-02-25")
    heal(daemon, looks=2)
    assert len(reads) == 2
    for _ in range(3):
        assert heal(daemon).skip_reason == "No gaps."
    assert len(reads) == 2
    deliver(daemon, "2026-02-26")
    heal(daemon)
    assert (len(reads), world.written) == (3, ["2026-02-25", "2026-02-26"])
    heal(daemon, looks=3)
    assert len(reads) == 4, "the report is new"


@pytest.mark.parametrize("change", ["a day ends", "its records are wiped"])
def test_what_leaves_no_new_record_is_found_too(daemon, world, reads, change):
    """The input of the day that runs is there already; Dagster can wipe an asset."""
    deliver(daemon, "2026-03-02", "2026-03-03")
    heal(daemon, looks=3)
    assert world.written == ["2026-03-02"]
    if change == "a day ends":
        daemon.advance(datetime(2026, 3, 4, 5, 15, tzinfo=UTC) - daemon.now)
        heal(daemon, looks=2)
        assert world.written == ["2026-03-02", "2026-03-03"]
    else:
        daemon.instance.wipe_assets([REPORT])
        heal(daemon)
        assert world.written == ["2026-03-02", "2026-03-02"]


def test_what_is_reserved_or_waits_for_another_try_is_looked_at_each_time(daemon, world, reads):
    deliver(daemon, "2026-02-25")
    world.broken = {"2026-02-25"}
    heal(daemon, looks=4, may_fail=True)
    assert len(reads) == 4


def test_a_name_that_is_added_is_found_at_the_next_look(daemon_harness):
    stores = dg.DynamicPartitionsDefinition(name="stores")
    series = Series(REPORT, "report_job", stores, limits=Limits(rest=timedelta(0)))

    @dg.multi_asset(
        specs=[dg.AssetSpec(REPORT, partitions_def=stores, skippable=True)],
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def report(context: dg.AssetExecutionContext):
        yield from build_partitions(context, series, dict.fromkeys, lambda key, _: {})

    job = dg.define_asset_job("report_job", [report])
    location = dg.Definitions([report], jobs=[job], sensors=[gap_healing_sensor("batch", series)])
    daemon = daemon_harness({"batch": location}, NOW)
    heal(daemon, looks=2)
    daemon.instance.add_dynamic_partitions("stores", ["31"])
    heal(daemon)
    assert daemon.materialized(REPORT) == ["31"]


def test_a_cursor_of_another_version_fails_the_look():
    sensor = gap_healing_sensor("batch", World().series)
    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_sensor_context(instance=instance, cursor='{"version": 0}')
        with pytest.raises(ValueError, match="Clear it"):
            sensor(context)


def failing_schedule(world, failures):
    """A location whose schedule fails this many ticks."""
    defs, left = world.location(), [None] * failures

    @dg.schedule(
        cron_schedule="5 0 * * *",
        target=[REPORT],
        execution_timezone=BUSINESS_TIME_ZONE,
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )
    def fragile_daily_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        if left:
            left.pop()
            raise ConnectionError("nobody answers")
        closed = context.scheduled_execution_time.date() - timedelta(days=1)
        return dg.RunRequest(partition_key=closed.isoformat(), tags=ONLY_DUE_TAGS)

    return dg.Definitions(assets=defs.assets, jobs=defs.jobs, sensors=defs.sensors, schedules=[fragile_daily_schedule])


@pytest.mark.parametrize(("failures", "by_the_schedule"), [(1, True), (3, True), (99, False)])
def test_a_failed_tick_is_not_lost(daemon_harness, world, failures, by_the_schedule):
    """The instance tries a tick three times more; what no tick asked for is a gap."""
    daemon = daemon_harness({"batch": failing_schedule(world, failures)}, datetime(2026, 3, 4, 5, 4, 30, tzinfo=UTC))
    deliver(daemon, "2026-03-03")
    daemon.advance(timedelta(minutes=1))
    for _ in range(6):
        daemon.tick_schedules(may_fail=True)
    assert len(daemon.execute_runs()) == by_the_schedule
    daemon.advance(timedelta(minutes=15))
    heal(daemon, looks=2)
    assert world.written == ["2026-03-03"]
