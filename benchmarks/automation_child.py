"""A graph of `automation.py` in a process of its own, which takes a look whenever it is told to.

Each line it reads is a mode of Python's garbage collector; it answers with the CPU seconds of a look in that mode, and
with its peak of memory in MB at the end of the input.
"""

import gc
import resource
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from benchmarks.automation import COLLECTORS, CONDITIONS
from platform_shared.automation import Condition

NOW = datetime(2026, 3, 4, 15, 0, tzinfo=UTC)
YEAR = dg.DailyPartitionsDefinition("2025-03-04", timezone="America/New_York")
FAN_IN = 3
WIDTH = 20


def main(shape: str, size: int, condition: str) -> None:
    definitions = dg.Definitions(assets=graph(shape, size, CONDITIONS[condition]()))
    cursor: Any = None
    with dg.DagsterInstance.ephemeral() as instance:
        for key in definitions.resolve_all_asset_keys():
            day = YEAR.get_partition_keys(current_time=NOW)[-1] if shape == "daily" else None
            instance.report_runless_asset_event(dg.AssetMaterialization(key, partition=day))
        for look, mode in enumerate(sys.stdin):
            gc.set_threshold(*COLLECTORS[mode.strip()])
            at = NOW + look * timedelta(seconds=5)
            before = time.process_time()
            result = dg.evaluate_automation_conditions(definitions, instance, evaluation_time=at, cursor=cursor)
            took = time.process_time() - before
            assert not look or result.total_requested == 0, "something happens in a graph where nothing should"
            cursor = result.cursor
            del result
            print(took, flush=True)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def graph(shape: str, size: int, condition: Condition) -> list[dg.AssetsDefinition]:
    """`size` assets in this shape."""

    def make(number: int) -> dg.AssetsDefinition:
        @dg.asset(
            name=f"asset_{number:04}",
            deps=[f"asset_{each:04}" for each in inputs(shape, number)],
            partitions_def=YEAR if shape == "daily" else None,
            automation_condition=condition,
        )
        def made() -> None: ...

        return made

    return [make(number) for number in range(size)]


def inputs(shape: str, number: int) -> Sequence[int]:
    """The numbers of the assets that this one is made of."""
    if shape == "layers":
        above = (number // WIDTH - 1) * WIDTH
        return [above + (number + step) % WIDTH for step in range(FAN_IN)] if above >= 0 else []
    if shape == "daily":
        return [number - 1] if number % 10 else []
    return [number - 1] if number else []


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
