"""Dagster's daemon in one process, one tick at a time, on a frozen clock: how tests see what really happens.

Unit tests of an instigator hide what its daemon does: cursors, run keys, grouping, queue, retries. `DaemonHarness` runs
the daemon's own loops over real locations and a real instance in Postgres; only processes and waiting are left out.

This is the one module that may import Dagster's internals (docs/adr/0006). The canary test in
`shared/tests/testing/test_canary.py` names each of them and says which one an upgrade has moved.
"""

import asyncio
import logging
import sys
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType, SimpleNamespace, TracebackType
from typing import Any, Self

import dagster as dg
import yaml
from dagster._core.definitions.reconstruct import ReconstructableJob
from dagster._core.execution.backfill import PartitionBackfill
from dagster._core.execution.submit_asset_runs import submit_asset_run
from dagster._core.launcher.sync_in_memory_run_launcher import SyncInMemoryRunLauncher
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.test_utils import freeze_time
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import InProcessWorkspaceLoadTarget
from dagster._daemon.asset_daemon import AssetDaemon
from dagster._daemon.auto_run_reexecution.event_log_consumer import EventLogConsumerDaemon
from dagster._daemon.backfill import execute_backfill_iteration
from dagster._daemon.freshness import FreshnessDaemon
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import QueuedRunCoordinatorDaemon
from dagster._daemon.sensor import execute_sensor_iteration, get_elapsed
from dagster._daemon.utils import DaemonErrorCapture
from dagster._scheduler.scheduler import launch_scheduled_runs

from platform_shared import clock
from platform_shared.environ import environment_variables
from platform_shared.settings import Home
from platform_shared.testing.ticks import Tick
from platform_shared.workspace.projects import workspace_root

Location = str | dg.Definitions
"""A location: the module of its definitions, as in workspace.yaml, or definitions that a test has made."""

LOOP_PAUSE = timedelta(seconds=5)
"""How long the daemon's sensor and automation loops sleep between two looks."""

_RUN_TIME = timedelta(seconds=1)
_ACTIVE = ("REQUESTED", "CANCELING", "FAILING")
_LOG = logging.getLogger(__name__)


class DaemonError(AssertionError):
    """A tick, a loop or a run failed, and the test did not expect it; the message has the error."""


def frozen(now: datetime) -> AbstractContextManager[None]:
    """Dagster's clock stands still at `now` (aware) for as long as this context lasts."""
    return freeze_time(now)


class HeldRunLauncher(SyncInMemoryRunLauncher):
    """Keeps launched runs in state STARTING until the harness executes them, in this process."""

    def __init__(self, inst_data: Any = None) -> None:
        super().__init__(inst_data)
        self.held: dict[str, Any] = {}

    def launch_run(self, context: Any) -> None:
        self.held[context.dagster_run.run_id] = context

    def execute(self, run_id: str) -> None:
        """Executes a held run to its end."""
        super().launch_run(self.held.pop(run_id))

    def terminate(self, run_id: str) -> bool:
        self._instance.report_run_canceled(self.held.pop(run_id).dagster_run)
        return True


