"""How long a look at the conditions takes, ours beside stock `eager()`; and how long it is from landing zone to mart.

**Looks.** Graphs of 100, 500 and 2,000 assets: a chain, layers (each asset has three inputs) and daily assets with a
year of partitions, in chains of ten. All exist and nothing happens: what nearly every look of a day costs. Counted is
the CPU of the evaluation with its cursor, in a process a condition, which look in turn, with Python's garbage collector
as Dagster's daemon has it and as the daemon of `make dev` has it; the mean of several looks, as a collection falls into
one look and is of several.

**Landing to mart.** `automation_latency.py`.

`python -m benchmarks.automation`; `--sizes 100 --drops 0` is a short try.
"""

import argparse
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

import dagster as dg

from platform_shared import automation

ROOT = Path(__file__).parents[1]
SHAPES = ("chain", "layers", "daily")
COLLECTORS = {"stock": (700, 10, 10), "platform": (200_000, 50, 100)}
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


class Case:
    """The process that looks at one graph under one condition."""

    def __init__(self, shape: str, size: int, condition: str) -> None:
        self.seconds: dict[str, list[float]] = {mode: [] for mode in COLLECTORS}
        command = [sys.executable, "-W", "ignore", "-m", "benchmarks.automation_child", shape, str(size), condition]
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def look(self, mode: str) -> float:
        assert self._process.stdin
        assert self._process.stdout
        print(mode, file=self._process.stdin, flush=True)
        return float(self._process.stdout.readline())

    def mean(self, mode: str) -> float:
        return statistics.mean(self.seconds[mode])

    def end(self) -> float:
        """Ends the process; returns its peak of memory in MB."""
        answer, _ = self._process.communicate(timeout=60)
        return float(answer)


def measure(shape: str, size: int, names: Sequence[str]) -> tuple[list[Case], list[float]]:
    """The conditions' cases after their looks, and the peaks of memory in MB."""
    cases = [Case(shape, size, name) for name in names]
    try:
        for case in cases:
            case.look("stock")
        for _ in range(max(1, 800 // size)):
            for mode in COLLECTORS:
                for case in cases:
                    case.seconds[mode].append(case.look(mode))
    finally:
        memory = [case.end() for case in cases]
    return cases, memory


def parts(condition: automation.Condition) -> tuple[int, int]:
    """Parts of a condition that are looked at once an asset, and once an input."""
    inside = 0
    outside = 1
    for child in condition.children:
        in_child = parts(child)
        outside, inside = outside + in_child[0], inside + in_child[1]
    if condition.name.startswith(("ANY_DEPS", "ALL_DEPS")):
        return 1, outside + inside
    return outside, inside


def by_condition(size: int) -> None:
    print(f"## A look at {size} assets in layers, by condition\n")
    print("| condition | parts an asset | parts an input | CPU s, stock collector | times | as `make dev` | times |")
    print("|---|--:|--:|--:|--:|--:|--:|")
    cases, _ = measure("layers", size, list(CONDITIONS))
    for (name, make), case in zip(CONDITIONS.items(), cases, strict=True):
        own, inputs = parts(make())
        times = " | ".join(
            f"{case.mean(mode):.2f} | {case.mean(mode) / cases[0].mean(mode):.2f}" for mode in COLLECTORS
        )
        print(f"| `{name}` | {own} | {inputs} | {times} |", flush=True)


def growth(sizes: Sequence[int]) -> None:
    print("\n## Growth: eager() / on_input_change\n")
    print("| shape | assets | CPU s, stock collector | times | as `make dev` | times | ms an asset | peak MB |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|")
    for shape in SHAPES:
        for size in sizes:
            (stock, ours), memory = measure(shape, size, GROWTH)
            times = " | ".join(
                f"{stock.mean(mode):.2f} / {ours.mean(mode):.2f} | {ours.mean(mode) / stock.mean(mode):.2f}"
                for mode in COLLECTORS
            )
            each = " / ".join(f"{1000 * case.mean('platform') / size:.1f}" for case in (stock, ours))
            print(f"| {shape} | {size} | {times} | {each} | {memory[0]:.0f} / {memory[1]:.0f} |", flush=True)


def main() -> None:
    from benchmarks.automation_latency import latency

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="*", default=[100, 500, 2000])
    parser.add_argument("--drops", type=int, default=12, help="files from landing to mart; 0 leaves that out")
    arguments = parser.parse_args()
    began = time.monotonic()
    # A benchmark that is ended ends what it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))
    if arguments.sizes:
        by_condition(arguments.sizes[0])
        growth(arguments.sizes)
    if arguments.drops:
        latency(arguments.drops)
    print(f"\n{time.monotonic() - began:.0f} s in all on {os.cpu_count()} cores, load {os.getloadavg()[1]:.1f}")


if __name__ == "__main__":
    main()
