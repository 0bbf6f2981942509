"""Automation conditions tick by tick, without daemon, Postgres or processes: what a condition says after each event.

Cheap enough to show every turn of a condition. What comes of a request (grouping, backfills, queue, retries) and
whether the sensor asks at all is not seen here: that takes `platform_shared.testing.daemon`.
"""

from collections.abc import Mapping
from contextlib import ExitStack
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self

import dagster as dg

from platform_shared.testing.daemon import frozen

LOOK_PAUSE = timedelta(seconds=30)
"""How long a sensor of Dagster's own waits between two looks."""


class Simulation:
    """A few assets (with `checks` and `jobs`) and a new instance in memory, at `now` (aware); a context manager.

    Dagster's clock stands still but for `advance` and the LOOK_PAUSE before each `tick`.
    """

    def __init__(self, *assets: Any, now: datetime, checks: Any = (), jobs: Any = ()) -> None:
        if now.tzinfo is None:
            raise ValueError("`now` needs a time zone")
        self.now = now
        self.becomes(*assets, checks=checks, jobs=jobs)
        self._cursor: Any = None
        self._open, self._clock = ExitStack(), ExitStack()

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

    def becomes(self, *assets: Any, checks: Any = (), jobs: Any = ()) -> None:
        """Loads other definitions, as a deploy does; the instance and the memory of the conditions stay."""
        self.definitions = dg.Definitions(assets=assets, asset_checks=checks, jobs=jobs)

    def tick(self) -> set[str]:
        """One evaluation of all conditions, LOOK_PAUSE later; names what it requests.

        Names are `table`, `schema/table`, `table 2026-03-01` (with its partition), `table:check`, and those of jobs.
        """
        self.advance(LOOK_PAUSE)
        result = dg.evaluate_automation_conditions(
            self.definitions, self.instance, evaluation_time=self.now, cursor=self._cursor
        )
        self._cursor = result.cursor
        return {name for each in result.results for name in _names(result, each)}

    def report(self, key: Any, partition: str | None = None, *, version: str | None = None) -> None:
        """Records a materialization from outside any run, with this data version if one is given."""
        tags = {"dagster/data_version": version} if version else None
        event = dg.AssetMaterialization(dg.AssetKey.from_coercible(key), partition=partition, tags=tags)
        self.instance.report_runless_asset_event(event)

    def report_check(self, key: Any, name: str, *, passed: bool, blocking: bool = False) -> None:
        """Records the result of a check from outside any run."""
        asset = dg.AssetKey.from_coercible(key)
        result = dg.AssetCheckEvaluation(asset, name, passed=passed, blocking=blocking, metadata={})
        self.instance.report_runless_asset_event(result)

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

    def _freeze(self) -> None:
        self._clock.close()
        self._clock.enter_context(frozen(self.now))


def _names(result: Any, each: Any) -> set[str]:
    key = each.key
    if isinstance(key, dg.AssetKey):
        asset = "/".join(key.path)
        return {f"{asset} {part}" if part else asset for part in result.get_requested_partitions(key)}
    if not each.true_subset.size:
        return set()
    return {f"{'/'.join(key.asset_key.path)}:{key.name}" if isinstance(key, dg.AssetCheckKey) else key.job_name}
