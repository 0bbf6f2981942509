"""The event log: what is written is seen in order and whole, and the status of partitions forgets nothing."""

import asyncio
import inspect
import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

import dagster as dg
import pytest
from dagster._core.asset_graph_view.asset_graph_view import AssetGraphView
from dagster._core.events import AssetMaterializationPlannedData, DagsterEvent
from dagster_postgres import PostgresEventLogStorage, PostgresRunStorage, PostgresScheduleStorage
from sqlalchemy import text
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from platform_shared import event_log
from platform_shared.instance import PlatformPostgresStorage
from platform_shared.postgres import DAGSTER_SCHEMA, postgres
from platform_shared.settings import Home
from platform_shared.together import written_together

DAYS = dg.DailyPartitionsDefinition("2026-01-01", end_date="2026-01-11")
SALES, STORES = dg.AssetKey("sales"), dg.AssetKey("stores")
SETTINGS = "storage: {custom: {module: %s, class: %s, config: {}}}\ntelemetry: {enabled: false}\n"


class StockEventLog(PlatformPostgresStorage):
    """The platform's storage with the event log as dagster-postgres has it."""

    @property
    def event_log_storage(self) -> Any:
        return self._event_log_storage


@pytest.fixture
def instance(platform_home: Home) -> Iterator[dg.DagsterInstance]:
    with opened(platform_home, PlatformPostgresStorage) as instance:
        yield instance


@pytest.fixture
def stock(platform_home: Home) -> Iterator[dg.DagsterInstance]:
    with opened(platform_home, StockEventLog) as instance:
        yield instance


@contextmanager
def opened(home: Home, storage: type[PlatformPostgresStorage]) -> Iterator[dg.DagsterInstance]:
    home.dagster.mkdir(exist_ok=True)
    (home.dagster / "dagster.yaml").write_text(SETTINGS % (storage.__module__, storage.__name__))
    with dg.DagsterInstance.get() as instance:
        yield instance


@contextmanager
def session(home: Home) -> Iterator[Any]:
    """A session of its own in Dagster's schema, each statement committed."""
    connection = postgres(home).connect()
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(f"SET search_path = {DAGSTER_SCHEMA}")
            yield cursor
    finally:
        connection.close()


def materialized(instance: dg.DagsterInstance, asset: dg.AssetKey, *days: str) -> None:
    for day in days or (None,):
        instance.report_runless_asset_event(dg.AssetMaterialization(asset, partition=day))


def planned(instance: dg.DagsterInstance, asset: dg.AssetKey, day: str) -> None:
    data = AssetMaterializationPlannedData(asset, partition=day)
    event = DagsterEvent.build_asset_materialization_planned_event("sales_job", "sales", data)
    instance.report_dagster_event(event, run_id=dg.DagsterRun("sales_job").run_id)


def newest(instance: dg.DagsterInstance, asset: dg.AssetKey) -> int | None:
    (record,) = instance.get_asset_records([asset])
    return record.asset_entry.last_materialization_storage_id


# --- the status of partitions


def missing(view: AssetGraphView) -> set[str]:
    subset = asyncio.run(view.compute_missing_subset(key=SALES, from_subset=view.get_full_subset(key=SALES)))
    return set(subset.expensively_compute_partition_keys())


def look(instance: dg.DagsterInstance, meanwhile: Callable[[], None]) -> set[str]:
    """The missing days, as one look of an automation sensor sees them; `meanwhile` happens after its first query."""

    @dg.asset(key=SALES, partitions_def=DAYS)
    def sales() -> None: ...

    view = AssetGraphView.for_test(dg.Definitions([sales]), instance)
    view.get_inner_queryer_for_back_compat().prefetch_asset_records([SALES])
    meanwhile()
    return missing(view)