class DaemonHarness:
    """The daemon of a small platform: `locations` by name, with their instance in `home`, at `now` (aware).

    Use it as a context manager; while it is open, PLATFORM_HOME and DAGSTER_HOME name `home`, and both Dagster's clock
    and the platform's stand still. Time moves by `advance`, by LOOP_PAUSE after each `tick_…` and by a second after
    each run, never by itself. Runs that ticks request stay in the queue until `execute_runs`.

    The instance has the settings of deploy/instance/local.yaml, queue limits and retries included, but executes runs in
    this process and captures no output. A tick, loop or run that fails raises DaemonError unless `may_fail` is given.
    """

    def __init__(self, locations: Mapping[str, Location], home: Home, now: datetime) -> None:
        if now.tzinfo is None:
            raise ValueError("`now` needs a time zone")
        self.home = home
        self._locations = dict(locations)
        self._now = now.astimezone(UTC)
        self._open = ExitStack()
        self._clock = ExitStack()
        self._workspace_stack = ExitStack()
        self._errors: list[str] = []
        self._automation = AssetDaemon(settings={}, pre_sensor_interval_seconds=30)
        self._schedule_times: dict[str, Any] = {}
        self._schedule_futures: dict[str, Future[Any]] = {}

    def __enter__(self) -> Self:
        with ExitStack() as opening:
            opening.callback(self._open.close)
            self._open.enter_context(
                environment_variables({"PLATFORM_HOME": str(self.home.root), "DAGSTER_HOME": str(self.home.dagster)})
            )
            self._open.callback(self._clock.close)
            self._freeze()
            self._open.enter_context(_captured_errors(self._errors))
            _write_settings(self.home.dagster)
            self._instance: dg.DagsterInstance = self._open.enter_context(dg.DagsterInstance.get())
            # Kept connections: the daemon's storage opens a new one for each query, four fifths of the time of a tick.
            self._instance.optimize_for_webserver(statement_timeout=0, pool_recycle=3600, max_overflow=20)
            self._open.callback(self._workspace_stack.close)
            self.reload()
            # A daemon that starts takes note of the schedules and of the newest failure; it acts on later ones.
            self._pass_schedules(())
            self._pass_retries()
            opening.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    # --- time and locations

    @property
    def now(self) -> datetime:
        """The frozen instant, UTC."""
        return self._now

    def advance(self, by: timedelta) -> datetime:
        """Moves the clock forward; returns the new instant."""
        if by < timedelta(0):
            raise ValueError("time does not run backwards")
        self._now += by
        self._freeze()
        return self._now

    def reload(self, **changed: Location) -> None:
        """Loads all locations again, `changed` ones from what is given: a deploy, with a restart of the daemon.

        Runs that wait in the queue are executed by the new code.
        """
        self._locations.update(changed)
        self._workspace_stack.close()
        # Dagster keeps the last job that it executed, whatever its definitions are by now.
        ReconstructableJob.get_definition.cache_clear()
        ReconstructableJob.get_repository_definition.cache_clear()
        self._automation = AssetDaemon(settings={}, pre_sensor_interval_seconds=30)
        self._schedule_times.clear()
        self._schedule_futures.clear()
        origins = [
            InProcessCodeLocationOrigin(
                self._workspace_stack.enter_context(_loadable(name, location)), location_name=name
            )
            for name, location in self._locations.items()
        ]
        self._workspace = self._workspace_stack.enter_context(
            WorkspaceProcessContext(self._instance, InProcessWorkspaceLoadTarget(origins))
        )
        for name, entry in self._workspace.create_request_context().get_code_location_entries().items():
            if entry.load_error:
                raise DaemonError(f"Location {name} does not load:\n{entry.load_error.to_string()}")

    # --- ticks

    def tick_sensors(self, *names: str, may_fail: bool = False) -> list[Tick]:
        """One look at the sensors, run-status sensors included: of all that are due, or of those named.

        For named ones the clock first moves to the instant when they are due. Returns the ticks, in order.
        """
        return self._tick("sensor", names, may_fail)

    def tick_automation(self, *names: str, may_fail: bool = False) -> list[Tick]:
        """One look at the automation condition sensors, as `tick_sensors`."""
        return self._tick("automation", names, may_fail)

    def tick_schedules(self, *names: str, may_fail: bool = False) -> list[Tick]:
        """One look at the schedules (or those named): each ticks whose cron time has come since the last look."""
        return self._tick("schedule", names, may_fail)

    def tick_backfills(self, *, may_fail: bool = False) -> list[Any]:
        """One step of all backfills, which queues their runs; returns the backfills, newest first."""
        self._pass_backfills()
        self._finish([], may_fail)
        return self.backfills()

    def tick_retries(self, *, may_fail: bool = False) -> list[dg.DagsterRun]:
        """One look at failed runs; returns the retries that it queued, by the instance's `run_retries`."""
        before = {run.run_id for run in self.runs()}
        self._pass_retries()
        self._finish([], may_fail)
        return [run for run in self.runs() if run.run_id not in before]

    def tick_freshness(self) -> None:
        """One look at the freshness policies of all assets; `tick_all` leaves it out."""
        _exhaust(FreshnessDaemon(interval_seconds=30).run_iteration(self._workspace))
        self._finish([], may_fail=False)

    def tick_all(self, *, may_fail: bool = False) -> list[Tick]:
        """One look of every loop at the same instant: sensors, automation, schedules, backfills, retries."""
        ticks = [tick for kind in ("sensor", "automation", "schedule") for tick in self._pass(kind, ())]
        self._pass_backfills()
        self._pass_retries()
        return self._finish(ticks, may_fail)

    # --- runs

    def execute_runs(self, *, limit: int | None = None, may_fail: bool = False) -> list[dg.DagsterRun]:
        """Executes queued runs, oldest first and at most `limit`, one after another, until none can start.

        The queue's limits hold: what they block stays queued. Returns the runs as they ended.
        """
        done: list[dg.DagsterRun] = []
        while limit is None or len(done) < limit:
            if not self._launcher.held:
                self.dequeue()
            if not self._launcher.held:
                break
            done.append(self.execute(next(iter(self._launcher.held)), may_fail=may_fail))
        return done

    def execute(self, run_id: str, *, may_fail: bool = False) -> dg.DagsterRun:
        """Executes this run, which `dequeue` has taken from the queue; returns it as it ended."""
        self._launcher.execute(run_id)
        self.advance(_RUN_TIME)
        run = self._instance.get_run_by_id(run_id)
        assert run is not None
        if not may_fail and run.status is not dg.DagsterRunStatus.SUCCESS:
            raise DaemonError(f"Run of {run.job_name} ended as {run.status.value}:\n{self.run_error(run_id)}")
        return run

    def execute_beside(self, run_id: str) -> "Future[None]":
        """Begins to execute this run in a thread, beside the one whose step calls this; the clock stands still.

        Not beside one that starts or logs: Dagster sets up the logging of the process with each run.
        """
        return ThreadPoolExecutor(1).submit(self._launcher.execute, run_id)

    def dequeue(self) -> list[str]:
        """Takes runs from the queue as its limits allow: they are STARTING then. Returns the ids of all such runs."""
        queue = QueuedRunCoordinatorDaemon(interval_seconds=1)
        with queue:
            _exhaust(queue.run_iteration(self._workspace, fixed_iteration_time=self._now.timestamp()))
        self._raise_errors()
        return list(self._launcher.held)

    def cancel(self, run_id: str) -> None:
        """Cancels a run that has not been executed, as a person does."""
        self._instance.run_coordinator.cancel_run(run_id)

    def lose(self, run_id: str) -> None:
        """The process of this run dies without a word: the run is STARTED for ever."""
        if run_id not in self._launcher.held:
            self.dequeue()
        run = self._launcher.held.pop(run_id).dagster_run
        self._instance.report_dagster_event(
            dg.DagsterEvent(event_type_value="PIPELINE_START", job_name=run.job_name), run_id=run_id
        )

    def run_until_quiet(
        self, *, max_rounds: int = 20, idle: timedelta = timedelta(seconds=30), may_fail: bool = False
    ) -> list[dg.DagsterRun]:
        """Ticks everything and executes what is requested until nothing comes any more; returns the executed runs.

        Quiet is: one look requests nothing, nor does another one `idle` later. Raises DaemonError if it is not quiet
        after `max_rounds`.
        """
        executed: list[dg.DagsterRun] = []
        looked_again = False
        for _ in range(max_rounds):
            known = len(self.runs())
            self.tick_all(may_fail=may_fail)
            done = self.execute_runs(may_fail=may_fail)
            executed += done
            if done or len(self.runs()) > known or any(each.status.value in _ACTIVE for each in self.backfills()):
                looked_again = False
            elif looked_again:
                return executed
            else:
                looked_again = True
                self.advance(idle)
        raise DaemonError(f"Not quiet after {max_rounds} rounds; executed: {[run.job_name for run in executed]}")

    # --- what a test does to the platform

    def report(self, key: dg.AssetKey, partition: str | None = None, *, ago: timedelta = timedelta(0)) -> None:
        """Records a materialization from outside any run, as an external system reports it.

        With `ago` its time stamp is older than its record: a clock that lags, or a transaction that took its time.
        """
        with freeze_time(self._now - ago):
            self._instance.report_runless_asset_event(dg.AssetMaterialization(key, partition=partition))

    def launch(self, *keys: dg.AssetKey, partition: str | None = None, tags: Mapping[str, str] | None = None) -> str:
        """Queues one run of these assets, of one location, as a person does in the UI; returns its id."""
        all_tags = {**(tags or {}), **({"dagster/partition": partition} if partition else {})}
        request = dg.RunRequest(asset_selection=list(keys), partition_key=partition, tags=all_tags)
        with self._workspace.create_request_context() as workspace:
            run = asyncio.run(
                submit_asset_run(None, request, 0, self._instance, self._workspace, workspace, {}, {}, _LOG)
            )
        return run.run_id

    def backfill(self, *keys: dg.AssetKey, partitions: Sequence[str]) -> str:
        """Asks for a backfill of these assets and partitions, as a person does in the UI; returns its id."""
        with self._workspace.create_request_context() as workspace:
            backfill = PartitionBackfill.from_asset_partitions(
                backfill_id=uuid.uuid4().hex[:8],
                asset_graph=workspace.asset_graph,
                partition_names=list(partitions),
                asset_selection=list(keys),
                backfill_timestamp=self._now.timestamp(),
                tags={},
                dynamic_partitions_store=self._instance,
                all_partitions=False,
                title=None,
                description=None,
                run_config=None,
            )
        self._instance.add_backfill(backfill)
        return backfill.backfill_id

    def start(self, name: str) -> None:
        """Switches a sensor or schedule on, as a person does in the UI."""
        kind, instigator = self._instigator(name)
        (self._instance.start_schedule if kind == "schedule" else self._instance.start_sensor)(instigator)

    def stop(self, name: str) -> None:
        """Switches a sensor or schedule off."""
        kind, each = self._instigator(name)
        stop = self._instance.stop_schedule if kind == "schedule" else self._instance.stop_sensor
        stop(each.get_remote_origin_id(), each.selector_id, each)

    # --- what happened

    @property
    def instance(self) -> dg.DagsterInstance:
        """The instance, for all that has no short form here."""
        return self._instance

    def ticks(self, name: str) -> list[Tick]:
        """All ticks of an instigator, oldest first."""
        _, each = self._instigator(name)
        records = self._instance.get_ticks(each.get_remote_origin_id(), each.selector_id)
        return [Tick.of(each.handle.location_name, record) for record in reversed(records)]

    def runs(self, *statuses: dg.DagsterRunStatus, tags: Mapping[str, str] | None = None) -> list[dg.DagsterRun]:
        """Runs with one of these statuses (all, if none is given) and all of `tags`, oldest first."""
        wanted = dg.RunsFilter(statuses=list(statuses) or None, tags=tags)
        return list(reversed(self._instance.get_runs(wanted)))

    def run_error(self, run_id: str) -> str:
        """Why a run failed: its step's error, or the run's own."""
        kinds = {dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.RUN_FAILURE}
        events = [entry.dagster_event for entry in self._instance.all_logs(run_id, of_type=kinds)]
        errors = [getattr(event.event_specific_data, "error", None) for event in events if event]
        return next((error.to_string() for error in errors if error), "no error was recorded")

    def materializations(self, key: dg.AssetKey) -> list[dg.EventLogRecord]:
        """All materializations of an asset, oldest first."""
        return list(self._instance.fetch_materializations(key, limit=10_000, ascending=True).records)

    def materialized(self, key: dg.AssetKey) -> list[str | None]:
        """The partition of each materialization, oldest first; None for an unpartitioned one."""
        return [record.partition_key for record in self.materializations(key)]

    def check(self, key: dg.AssetKey, name: str) -> dg.AssetCheckEvaluation | None:
        """The newest result of a check, or None if it has never run to its end."""
        record = self._instance.get_latest_asset_check_evaluation_record(dg.AssetCheckKey(key, name))
        event = record.event.dagster_event if record and record.event else None
        return event.asset_check_evaluation_data if event else None

    def backfills(self) -> list[Any]:
        """All backfills, newest first."""
        return list(self._instance.get_backfills())

    def graphql(self, query: str, variables: Mapping[str, Any]) -> Any:
        """What a webserver over this workspace answers."""
        from dagster_graphql.cli import execute_query

        return execute_query(self._workspace, query, variables)

    # --- inside

    def _freeze(self) -> None:
        self._clock.close()
        self._clock.enter_context(freeze_time(self._now))
        self._clock.enter_context(_replaced(clock, "datetime", SimpleNamespace(now=self._now.astimezone)))
        if clock.utc_now() != self._now:
            raise DaemonError("platform_shared.clock.utc_now does not read `datetime.now` any more: freeze it anew.")

    @property
    def _launcher(self) -> HeldRunLauncher:
        launcher = self._instance.run_launcher
        assert isinstance(launcher, HeldRunLauncher)
        return launcher

    def _tick(self, kind: str, names: tuple[str, ...], may_fail: bool) -> list[Tick]:
        return self._finish(self._pass(kind, names), may_fail)

    def _pass(self, kind: str, names: tuple[str, ...]) -> list[Tick]:
        running = list(self._running(kind))
        for name in {*names} - {each.name for each in running}:
            known = ", ".join(sorted(each.name for each in running)) or "none"
            raise DaemonError(f"There is no running {kind} {name!r}; running ones: {known}")
        chosen = [each for each in running if not names or each.name in names]
        if names and kind != "schedule":
            self._wait_until_due(chosen)
        seen = {each.selector_id: self._recent_ticks(each) for each in chosen}
        {"sensor": self._pass_sensors, "automation": self._pass_automation, "schedule": self._pass_schedules}[kind](
            names
        )
        return [
            Tick.of(each.handle.location_name, record)
            for each in sorted(chosen, key=_place)
            for tick_id, record in sorted(self._recent_ticks(each).items())
            if record != seen[each.selector_id].get(tick_id)
        ]

    def _pass_sensors(self, names: tuple[str, ...]) -> None:
        chosen = _InOrder(names)
        _exhaust(
            execute_sensor_iteration(
                self._workspace,
                _LOG,
                threadpool_executor=chosen,
                submit_threadpool_executor=None,
                sensor_tick_futures={},
            )
        )
        chosen.run()

    def _pass_automation(self, names: tuple[str, ...]) -> None:
        chosen = _InOrder(names)
        self._automation._run_iteration_impl(
            self._workspace, threadpool_executor=chosen, amp_tick_futures={}, debug_crash_flags={}
        )
        chosen.run()

    def _pass_schedules(self, names: tuple[str, ...]) -> None:
        chosen = _InOrder(names)
        scheduler: Any = self._instance.scheduler
        _exhaust(
            launch_scheduled_runs(
                self._workspace,
                _LOG,
                end_datetime_utc=self._now,
                iteration_times=self._schedule_times,
                threadpool_executor=chosen,
                scheduler_run_futures=self._schedule_futures,
                max_catchup_runs=scheduler.max_catchup_runs,
                max_tick_retries=scheduler.max_tick_retries,
            )
        )
        chosen.run()

    def _pass_backfills(self) -> None:
        _exhaust(execute_backfill_iteration(self._workspace, _LOG))

    def _pass_retries(self) -> None:
        _exhaust(EventLogConsumerDaemon().run_iteration(self._workspace))

    def _finish(self, ticks: list[Tick], may_fail: bool) -> list[Tick]:
        failed = [f"{tick.location}, {tick.name}: {tick.error}" for tick in ticks if tick.status == "FAILURE"]
        if may_fail:
            self._errors.clear()
        elif failed:
            self._errors.clear()
            raise DaemonError("A tick failed.\n" + "\n".join(failed))
        self._raise_errors()
        self.advance(LOOP_PAUSE)
        return ticks

    def _raise_errors(self) -> None:
        if self._errors:
            told = "\n".join(self._errors)
            self._errors.clear()
            raise DaemonError(told)

    def _instigators(self) -> Iterator[tuple[str, Any]]:
        for entry in self._workspace.create_request_context().get_code_location_entries().values():
            repositories = entry.code_location.get_repositories().values() if entry.code_location else ()
            for repository in repositories:
                for sensor in repository.get_sensors():
                    yield "automation" if sensor.sensor_type.is_handled_by_asset_daemon else "sensor", sensor
                for schedule in repository.get_schedules():
                    yield "schedule", schedule

    def _instigator(self, name: str) -> tuple[str, Any]:
        found = [(kind, each) for kind, each in self._instigators() if each.name == name]
        if len(found) != 1:
            raise DaemonError(f"{len(found)} sensors or schedules are called {name!r}; one is needed.")
        return found[0]

    def _running(self, kind: str) -> Iterator[Any]:
        for each_kind, each in self._instigators():
            if each_kind == kind:
                state = self._instance.get_instigator_state(each.get_remote_origin_id(), each.selector_id)
                if each.get_current_instigator_state(state).is_running:
                    yield each

    def _wait_until_due(self, sensors: Iterable[Any]) -> None:
        for sensor in sensors:
            state = self._instance.get_instigator_state(sensor.get_remote_origin_id(), sensor.selector_id)
            elapsed = get_elapsed(state) if state else None
            wait = (sensor.min_interval_seconds or 0) - elapsed if elapsed is not None else 0
            if wait > 0:
                self.advance(timedelta(seconds=wait, milliseconds=1))

    def _recent_ticks(self, each: Any) -> dict[int, Any]:
        """A schedule's failed tick is tried again under its old id, so ids alone do not tell what is new."""
        records = self._instance.get_ticks(each.get_remote_origin_id(), each.selector_id, limit=20)
        return {int(record.tick_id): record for record in records}


