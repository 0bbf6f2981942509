"""How long a look at the conditions takes, ours beside stock `eager()`, in one process and in turn.

Graphs of 100, 500 and 2,000 assets: a chain, layers (each asset has three inputs) and daily assets with a year of
partitions, in chains of ten. All exist and nothing happens: what nearly every look of a day costs. Counted is the CPU
of the evaluation with its cursor, with Python's garbage collector on (as the daemon has it) and off, and the peak of
memory of a process that does nothing else. The looks of the conditions alternate, the fastest of each counts.

`python -m benchmarks.automation`; `--sizes 100` is a short try.
"""

import argparse
import gc
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from platform_shared import automation

NOW = datetime(2026, 3, 4, 15, 0, tzinfo=UTC)
YEAR = dg.DailyPartitionsDefinition("2025-03-04", timezone="America/New_York")
SHAPES = ("chain", "layers", "daily")
FAN_IN = 3
LOOKS = 3

CONDITIONS: dict[str, Callable[[], automation.Condition]] = {
    "eager()": dg.AutomationCondition.eager,
    "on_input_change": automation.on_input_change,
    "on_any_input_partition": automation.on_any_input_partition,
    "on_complete_partition": lambda: automation.on_complete_partition(timedelta(days=7)),
    "on_cron_when_inputs_ready": lambda: automation.on_cron_when_inputs_ready("0 6 * * *", "America/New_York"),
    "heal_gaps": lambda: automation.heal_gaps(timedelta(days=7)),
    "on_code_change": automation.on_code_change,
    "on_freshness_failure": automation.on_freshness_failure,
}
GROWTH = ("eager()", "on_input_change")


@dataclass
class Case:
    """The assets of one shape and size with one condition, and the memory that their looks hand on."""

    definitions: dg.Definitions
    instance: dg.DagsterInstance
    cursor: Any = None
    fastest: dict[bool, float] = field(default_factory=lambda: {True: float("inf"), False: float("inf")})

    def look(self, at: datetime, *, collected: bool) -> None:
        """A look at `at`, with the garbage collector on or off."""
        gc.collect()
        if not collected:
            gc.disable()
        before = time.process_time()
        result = dg.evaluate_automation_conditions(
            self.definitions, self.instance, evaluation_time=at, cursor=self.cursor
        )
        took = time.process_time() - before
        gc.enable()
        if self.cursor is not None:
            assert result.total_requested == 0, "something happens in a graph where nothing should"
            self.fastest[collected] = min(self.fastest[collected], took)
        self.cursor = result.cursor


def graph(shape: str, size: int, condition: automation.Condition) -> list[dg.AssetsDefinition]:
    """`size` assets in this shape."""

    def make(number: int, inputs: Sequence[int]) -> dg.AssetsDefinition:
        @dg.asset(
            name=f"asset_{number:04}",
            deps=[f"asset_{each:04}" for each in inputs],
            partitions_def=YEAR if shape == "daily" else None,
            automation_condition=condition,
        )
        def made() -> None: ...

        return made

    return [make(number, _inputs(shape, number)) for number in range(size)]


def _inputs(shape: str, number: int) -> list[int]:
    if shape == "layers":
        width = 20
        above = (number // width - 1) * width
        return [above + (number + step) % width for step in range(FAN_IN)] if above >= 0 else []
    if shape == "daily":
        return [number - 1] if number % 10 else []
    return [number - 1] if number else []


def measure(shape: str, size: int, names: Sequence[str], looks: int = LOOKS) -> dict[str, dict[bool, float]]:
    """Seconds of CPU for a look, by condition, with the garbage collector and without."""
    with dg.DagsterInstance.ephemeral() as instance:
        cases = {}
        for name in names:
            assets = graph(shape, size, CONDITIONS[name]())
            cases[name] = Case(dg.Definitions(assets=assets), instance)
        _build(instance, shape, size)
        for look in range(2 * looks + 2):
            for case in cases.values():
                case.look(NOW + look * timedelta(seconds=5), collected=look % 2 == 0)
    return {name: case.fastest for name, case in cases.items()}


def _build(instance: dg.DagsterInstance, shape: str, size: int) -> None:
    days = YEAR.get_partition_keys(current_time=NOW)[-1:] if shape == "daily" else [None]
    for number in range(size):
        for day in days:
            instance.report_runless_asset_event(dg.AssetMaterialization(f"asset_{number:04}", partition=day))


def nodes(condition: automation.Condition) -> tuple[int, int]:
    """Parts of a condition that are looked at once an asset, and once an input."""
    inside = 0
    outside = 1
    for child in condition.children:
        in_child = nodes(child)
        outside, inside = outside + in_child[0], inside + in_child[1]
    if condition.name.startswith(("ANY_DEPS", "ALL_DEPS")):
        return 1, outside + inside
    return outside, inside


def _memory(shape: str, size: int, name: str) -> float:
    """Peak MB of a process of its own that looks at such a graph twice."""
    command = [sys.executable, "-W", "ignore", "-m", __spec__.name, "--memory-of", shape, str(size), name]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 500, 2000])
    parser.add_argument("--memory-of", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.memory_of:
        shape, size, name = arguments.memory_of
        measure(shape, int(size), [name], looks=1)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        return

    print(f"## A look at {arguments.sizes[0]} assets in layers, by condition\n")
    print("| condition | parts an asset | parts an input | CPU s | times eager() | without collector | times |")
    print("|---|--:|--:|--:|--:|--:|--:|")
    by_name = measure("layers", arguments.sizes[0], list(CONDITIONS))
    stock = by_name["eager()"]
    for name, took in by_name.items():
        own, inputs = nodes(CONDITIONS[name]())
        times = " | ".join(
            f"{took[collected]:.2f} | {took[collected] / stock[collected]:.2f}" for collected in (True, False)
        )
        print(f"| `{name}` | {own} | {inputs} | {times} |")

    print("\n## Growth: eager() / on_input_change\n")
    print("| shape | assets | CPU s | times | without collector | times | ms an asset | peak MB |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|")
    for shape in SHAPES:
        for size in arguments.sizes:
            stock, ours = measure(shape, size, GROWTH).values()
            times = " | ".join(
                f"{stock[collected]:.2f} / {ours[collected]:.2f} | {ours[collected] / stock[collected]:.2f}"
                for collected in (True, False)
            )
            each = f"{1000 * stock[True] / size:.1f} / {1000 * ours[True] / size:.1f}"
            memory = " / ".join(f"{_memory(shape, size, name):.0f}" for name in GROWTH)
            print(f"| {shape} | {size} | {times} | {each} | {memory} |", flush=True)


if __name__ == "__main__":
    main()
