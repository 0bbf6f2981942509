"""Schedules and sensors on assets as documents teach them, in the daemon's own loops, beside the forms that work.

What the retailer's own schedules do is tested where they are; docs/patterns has the rows.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest

from platform_shared.sensors import materializations_after
from platform_shared.testing.daemon import DaemonHarness

NOW = datetime(2026, 3, 4, 15, 59, 30, tzinfo=UTC)
RAW = dg.AssetKey("raw")
RUNNING = dg.DefaultSensorStatus.RUNNING
Open = Callable[..., DaemonHarness]


@dg.op(config_schema={"path": str})
def read(context: dg.OpExecutionContext) -> None: ...


@dg.job
def read_job() -> None:
    read()


def config(path: Any) -> dict[str, Any]:
    return {"ops": {"read": {"config": {"path": path}}}}


def look(daemon: DaemonHarness, **options: Any) -> Any:
    (tick,) = daemon.tick_sensors("s", **options)
    return tick


def asked(daemon: DaemonHarness) -> list[str]:
    return [run.run_config["ops"]["read"]["config"]["path"] for run in daemon.runs()]


def report(daemon: DaemonHarness, *paths: str) -> None:
    for path in paths:
        daemon.instance.report_runless_asset_event(dg.AssetMaterialization(RAW, metadata={"path": path}))


def test_a_run_key_of_a_schedule_holds_within_a_tick(daemon_harness: Open) -> None:
    """A08: the same key at the next tick is another run. What must not be done twice says so by its partition."""

    @dg.schedule(
        job=read_job,
        cron_schedule="0 * * * *",
        execution_timezone="America/New_York",
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )
    def hourly(context: dg.ScheduleEvaluationContext) -> list[dg.RunRequest]:
        day = context.scheduled_execution_time.date().isoformat()
        return [dg.RunRequest(run_key=day, run_config=config(day))]

    daemon = daemon_harness({"shop": dg.Definitions(jobs=[read_job], schedules=[hourly])}, NOW)
    for _ in range(2):
        daemon.advance(timedelta(hours=1))
        daemon.tick_schedules()
    assert asked(daemon) == ["2026-03-04", "2026-03-04"]


def test_an_asset_sensor_sees_the_newest_event_of_a_tick_and_pages_see_all(daemon_harness: Open) -> None:
    """A20, A22, A23, A24: bounded, in order, with a key of the event."""

    @dg.asset_sensor(asset_key=RAW, job=read_job, name="s", default_status=RUNNING, minimum_interval_seconds=5)
    def newest(context: dg.SensorEvaluationContext, event: dg.EventLogEntry) -> dg.RunRequest:
        assert event.asset_materialization is not None
        path = event.asset_materialization.metadata["path"].value
        return dg.RunRequest(run_key=str(path), run_config=config(path))

    @dg.sensor(job=read_job, name="s", default_status=RUNNING, minimum_interval_seconds=5)
    def every(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        after = int(context.cursor) if context.cursor else None
        page = materializations_after(context.instance, RAW, after, limit=2)
        if not page:
            return dg.SensorResult(skip_reason="nothing new")
        paths = [event.metadata["path"].value for record in page if (event := record.asset_materialization)]
        requests = [
            dg.RunRequest(run_key=f"raw:{record.storage_id}", run_config=config(path))
            for record, path in zip(page, paths, strict=True)
        ]
        return dg.SensorResult(requests, cursor=str(page[-1].storage_id))

    definitions = {sensor: dg.Definitions(jobs=[read_job], sensors=[sensor]) for sensor in (newest, every)}
    daemon = daemon_harness({"shop": definitions[newest]}, NOW)
    report(daemon, "a", "b", "c")
    look(daemon)
    assert asked(daemon) == ["c"], "two of three are lost"

    daemon.reload(other=definitions[every], shop=dg.Definitions())
    assert [len(look(daemon).run_ids) for _ in range(3)] == [2, 1, 0]
    assert asked(daemon)[1:] == ["a", "b", "c"]
    report(daemon, "a")
    assert len(look(daemon).run_ids) == 1, "the same path once more is another event"


def test_tables_keep_a_place_each_and_one_that_is_away_holds_up_none(daemon_harness: Open) -> None:
    """B44, B45, B46: what fails keeps its place and is named in the tick; if all fail, the tick does."""
    versions: dict[str, int | None] = {"orders": 1, "customers": 1}

    @dg.sensor(job=read_job, name="s", default_status=RUNNING, minimum_interval_seconds=5)
    def tables(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        places: dict[str, int] = json.loads(context.cursor) if context.cursor else {}
        away = sorted(table for table, version in versions.items() if version is None)
        if len(away) == len(versions):
            raise ConnectionError(f"all are away: {away}")
        changed = {table: v for table, v in versions.items() if v is not None and places.get(table) != v}
        for table in away:
            context.log.warning(f"{table} is away; its place stays")
        requests = [
            dg.RunRequest(run_key=f"{table}:{version}", run_config=config(f"{table}:{version}"))
            for table, version in changed.items()
        ]
        why = f"nothing new; away: {', '.join(away) or 'none'}"
        cursor = json.dumps({**places, **changed}, sort_keys=True)
        return dg.SensorResult(requests, skip_reason=None if requests else why, cursor=cursor)

    daemon = daemon_harness({"shop": dg.Definitions(jobs=[read_job], sensors=[tables])}, NOW)
    look(daemon)
    versions.update(orders=None, customers=2)
    look(daemon)
    assert look(daemon).skip_reason == "nothing new; away: orders"
    versions.update(customers=None)
    assert look(daemon, may_fail=True).status == "FAILURE"
    versions.update(orders=2, customers=2)
    assert json.loads(look(daemon).cursor) == {"customers": 2, "orders": 2}
    assert asked(daemon) == ["orders:1", "customers:1", "customers:2", "orders:2"]


@pytest.mark.parametrize(
    ("new", "job", "paths"),
    [(2, "read_job", ["0", "1"]), (9, "read_all_job", ["all"])],
    ids=["a few: one by one", "many: all at once"],
)
def test_a_sensor_that_chooses_between_what_is_new_and_all_of_it(
    daemon_harness: Open, new: int, job: str, paths: list[str]
) -> None:
    """Dynamic routing: beyond a number of changes, one full run is cheaper than one run each."""

    @dg.job
    def read_all_job() -> None:
        read()

    @dg.sensor(jobs=[read_job, read_all_job], name="s", default_status=RUNNING, minimum_interval_seconds=5)
    def routes(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        after = int(context.cursor) if context.cursor else None
        page = materializations_after(context.instance, RAW, after, limit=100)
        if not page:
            return dg.SensorResult(skip_reason="nothing new")
        last = page[-1].storage_id
        if len(page) > 5:
            requests = [dg.RunRequest(run_key=f"all:{last}", job_name="read_all_job", run_config=config("all"))]
        else:
            requests = [
                dg.RunRequest(
                    run_key=f"raw:{record.storage_id}",
                    job_name="read_job",
                    run_config=config(record.asset_materialization.metadata["path"].value),
                )
                for record in page
                if record.asset_materialization
            ]
        return dg.SensorResult(requests, cursor=str(last))

    daemon = daemon_harness({"shop": dg.Definitions(jobs=[read_job, read_all_job], sensors=[routes])}, NOW)
    report(daemon, *map(str, range(new)))
    look(daemon)
    daemon.execute_runs()
    assert ({run.job_name for run in daemon.runs()}, asked(daemon)) == ({job}, paths)
    assert look(daemon).run_ids == ()