class _InOrder(ThreadPoolExecutor):
    """Takes what a loop hands to its threads, and runs it afterwards in this thread: of the instigators `names` (all,
    if there are none), in the order of location and name. The loops themselves shuffle."""

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__(max_workers=1)
        self._names = names
        self._work: list[tuple[tuple[str, str], Future[Any], Callable[[], Any]]] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        instigator = next(each for each in args if hasattr(each, "get_current_instigator_state"))
        future: Future[Any] = Future()
        if not self._names or instigator.name in self._names:
            self._work.append((_place(instigator), future, lambda: fn(*args, **kwargs)))
        return future

    def run(self) -> None:
        for _, future, call in sorted(self._work, key=lambda work: work[0]):
            future.set_result(call())


def _place(instigator: Any) -> tuple[str, str]:
    return instigator.handle.location_name, instigator.name


def _exhaust(loop: Iterable[Any]) -> None:
    for _ in loop:
        continue


def _write_settings(folder: Path) -> None:
    settings = yaml.safe_load((workspace_root(Path(__file__).parent) / "deploy/instance/local.yaml").read_text())
    settings["run_launcher"] = {"module": __name__, "class": HeldRunLauncher.__name__}
    settings["run_queue"] = {**settings["run_queue"], "dequeue_use_threads": False}
    # The stock one starts four processes a step to follow its output.
    settings["compute_logs"] = {
        "module": "dagster._core.storage.noop_compute_log_manager",
        "class": "NoOpComputeLogManager",
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "dagster.yaml").write_text(yaml.safe_dump(settings))


