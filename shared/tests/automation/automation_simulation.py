"""A platform for conditions alone: looks, changes and runs of a test's making, on a frozen clock, in memory.

`dg.evaluate_automation_conditions` looks; what it asks for becomes runs that are under way until the test says how they
end. The runs of one look are grouped as Dagster groups them, but several partitions are several runs: what backfills do
is shown through the daemon (`test_partitioned.py`).
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import dagster as dg
from dagster._core.definitions.freshness import FreshnessState, FreshnessStateChange
from dagster._core.events import AssetMaterializationPlannedData, DagsterEvent, StepMaterializationData
from dagster._core.test_utils import create_run_for_test, freeze_time

from platform_shared.testing.ticks import Target

LOOK = timedelta(seconds=5)
_JOB = "__ASSET_JOB"


@dataclass(frozen=True)
class Run:
    """A run that is under way: assets in the order in which they are built, one partition."""

    run_id: str
    keys: tuple[dg.AssetKey, ...]
    partition: str | None


class Simulation:
    """Assets and checks of one location at `now`. Use it as a context manager."""

    def __init__(self, *assets: Any, checks: Sequence[Any] = (), now: datetime) -> None:
        self.now = now.astimezone(UTC)
        self.runs: list[Run] = []
        self.instance = dg.DagsterInstance.ephemeral()
        self.cursor: Any = None
        self.load(*assets, checks=checks)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.instance.dispose()

    def load(self, *assets: Any, checks: Sequence[Any] = ()) -> None:
        """Loads the location, or loads it again: what a deploy does. The memory of the conditions stays."""
        self.definitions = dg.Definitions(assets=assets, asset_checks=checks)
        self.graph = self.definitions.resolve_asset_graph()
        self._order = {key: place for place, key in enumerate(self.graph.toposorted_asset_keys)}

    def advance(self, by: timedelta) -> None:
        self.now += by

    # --- the conditions

    def look(self, *, launch: bool = True) -> set[Target]:
        """One look at all conditions; what they ask for is under way from now on (`launch`), five seconds pass."""
        with self._at():
            result = dg.evaluate_automation_conditions(
                self.definitions, self.instance, evaluation_time=self.now, cursor=self.cursor
            )
            self.cursor = result.cursor
            asked = {(key, partition) for key in self._order for partition in result.get_requested_partitions(key)}
        together: dict[Any, list[dg.AssetKey]] = defaultdict(list)
        for key, partition in asked:
            together[(str(self.graph.get(key).partitions_def), partition)].append(key)
        for (_, partition), keys in sorted(together.items(), key=str) if launch else ():
            self.start(*keys, partition=partition)
        self.advance(LOOK)
        return asked

    def forget(self) -> None:
        """The conditions lose their memory, as if their sensor had another name."""
        self.cursor = None

    # --- runs

    def start(self, *keys: dg.AssetKey, partition: str | None = None, tags: dict[str, str] | None = None) -> Run:
        """A run of these assets is under way."""
        ordered = tuple(sorted(keys, key=lambda key: self._order[key]))
        with self._at():
            run = create_run_for_test(
                self.instance,
                job_name=_JOB,
                asset_selection=frozenset(ordered),
                status=dg.DagsterRunStatus.STARTED,
                tags={**(tags or {}), **({"dagster/partition": partition} if partition else {})},
            )
            for key in ordered:
                self._log(run.run_id, "ASSET_MATERIALIZATION_PLANNED", AssetMaterializationPlannedData(key, partition))
        started = Run(run.run_id, ordered, partition)
        self.runs.append(started)
        return started

    def succeed(self, run: Run | None = None) -> None:
        """This run, or all that are under way, end well."""
        for each in self._ending(run):
            for key in each.keys:
                self.materialize(each, key)
            self._end(each, "PIPELINE_SUCCESS")

    def fail(self, run: Run | None = None, *, built: Iterable[dg.AssetKey] = ()) -> None:
        """This run, or all that are under way, fail after they built `built`."""
        for each in self._ending(run):
            for key in (key for key in each.keys if key in set(built)):
                self.materialize(each, key)
            self._end(each, "PIPELINE_FAILURE")

    def cancel(self) -> None:
        """All runs that are under way are canceled."""
        for each in self._ending(None):
            self._end(each, "PIPELINE_CANCELED")

    def materialize(self, run: Run, key: dg.AssetKey) -> None:
        """A run that goes on has built this asset."""
        event = StepMaterializationData(dg.AssetMaterialization(key, partition=run.partition))
        with self._at():
            self._log(run.run_id, "ASSET_MATERIALIZATION", event)

    # --- what happens outside

    def report(self, key: dg.AssetKey, partition: str | None = None) -> None:
        """An asset changed, by nobody's run."""
        with self._at():
            self.instance.report_runless_asset_event(dg.AssetMaterialization(key, partition=partition))

    def observe(self, key: dg.AssetKey) -> None:
        with self._at():
            self.instance.report_runless_asset_event(dg.AssetObservation(key))

    def report_check(self, check: dg.AssetCheckKey, *, passed: bool) -> None:
        """A blocking check has seen the newest materialization of its asset."""
        result = dg.AssetCheckEvaluation(check.asset_key, check.name, passed=passed, blocking=True, metadata={})
        with self._at():
            self.instance.report_runless_asset_event(result)

    def report_freshness(self, key: dg.AssetKey, *, fresh: bool) -> None:
        """The freshness daemon has looked."""
        state = FreshnessState.PASS if fresh else FreshnessState.FAIL
        with self._at():
            change = FreshnessStateChange(
                key=key, new_state=state, previous_state=FreshnessState.UNKNOWN, state_change_timestamp=0.0
            )
            self.instance.report_runless_asset_event(change)

    def wipe(self, key: dg.AssetKey) -> None:
        self.instance.wipe_assets([key])

    def built(self, key: dg.AssetKey) -> int:
        """How often an asset was built or reported."""
        with self._at():
            return len(self.instance.fetch_materializations(key, limit=1000).records)

    # --- within

    @contextmanager
    def _at(self) -> Iterator[None]:
        with freeze_time(self.now):
            yield

    def _ending(self, run: Run | None) -> list[Run]:
        ending = self.runs if run is None else [run]
        self.runs = [each for each in self.runs if each not in ending]
        return list(ending)

    def _end(self, run: Run, event: str) -> None:
        with self._at():
            self._log(run.run_id, event, None)
        self.advance(timedelta(seconds=1))

    def _log(self, run_id: str, event: str, data: Any) -> None:
        told = DagsterEvent(event_type_value=event, job_name=_JOB, event_specific_data=data, step_key=None)
        self.instance.report_dagster_event(told, run_id)
