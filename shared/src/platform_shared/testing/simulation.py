"""Automation conditions tick by tick, without daemon, Postgres or processes: what a condition says after each event.

Cheap enough to show every turn of a condition. What comes of a request (backfills, queue, retries) and whether the
sensor asks at all is not seen here: that takes `platform_shared.testing.daemon`.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self

import dagster as dg
from dagster._core.definitions.freshness import FreshnessState, FreshnessStateChange
from dagster._core.events import AssetMaterializationPlannedData, StepMaterializationData
from dagster._core.test_utils import create_run_for_test

from platform_shared.testing.daemon import frozen
from platform_shared.testing.ticks import Target

LOOK_PAUSE = timedelta(seconds=5)
"""How long the platform's automation sensors wait between two looks."""

_RUN_TIME = timedelta(seconds=1)
_JOB = "__ASSET_JOB"


@dataclass(frozen=True)
class Run:
    """A run of the test's making: assets in the order in which they are built, one partition."""

    run_id: str
    keys: tuple[dg.AssetKey, ...]
    partition: str | None


class Simulation:
    """A few assets (with `checks` and `jobs`) and a new instance in memory, at `now` (aware); a context manager.

    Dagster's clock stands still but for `advance`, the LOOK_PAUSE before each look, and a second after each run.

    Builds come in two ways. `run` executes the assets. `start` only says that a run is under way: the test makes its
    events, one by one if it wants to, and no code of an asset is executed.
    """

    def __init__(self, *assets: Any, now: datetime, checks: Any = (), jobs: Any = ()) -> None:
        if now.tzinfo is None:
            raise ValueError("`now` needs a time zone")
        self.now = now
        self.under_way: list[Run] = []
        self._cursor: Any = None
        self._open, self._clock = ExitStack(), ExitStack()
        self.load(*assets, checks=checks, jobs=jobs)

    def __enter__(self) -> Self:
        with ExitStack() as opening:
            opening.callback(self._open.close)
            self._open.callback(self._clock.close)
            self._freeze()
            self.instance = self._open.enter_context(dg.DagsterInstance.ephemeral())
            opening.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def advance(self, by: timedelta) -> None:
        """Moves the clock forward."""
        self.now += by
        self._freeze()

    def load(self, *assets: Any, checks: Any = (), jobs: Any = ()) -> None:
        """Loads these definitions instead, as a deploy does; the instance and the memory of the conditions stay."""
        self.definitions = dg.Definitions(assets=assets, asset_checks=checks, jobs=jobs)
        self._graph = self.definitions.resolve_asset_graph()
        self._places = {key: place for place, key in enumerate(self._graph.toposorted_asset_keys)}

    def forget(self) -> None:
        """The conditions lose their memory, as if their sensor had another name."""
        self._cursor = None

    # --- the conditions

    def tick(self) -> set[str]:
        """One look at all conditions, LOOK_PAUSE later; names what it requests. Nothing comes of it.

        Names are `table`, `schema/table`, `table 2026-03-01` (with its partition), `table:check`, and those of jobs.
        """
        result = self._evaluate()
        return {name for each in result.results for name in _names(result, each)}

    def look(self) -> set[Target]:
        """As `tick`, and the assets that it requests are under way from now on.

        They are grouped in runs as Dagster groups them, but several partitions are several runs, not a backfill.
        """
        result = self._evaluate()
        asked = {(key, partition) for key in self._places for partition in result.get_requested_partitions(key)}
        together: dict[Any, list[dg.AssetKey]] = defaultdict(list)
        for key, partition in asked:
            together[(str(self._graph.get(key).partitions_def), partition)].append(key)
        for (_, partition), keys in sorted(together.items(), key=str):
            self.start(*keys, partition=partition)
        return asked

    # --- what happens outside

    def report(self, key: Any, partition: str | None = None, *, version: str | None = None) -> None:
        """Records a materialization from outside any run, with this data version if one is given."""
        tags = {"dagster/data_version": version} if version else None
        self._report(dg.AssetMaterialization(dg.AssetKey.from_coercible(key), partition=partition, tags=tags))

    def observe(self, key: Any) -> None:
        """Records an observation from outside any run."""
        self._report(dg.AssetObservation(dg.AssetKey.from_coercible(key)))

    def report_check(self, key: Any, name: str, *, passed: bool, blocking: bool = False) -> None:
        """Records the result of a check from outside any run: it has seen the newest materialization."""
        asset = dg.AssetKey.from_coercible(key)
        self._report(dg.AssetCheckEvaluation(asset, name, passed=passed, blocking=blocking, metadata={}))

    def report_freshness(self, key: dg.AssetKey, *, fresh: bool) -> None:
        """Records what the freshness daemon has found."""
        state = FreshnessState.PASS if fresh else FreshnessState.FAIL
        self._report(
            FreshnessStateChange(
                key=key, new_state=state, previous_state=FreshnessState.UNKNOWN, state_change_timestamp=0.0
            )
        )

    def wipe(self, key: dg.AssetKey) -> None:
        """Forgets all materializations of an asset, as a person does in the UI."""
        self.instance.wipe_assets([key])

    # --- runs that are executed

    def run(
        self,
        *keys: Any,
        partition: str | None = None,
        tags: Mapping[str, str] | None = None,
        may_fail: bool = False,
    ) -> bool:
        """Materializes these assets, with their checks, in one run that ends before this returns; whether it succeeded.

        A body that calls `tick` shows what is said while it runs.
        """
        job = self.definitions.resolve_implicit_global_asset_job_def()
        selection = [dg.AssetKey.from_coercible(key) for key in keys]
        done = job.execute_in_process(
            instance=self.instance,
            asset_selection=selection,
            partition_key=partition,
            tags=tags,
            raise_on_error=not may_fail,
        )
        return bool(done.success)

    def run_job(self, name: str) -> None:
        """Executes a job as it is defined: its run names no selection of its own."""
        self.definitions.resolve_job_def(name).execute_in_process(instance=self.instance)

    # --- runs of the test's making

    def start(self, *keys: dg.AssetKey, partition: str | None = None) -> Run:
        """A run of these assets is under way."""
        ordered = tuple(sorted(keys, key=lambda key: self._places[key]))
        record = create_run_for_test(
            self.instance,
            job_name=_JOB,
            asset_selection=frozenset(ordered),
            status=dg.DagsterRunStatus.STARTED,
            tags={"dagster/partition": partition} if partition else {},
        )
        run = Run(record.run_id, ordered, partition)
        for key in ordered:
            self._log(run, "ASSET_MATERIALIZATION_PLANNED", AssetMaterializationPlannedData(key, partition))
        self.under_way.append(run)
        return run

    def materialize(self, run: Run, key: dg.AssetKey) -> None:
        """A run that goes on has built this asset."""
        event = StepMaterializationData(dg.AssetMaterialization(key, partition=run.partition))
        self._log(run, "ASSET_MATERIALIZATION", event)

    def succeed(self, run: Run | None = None) -> None:
        """This run, or all that are under way, end well."""
        for each in self._ending(run):
            self._end(each, "PIPELINE_SUCCESS", each.keys)

    def fail(self, run: Run | None = None, *, built: Iterable[dg.AssetKey] = ()) -> None:
        """This run, or all that are under way, fail after they built `built`."""
        for each in self._ending(run):
            self._end(each, "PIPELINE_FAILURE", built)

    def cancel(self) -> None:
        """All runs that are under way are canceled."""
        for each in self._ending(None):
            self._end(each, "PIPELINE_CANCELED", ())

    # --- inside

    def _freeze(self) -> None:
        self._clock.close()
        self._clock.enter_context(frozen(self.now))

    def _evaluate(self) -> Any:
        self.advance(LOOK_PAUSE)
        result = dg.evaluate_automation_conditions(
            self.definitions, self.instance, evaluation_time=self.now, cursor=self._cursor
        )
        self._cursor = result.cursor
        return result

    def _report(self, event: Any) -> None:
        self.instance.report_runless_asset_event(event)

    def _ending(self, run: Run | None) -> list[Run]:
        ending = list(self.under_way) if run is None else [run]
        self.under_way = [each for each in self.under_way if each not in ending]
        return ending

    def _end(self, run: Run, event: str, built: Iterable[dg.AssetKey]) -> None:
        for key in (key for key in run.keys if key in set(built)):
            self.materialize(run, key)
        self._log(run, event, None)
        self.advance(_RUN_TIME)

    def _log(self, run: Run, event: str, data: Any) -> None:
        told = dg.DagsterEvent(event_type_value=event, job_name=_JOB, event_specific_data=data, step_key=None)
        self.instance.report_dagster_event(told, run.run_id)


def _names(result: Any, each: Any) -> set[str]:
    key = each.key
    if isinstance(key, dg.AssetKey):
        asset = "/".join(key.path)
        return {f"{asset} {part}" if part else asset for part in result.get_requested_partitions(key)}
    if not each.true_subset.size:
        return set()
    return {f"{'/'.join(key.asset_key.path)}:{key.name}" if isinstance(key, dg.AssetCheckKey) else key.job_name}
