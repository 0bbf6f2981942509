"""Whatever the order of changes, looks and builds: in the end the asset has seen every change, and few builds did it.

A model keeps what each build has read: its inputs as they were when its run began, which is the worst case. `mid` is
made of `first`, `last` of `mid` and `second`; both follow their inputs.
"""

import math
import os
from dataclasses import dataclass, field
from datetime import UTC, datetime

import dagster as dg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from platform_shared.automation import Condition, on_input_change
from platform_shared.testing.simulation import Run, Simulation

NOW = datetime(2026, 3, 4, 15, 0, tzinfo=UTC)
FIRST, SECOND, MID, LAST = (dg.AssetKey(name) for name in ("first", "second", "mid", "last"))

EXAMPLES = settings(
    max_examples=2_000 if os.environ.get("PLATFORM_SOAK") else 25, suppress_health_check=[HealthCheck.too_slow]
)

GOOD_STEPS = ["first changes", "second changes", "look", "look", "oldest ends", "newest ends", "last by hand"]
BAD_STEPS = [*GOOD_STEPS, "oldest fails", "half fails", "all are canceled"]


def sources() -> list[dg.AssetSpec]:
    return [dg.AssetSpec(FIRST), dg.AssetSpec(SECOND)]


def assets(condition: Condition) -> list[dg.AssetsDefinition]:
    @dg.asset(key=MID, deps=[FIRST], automation_condition=condition)
    def mid() -> None: ...

    @dg.asset(key=LAST, deps=[MID, SECOND], automation_condition=condition)
    def last() -> None: ...

    return [mid, last]


@dataclass
class Model:
    """What the assets contain: numbers of the changes of `first` and `second` that are in them."""

    simulation: Simulation
    first: int = 0
    second: int = 0
    mid: int = -1
    last: tuple[int, int] = (-1, -1)
    requests: int = 0
    reading: dict[str, tuple[int, int, int]] = field(default_factory=dict)

    def change(self, key: dg.AssetKey) -> None:
        if key == FIRST:
            self.first += 1
        else:
            self.second += 1
        self.simulation.report(key)

    def look(self) -> int:
        building = self._building()
        asked = self.simulation.look()
        assert not building & {key for key, _ in asked}, "asked for what is being built"
        self._read()
        self.requests += (LAST, None) in asked
        return len(asked)

    def by_hand(self) -> None:
        if LAST not in self._building() and self.mid >= 0:
            self.simulation.start(LAST)
            self._read()

    def end(self, run: Run, *, built: tuple[dg.AssetKey, ...], well: bool) -> None:
        first, second, mid = self.reading[run.run_id]
        if MID in built:
            self.mid = mid = first
        if LAST in built:
            self.last = (mid, second)
        if well:
            self.simulation.succeed(run)
        else:
            self.simulation.fail(run, built=built)

    def settle(self) -> None:
        """Looks until nothing comes any more; all builds end well."""
        quiet = 0
        for _ in range(40):
            quiet = quiet + 1 if self.look() == 0 and not self.simulation.under_way else 0
            if quiet == 3:
                return
            for run in list(self.simulation.under_way):
                self.end(run, built=run.keys, well=True)
        pytest.fail("the conditions do not come to rest")

    def play(self, step: str) -> None:
        runs = self.simulation.under_way
        if step in ("first changes", "second changes"):
            self.change(FIRST if step == "first changes" else SECOND)
        elif step == "look":
            self.look()
        elif step == "last by hand":
            self.by_hand()
        elif step == "all are canceled":
            self.simulation.cancel()
        elif runs:
            run = runs[-1] if step.startswith("newest") else runs[0]
            built = {
                "oldest fails": (),
                "newest fails": (),
                "half fails": run.keys[:1] if len(run.keys) > 1 else (),
            }.get(step, run.keys)
            self.end(run, built=built, well=step in ("oldest ends", "newest ends"))

    def _building(self) -> set[dg.AssetKey]:
        return {key for run in self.simulation.under_way for key in run.keys}

    def _read(self) -> None:
        for run in self.simulation.under_way:
            self.reading.setdefault(run.run_id, (self.first, self.second, self.mid))


@EXAMPLES
@given(st.lists(st.sampled_from(GOOD_STEPS), max_size=25))
def test_in_the_end_the_asset_has_seen_every_change(steps: list[str]) -> None:
    with Simulation(*sources(), *assets(on_input_change()), now=NOW) as simulation:
        model = Model(simulation)
        model.change(FIRST)
        model.change(SECOND)
        for step in steps:
            model.play(step)
        model.settle()
        assert (model.mid, model.last) == (model.first, (model.first, model.second))


@EXAMPLES
@given(st.lists(st.sampled_from(BAD_STEPS), max_size=25))
def test_after_failures_the_next_change_repairs_everything(steps: list[str]) -> None:
    with Simulation(*sources(), *assets(on_input_change()), now=NOW) as simulation:
        model = Model(simulation)
        model.change(FIRST)
        model.change(SECOND)
        for step in steps:
            model.play(step)
        model.settle()
        changes = model.first + model.second
        # `mid` changes at most once for each change of `first`, and a build by hand is followed by one more.
        assert model.requests <= changes + model.first + steps.count("last by hand") + 1
        model.change(FIRST)
        model.change(SECOND)
        model.settle()
        assert (model.mid, model.last) == (model.first, (model.first, model.second))


def test_an_input_that_fails_beside_a_busy_asset_costs_one_build_at_most() -> None:
    """`mid` is asked for while `last` is being built, so that they cannot share a run, and `mid` fails."""
    with Simulation(*sources(), *assets(on_input_change()), now=NOW) as simulation:
        model = Model(simulation)
        model.change(FIRST)
        model.change(SECOND)
        model.settle()
        model.requests = 0
        for step in ("last by hand", "first changes", "look", "newest fails", "oldest ends"):
            model.play(step)
        model.settle()
        assert model.requests == 1


@pytest.mark.parametrize(
    ("changes", "every", "duration"), [(20, 1, 1), (20, 1, 4), (20, 1, 30), (12, 3, 5), (10, 2, 7)]
)
def test_a_flood_makes_as_many_builds_as_fit_into_it_and_one(changes: int, every: int, duration: int) -> None:
    """`changes` one every `every` looks; a build takes `duration` looks."""
    with Simulation(*sources(), *assets(on_input_change()), now=NOW) as simulation:
        model = Model(simulation)
        model.change(FIRST)
        model.change(SECOND)
        model.settle()
        model.requests = 0
        ages: dict[str, int] = {}
        for look in range(changes * every):
            if look % every == 0:
                model.change(SECOND)
            model.look()
            for run in list(simulation.under_way):
                ages[run.run_id] = ages.get(run.run_id, 0) + 1
                if ages[run.run_id] == duration:
                    model.end(run, built=run.keys, well=True)
        model.settle()
        assert model.last == (model.first, model.second)
        assert 2 <= model.requests <= math.ceil(changes * every / duration) + 1


def test_the_model_finds_what_eager_loses() -> None:
    with Simulation(*sources(), *assets(dg.AutomationCondition.eager()), now=NOW) as simulation:
        model = Model(simulation)
        model.look()
        for step in ("first changes", "second changes", "look", "second changes", "look", "oldest ends"):
            model.play(step)
        model.settle()
        assert model.last == (1, 1)
        assert model.second == 2
