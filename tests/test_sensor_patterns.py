"""What becomes of sensors as documents teach them, in the daemon's own loops, beside the forms that work.

The platform's feeds need none of this: their sensor is `platform_shared.ingestion.feed_sensor`. A team that writes a
sensor of its own finds here what each form really does; docs/patterns has the rows.
"""

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest

from platform_shared.automation import automation_sensor
from platform_shared.testing.daemon import DaemonError, DaemonHarness

NOW = datetime(2026, 3, 4, 15, tzinfo=UTC)
RUNNING = dg.DefaultSensorStatus.RUNNING
SOURCE = dg.AssetKey(["landing", "orders"])
Open = Callable[..., DaemonHarness]
Sensor = Callable[..., Any]


class Source:
    """What a sensor looks at; the test changes it."""

    version = "A"
    away = False

    def look(self) -> str:
        if self.away:
            raise ConnectionError("the source is away")
        return self.version


class Api(dg.ConfigurableResource):
    token: str = "t"


@pytest.fixture
def source() -> Source:
    return Source()


def location(*sensors: dg.SensorDefinition, broken: bool = False, **more: Any) -> dg.Definitions:
    """Two assets with a job each, and what the test adds."""

    @dg.asset
    def orders() -> None:
        if broken:
            raise RuntimeError("the lake is under water")

    @dg.asset
    def customers() -> None: ...

    jobs = [dg.define_asset_job("orders_job", [orders]), dg.define_asset_job("customers_job", [customers])]
    return dg.Definitions([orders, customers], jobs=jobs, sensors=sensors, **more)


def sensor(function: Sensor, **arguments: Any) -> dg.SensorDefinition:
    target = {} if "target" in arguments else {"job_name": "orders_job"}
    return dg.sensor(name="s", default_status=RUNNING, minimum_interval_seconds=5, **target, **arguments)(function)


def look(daemon: DaemonHarness, *, may_fail: bool = False) -> Any:
    (tick,) = daemon.tick_sensors("s", may_fail=may_fail)
    return tick


def of_the_clock(context: dg.SensorEvaluationContext, version: str) -> dg.SensorResult:
    return dg.SensorResult([dg.RunRequest(run_key=f"orders_{time.time_ns()}")])


def of_a_cursor_that_nobody_sets(context: dg.SensorEvaluationContext, version: str) -> dg.SensorResult:
    return dg.SensorResult([dg.RunRequest(run_key=f"orders_{context.cursor}")])


def of_the_version(context: dg.SensorEvaluationContext, version: str) -> dg.SensorResult:
    return dg.SensorResult([dg.RunRequest(run_key=f"orders_{version}")])


def of_the_version_and_a_count(context: dg.SensorEvaluationContext, version: str) -> dg.SensorResult:
    before = json.loads(context.cursor) if context.cursor else {"version": None, "count": 0}
    if before["version"] == version:
        return dg.SensorResult(skip_reason="nothing new")
    count = before["count"] + 1
    requests = [dg.RunRequest(run_key=f"orders_{version}_{count}")]
    return dg.SensorResult(requests, cursor=json.dumps({"version": version, "count": count}))


@pytest.mark.parametrize(
    ("keyed", "runs"),
    [
        pytest.param(of_the_clock, 5, id="the clock: the same work at every tick (A40)"),
        pytest.param(of_a_cursor_that_nobody_sets, 1, id="a cursor that nobody sets: once for ever (B23)"),
        pytest.param(of_the_version, 2, id="the version: what goes back is taken for done (B33)"),
        pytest.param(of_the_version_and_a_count, 3, id="version and count: each change once (A31, A42)"),
    ],
)
def test_what_a_run_key_is_made_of(daemon_harness: Open, source: Source, keyed: Sensor, runs: int) -> None:
    daemon = daemon_harness({"shop": location(sensor(lambda context: keyed(context, source.look())))}, NOW)
    for source.version in ("A", "A", "B", "B", "A"):
        look(daemon)
        daemon.execute_runs()
    assert len(daemon.runs()) == runs