@contextmanager
def _loadable(name: str, location: Location) -> Iterator[LoadableTargetOrigin]:
    """How to load a location. Definitions of a test get a module of their own, as runs find them by its name, and the
    executor that `load_location` gives: another process would not find that module."""
    if isinstance(location, str):
        yield LoadableTargetOrigin(executable_path=sys.executable, module_name=location)
        return
    module = ModuleType(f"{__name__}.{name}")
    steps = dg.Definitions(executor=dg.in_process_executor)
    vars(module)["defs"] = location if location.executor else dg.Definitions.merge(location, steps)
    sys.modules[module.__name__] = module
    try:
        yield LoadableTargetOrigin(executable_path=sys.executable, module_name=module.__name__, attribute="defs")
    finally:
        del sys.modules[module.__name__]


@contextmanager
def _captured_errors(errors: list[str]) -> Iterator[None]:
    """Collects what the loops would only log."""
    original = DaemonErrorCapture.process_exception
    nowhere = logging.Logger(__name__)
    nowhere.addHandler(logging.NullHandler())

    def collect(exc_info: Any, logger: logging.Logger, log_message: str) -> Any:
        error = original(exc_info=exc_info, logger=nowhere, log_message=log_message)
        errors.append(f"{log_message}: {error.to_string()}")
        return error

    with _replaced(DaemonErrorCapture, "process_exception", staticmethod(collect)):
        yield


@contextmanager
def _replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    original = vars(owner)[name]
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, original)