def days_lost(instance: dg.DagsterInstance) -> set[str]:
    """Built while a look is at work, in which another run of the asset is planned: what later looks miss."""
    materialized(instance, SALES, "2026-01-01")
    look(instance, lambda: None)

    def meanwhile() -> None:
        materialized(instance, SALES, "2026-01-02", "2026-01-03", "2026-01-04")
        planned(instance, SALES, "2026-01-05")

    look(instance, meanwhile)
    materialized(instance, SALES, "2026-01-05")
    built = instance.get_materialized_partitions(SALES)
    return look(instance, lambda: None) & built


def test_days_built_during_a_look_are_not_taken_for_missing_ever_after(instance: dg.DagsterInstance):
    assert days_lost(instance) == set()


def test_dagsters_own_event_log_loses_them(stock: dg.DagsterInstance):
    # Once this fails, Dagster has mended it, and three methods of PlatformEventLogStorage can go.
    assert days_lost(stock) == {"2026-01-02", "2026-01-03", "2026-01-04"}


def test_a_look_that_read_all_keeps_what_it_read(instance: dg.DagsterInstance, platform_home: Home):
    materialized(instance, SALES, "2026-01-01")
    look(instance, lambda: None)
    materialized(instance, SALES, "2026-01-02")
    assert len(look(instance, lambda: None)) == 8
    (record,) = instance.get_asset_records([SALES])
    assert record.asset_entry.cached_status.latest_storage_id == newest(instance, SALES)


# --- order


@contextmanager
def stuck_writer(instance: dg.DagsterInstance, home: Home) -> Iterator["Future[None]"]:
    """Somebody who has written an event of `sales` and waits to say so in the asset's row; goes on at the end."""
    materialized(instance, SALES)
    with session(home) as other, ThreadPoolExecutor(1) as pool:
        other.execute("BEGIN")
        other.execute("SELECT 1 FROM asset_keys WHERE asset_key = %s FOR UPDATE", (SALES.to_string(),))
        writer = pool.submit(materialized, instance, SALES)
        try:
            with session(home) as watching:
                until(lambda: waiting(watching, "transactionid") == 1)
            yield writer
        finally:
            other.execute("COMMIT")
            writer.result(timeout=30)


def waiting(cursor: Any, kind: str) -> int:
    """How many sessions wait for a lock of this kind."""
    cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = %s", (kind,))
    return int(cursor.fetchone()[0])


def events(cursor: Any) -> int:
    """How many materializations are to be seen."""
    cursor.execute("SELECT count(*) FROM event_logs WHERE dagster_event_type = 'ASSET_MATERIALIZATION'")
    return int(cursor.fetchone()[0])


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_an_event_is_seen_together_with_what_it_says_of_its_asset(instance: dg.DagsterInstance, platform_home: Home):
    with stuck_writer(instance, platform_home), session(platform_home) as reading:
        reading.execute("SELECT max(id) FROM event_logs WHERE asset_key = %s", (SALES.to_string(),))
        assert reading.fetchone() == (newest(instance, SALES),)


def test_dagsters_own_event_log_shows_an_event_that_its_asset_does_not_have(
    stock: dg.DagsterInstance, platform_home: Home
):
    with stuck_writer(stock, platform_home):
        assert stock.event_log_storage.get_maximum_record_id() > newest(stock, SALES)


def test_who_asks_how_far_the_log_goes_waits_for_who_is_writing(instance: dg.DagsterInstance, platform_home: Home):
    with ThreadPoolExecutor(1) as pool, session(platform_home) as watching:
        with stuck_writer(instance, platform_home):
            last = pool.submit(instance.event_log_storage.get_maximum_record_id)
            until(lambda: waiting(watching, "advisory") == 1)
            assert not last.done()
        assert last.result(timeout=30) == newest(instance, SALES)


def test_a_later_event_is_not_seen_before_an_earlier_one(instance: dg.DagsterInstance, platform_home: Home):
    with ThreadPoolExecutor(1) as pool, session(platform_home) as watching:
        with stuck_writer(instance, platform_home):
            later = pool.submit(materialized, instance, STORES)
            until(lambda: waiting(watching, "advisory") == 1)
            assert not instance.has_asset_key(STORES)
        later.result(timeout=30)
        assert newest(instance, STORES) > newest(instance, SALES)