def test_a_failed_run_spends_its_key_and_nobody_asks_again(daemon_harness: Open, source: Source) -> None:
    """A19, A31: the tick is committed before the outcome of its runs is known."""
    of_source = sensor(lambda context: of_the_version_and_a_count(context, source.look()))
    daemon = daemon_harness({"shop": location(of_source, broken=True)}, NOW)
    tick = look(daemon)
    daemon.execute_runs(may_fail=True)
    assert (tick.status, json.loads(tick.cursor)["version"]) == ("SUCCESS", "A")
    assert look(daemon).skip_reason == "nothing new"
    assert [run.status for run in daemon.runs()] == [dg.DagsterRunStatus.FAILURE]


def test_an_error_that_is_swallowed_looks_like_a_quiet_source(daemon_harness: Open, source: Source) -> None:
    """A32, B31: a tick that raises fails, keeps its cursor, and the next one delivers."""

    def swallows(context: dg.SensorEvaluationContext) -> Any:
        try:
            return of_the_version_and_a_count(context, source.look())
        except ConnectionError:
            return dg.SkipReason("connection error")

    daemon = daemon_harness({"shop": location(sensor(swallows))}, NOW)
    source.away = True
    assert look(daemon).status == "SKIPPED"

    raises = sensor(lambda context: of_the_version_and_a_count(context, source.look()))
    daemon.reload(shop=location(raises))
    with pytest.raises(DaemonError, match="the source is away"):
        look(daemon)
    source.away = False
    assert look(daemon).run_keys == ("orders_A_1",)


def test_requests_and_cursor_come_together_or_not_at_all(daemon_harness: Open, source: Source) -> None:
    """B24, B32, A30: nothing of a tick that raises counts; a skip keeps its cursor."""

    def two_tables(context: dg.SensorEvaluationContext) -> Iterator[Any]:
        context.update_cursor("moved")
        yield dg.RunRequest(run_key="orders")
        source.look()
        yield dg.RunRequest(run_key="customers")

    daemon = daemon_harness({"shop": location(sensor(two_tables))}, NOW)
    source.away = True
    assert look(daemon, may_fail=True).status == "FAILURE"
    assert daemon.runs() == []
    source.away = False
    tick = look(daemon)
    assert (tick.run_keys, tick.cursor) == (("orders", "customers"), "moved")

    skips = sensor(lambda context: dg.SensorResult(skip_reason=f"at {context.cursor}", cursor="further"))
    daemon.reload(shop=location(skips))
    assert look(daemon).skip_reason == "at moved"
    assert look(daemon).skip_reason == "at further"


def test_each_branch_asks_for_its_assets(daemon_harness: Open, source: Source) -> None:
    """B25, B24: one sensor, several targets; the selection is of keys."""

    def routes(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        key = {"A": "orders", "B": "customers"}[source.look()]
        return dg.SensorResult([dg.RunRequest(run_key=key, asset_selection=[dg.AssetKey(key)])])

    both = sensor(routes, target=dg.AssetSelection.assets("orders", "customers"))
    daemon = daemon_harness({"shop": location(both)}, NOW)
    asked = []
    for source.version in ("A", "B"):
        asked.append({key.to_user_string() for key, _ in look(daemon).targets})
    daemon.execute_runs()
    assert asked == [{"orders"}, {"customers"}]
    assert daemon.materialized(dg.AssetKey("orders")) == daemon.materialized(dg.AssetKey("customers")) == [None]


def test_a_resource_must_be_declared(daemon_harness: Open) -> None:
    """B08: the context of a unit test has what it is given, the daemon's what the sensor declares."""

    def undeclared(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        return dg.SkipReason(f"token {context.resources.api.token}")

    def declared(context: dg.SensorEvaluationContext, api: Api) -> dg.SkipReason:
        return dg.SkipReason(f"token {api.token}")

    context = dg.build_sensor_context(resources={"api": Api()})
    assert sensor(undeclared)(context).skip_message == "token t"
    daemon = daemon_harness({"shop": location(sensor(undeclared), resources={"api": Api()})}, NOW)
    with pytest.raises(DaemonError, match="Unknown resource `api`"):
        look(daemon)
    daemon.reload(shop=location(sensor(declared), resources={"api": Api()}))
    assert look(daemon).skip_reason == "token t"


def test_an_asset_sensor_has_a_cursor_of_its_own_and_one_event_a_tick(daemon_harness: Open) -> None:
    """B15, B11, B26: what it skips is consumed, and of several events it sees the last; a plain sensor keeps its own
    place."""

    @dg.asset_sensor(asset_key=SOURCE, job_name="orders_job", name="s", default_status=RUNNING)
    def follows(context: dg.SensorEvaluationContext, event: dg.EventLogEntry) -> Any:
        context.update_cursor("mine")
        return dg.SkipReason("too little")

    def pages(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        after = int(context.cursor) if context.cursor else None
        which = dg.AssetRecordsFilter(SOURCE, after_storage_id=after)
        found = context.instance.fetch_materializations(which, limit=100, ascending=True).records
        if len(found) < 3:
            return dg.SensorResult(skip_reason=f"{len(found)} of 3")
        keys = [f"orders:{record.storage_id}" for record in found]
        return dg.SensorResult([dg.RunRequest(run_key=key) for key in keys], cursor=str(found[-1].storage_id))

    daemon = daemon_harness({"shop": location(follows)}, NOW)
    for _ in range(2):
        daemon.report(SOURCE)
    daemon.advance(timedelta(seconds=30))
    tick = look(daemon)
    assert (tick.skip_reason, tick.cursor.isdigit()) == ("too little", True)
    assert look(daemon).skip_reason != "too little"

    daemon.reload(shop=location(sensor(pages)))
    for asked in (0, 0, 3):
        daemon.report(SOURCE)
        assert len(look(daemon).run_keys) == asked
    assert look(daemon).skip_reason == "0 of 3"


def test_a_schedule_and_a_sensor_with_the_same_key_both_run(daemon_harness: Open) -> None:
    """A41: keys are of the instigator. Who must not work twice asks the ledger."""

    @dg.schedule(
        cron_schedule="0 * * * *",
        job_name="orders_job",
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )
    def hourly() -> dg.RunRequest:
        return dg.RunRequest(run_key="orders_A")

    of_source = sensor(lambda context: dg.RunRequest(run_key="orders_A"))
    daemon = daemon_harness({"shop": location(of_source, schedules=[hourly])}, NOW + timedelta(minutes=59, seconds=50))
    look(daemon)
    daemon.advance(timedelta(minutes=1))
    daemon.tick_schedules("hourly")
    assert [run.tags["dagster/run_key"] for run in daemon.runs()] == ["orders_A", "orders_A"]


def test_runs_say_who_asked_for_them(daemon_harness: Open) -> None:
    """A36: what Dagster tags by itself; a sensor adds tags of the business."""
    asks = sensor(lambda context: dg.RunRequest(run_key="1", tags={"platform/feed": "orders"}))
    daemon = daemon_harness({"shop": location(asks)}, NOW)
    look(daemon)
    (run,) = daemon.runs(tags={"platform/feed": "orders"})
    expected = {"dagster/sensor_name": "s", "dagster/run_key": "1", "dagster/code_location": "shop"}
    assert expected.items() <= run.tags.items()
    assert "dagster/tick" in run.tags


def test_an_observation_wakes_nobody_and_a_materialization_does(daemon_harness: Open, source: Source) -> None:
    """B01, B02, B03: an external asset with events, and a running automation sensor."""
    event = {"A": dg.AssetObservation(SOURCE), "B": dg.AssetMaterialization(SOURCE)}
    reports = sensor(lambda context: dg.SensorResult(skip_reason="told", asset_events=[event[source.look()]]))

    @dg.asset(deps=[SOURCE], automation_condition=dg.AutomationCondition.any_deps_updated())
    def follower() -> None: ...

    graph = dg.Definitions([dg.AssetSpec(SOURCE), follower], sensors=[automation_sensor("shop")])
    defs = dg.Definitions.merge(location(reports), graph)
    daemon = daemon_harness({"shop": defs}, NOW)
    asked = []
    for source.version in ("A", "A", "B", "A"):
        look(daemon)
        daemon.tick_automation()
        asked.append(len(daemon.execute_runs()))
    assert asked == [0, 0, 1, 0]