def test_what_nobody_follows_waits_for_nobody(instance: dg.DagsterInstance, platform_home: Home):
    with stuck_writer(instance, platform_home) as writer:
        run = dg.DagsterRun("sales_job")
        instance.report_engine_event("The run goes on.", run)
        assert [entry.message for entry in instance.all_logs(run.run_id)] == ["The run goes on."]
        assert not writer.done()


def test_who_waits_for_a_row_that_somebody_has_locked_stops_others_for_a_while_only(
    instance: dg.DagsterInstance, platform_home: Home, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(event_log, "_LONGEST_TURN_SECONDS", 1)
    materialized(instance, SALES)
    with session(platform_home) as other, ThreadPoolExecutor(1) as pool:
        other.execute("BEGIN")
        other.execute("SELECT 1 FROM asset_keys WHERE asset_key = %s FOR UPDATE", (SALES.to_string(),))
        stuck = pool.submit(materialized, instance, SALES)
        with pytest.raises(OperationalError, match="lock timeout"):
            stuck.result(timeout=30)
        materialized(instance, STORES)
        other.execute("COMMIT")


def test_a_writer_that_stops_in_the_middle_stops_others_for_a_while_only(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(event_log, "_LONGEST_TURN_SECONDS", 1)
    stopped, others_are_done = threading.Event(), threading.Event()

    def stops(*_: Any) -> None:
        stopped.set()
        others_are_done.wait(30)

    original = PostgresEventLogStorage._store_asset_event
    monkeypatch.setattr(PostgresEventLogStorage, "_store_asset_event", stops)
    with ThreadPoolExecutor(1) as pool:
        writer = pool.submit(materialized, instance, SALES)
        assert stopped.wait(30)
        monkeypatch.setattr(PostgresEventLogStorage, "_store_asset_event", original)
        materialized(instance, STORES)
        others_are_done.set()
        with pytest.raises(OperationalError):
            writer.result(timeout=30)
    assert not instance.has_asset_key(SALES)


def test_what_is_written_together_is_seen_at_once(instance: dg.DagsterInstance, platform_home: Home):
    with session(platform_home) as other:
        with written_together():
            for day in ("2026-03-02", "2026-03-03"):
                instance.report_runless_asset_event(dg.AssetMaterialization(SALES, partition=day))
                assert newest(instance, SALES), "the writer sees it"
            assert events(other) == 0
        assert events(other) == 2
        instance.report_runless_asset_event(dg.AssetMaterialization(STORES))
        assert events(other) == 3, "and after that each by itself"


def test_of_what_is_written_together_an_error_leaves_nothing(instance: dg.DagsterInstance, platform_home: Home):
    def fails() -> None:
        with written_together():
            instance.report_runless_asset_event(dg.AssetMaterialization(SALES))
            raise ConnectionError("in the middle")

    with pytest.raises(ConnectionError):
        fails()
    with session(platform_home) as other:
        assert events(other) == 0
        materialized(instance, SALES)
        assert events(other) == 1


def test_an_error_that_somebody_swallows_is_none_less(instance: dg.DagsterInstance, platform_home: Home):
    def fails_quietly() -> None:
        with written_together():
            instance.report_runless_asset_event(dg.AssetMaterialization(SALES))
            with suppress(SQLAlchemyError), instance.event_log_storage._connect() as connection:
                connection.execute(text("SELECT 1 FROM no_such_table"))

    with pytest.raises(SQLAlchemyError, match="aborted"):
        fails_quietly()
    with session(platform_home) as other:
        assert events(other) == 0


def test_written_together_does_not_nest():
    with written_together(), pytest.raises(RuntimeError, match="does not nest"), written_together():
        pass


def test_with_another_storage_written_together_changes_nothing():
    with dg.DagsterInstance.ephemeral() as other, written_together():
        other.report_runless_asset_event(dg.AssetMaterialization(SALES))
        assert other.get_latest_materialization_event(SALES)


def test_a_run_has_failed_before_its_failure_is_to_be_seen(instance: dg.DagsterInstance, platform_home: Home):
    run = instance.create_run_for_job(dg.GraphDefinition("nightly").to_job(), status=dg.DagsterRunStatus.STARTED)
    seen: list[str] = []
    original = instance.event_log_storage._runs.handle_run_event

    def watched(*arguments: Any) -> None:
        original(*arguments)
        with session(platform_home) as other:
            other.execute("SELECT count(*) FROM event_logs WHERE dagster_event_type = 'PIPELINE_FAILURE'")
            other_sees = other.fetchone()[0]
        seen.append(f"{instance.get_run_by_id(run.run_id).status.value}, {other_sees} events")

    instance.event_log_storage._runs.handle_run_event = watched
    instance.report_run_failed(run)
    assert seen[0] == "FAILURE, 0 events"


def test_a_writer_that_fails_leaves_nothing_and_blocks_nobody(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
):
    materialized(instance, SALES)
    before = newest(instance, SALES)

    def fails(*_: Any) -> None:
        raise ConnectionError("the row of the asset could not be written")

    with monkeypatch.context() as patch:
        patch.setattr(PostgresEventLogStorage, "_store_asset_event", fails)
        with pytest.raises(ConnectionError):
            materialized(instance, SALES)
    assert instance.event_log_storage.get_maximum_record_id() == before
    materialized(instance, SALES)
    assert newest(instance, SALES) > before


def test_a_connection_that_the_server_ended_is_replaced(instance: dg.DagsterInstance, platform_home: Home):
    materialized(instance, SALES)
    with session(platform_home) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        assert other.fetchall() == [(True,)], "one kept connection for each process"
    materialized(instance, SALES)


@pytest.mark.filterwarnings("ignore::dagster.BetaWarning")
def test_a_run_over_many_days_writes_its_events_in_few_transactions(instance: dg.DagsterInstance, platform_home: Home):
    year = dg.DailyPartitionsDefinition("2025-01-01", end_date="2026-01-01")

    @dg.asset(key=SALES, partitions_def=year, backfill_policy=dg.BackfillPolicy.single_run())
    def sales() -> None: ...

    first_and_last = {
        "dagster/asset_partition_range_start": "2025-01-01",
        "dagster/asset_partition_range_end": "2025-12-31",
    }
    assert dg.materialize([sales], instance=instance, tags=first_and_last).success
    assert len(instance.get_materialized_partitions(SALES)) == 365
    with session(platform_home) as reading:
        for kind in ("ASSET_MATERIALIZATION_PLANNED", "ASSET_MATERIALIZATION"):
            reading.execute(
                "SELECT count(*), count(DISTINCT xmin::text) FROM event_logs WHERE dagster_event_type = %s", (kind,)
            )
            assert reading.fetchone() == (365, 2), kind


def test_runs_schedules_and_events_share_the_kept_connections(instance: dg.DagsterInstance):
    storages = [instance.run_storage, instance.event_log_storage, instance.schedule_storage]
    assert len({id(storage._engine) for storage in storages}) == 1
    # Assigning to a name that Dagster no longer uses would change nothing, silently.
    for storage in (PostgresRunStorage, PostgresEventLogStorage, PostgresScheduleStorage):
        assert "self._engine" in inspect.getsource(storage)


def test_a_forked_child_writes_on_a_connection_of_its_own(instance: dg.DagsterInstance):
    materialized(instance, SALES)
    child = multiprocessing.get_context("fork").Process(target=materialized, args=(instance, STORES))
    child.start()
    for _ in range(20):
        materialized(instance, SALES)
    child.join(30)
    assert child.exitcode == 0
    assert instance.has_asset_key(STORES)
