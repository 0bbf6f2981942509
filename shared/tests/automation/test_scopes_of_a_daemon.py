"""A location whose conditions are looked at by several sensors, in the daemon: what a change asks for, and what becomes
of a change that waits while another deploy divides the assets anew."""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest

from platform_shared.automation import automation_sensor, on_input_change, scoping
from platform_shared.automation.scoping import with_scoped_sensors
from platform_shared.testing.daemon import DaemonHarness

NOW = datetime(2026, 3, 4, 15, 0, tzinfo=UTC)
LANDED = dg.AssetKey("landed")
PLACES = 2
BUILT: Counter[str] = Counter()


def chain(name: str) -> list[dg.AssetsDefinition]:
    """`name_0` reads what lands, each of the others the one before it."""

    def link(place: int) -> dg.AssetsDefinition:
        key = f"{name}_{place}"

        @dg.asset(name=key, deps=[f"{name}_{place - 1}" if place else LANDED], automation_condition=on_input_change())
        def made() -> None:
            BUILT[key] += 1

        return made

    return [link(place) for place in range(PLACES)]


@dg.asset_check(asset=LANDED, blocking=True)
def sound() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=True)


def location(*names: str) -> dg.Definitions:
    """A chain of each name, by as many sensors as it takes."""
    assets = [each for name in names for each in chain(name)]
    return with_scoped_sensors(
        dg.Definitions([dg.AssetSpec(LANDED), *assets], asset_checks=[sound], sensors=[automation_sensor("shop")])
    )


def scopes_of(definitions: dg.Definitions) -> dict[str, frozenset[str]]:
    """The chains of each sensor."""
    graph = definitions.resolve_asset_graph()
    return {
        sensor.name: frozenset(
            key.to_user_string().rpartition("_")[0] for key in sensor.asset_selection.resolve(graph) if key != LANDED
        )
        for sensor in definitions.sensors or ()
        if isinstance(sensor, dg.AutomationConditionSensorDefinition)
    }


FEW = [f"chain_{n}" for n in range(5)]
MANY = [f"chain_{n}" for n in range(8)]


class Shop:
    def __init__(self, daemon: DaemonHarness) -> None:
        self.daemon = daemon

    def lands(self, *, passes: bool = True) -> None:
        self.daemon.report(LANDED)
        self.check(passes=passes)

    def check(self, *, passes: bool) -> None:
        result = dg.AssetCheckEvaluation(LANDED, "sound", passed=passes, blocking=True, metadata={})
        self.daemon.instance.report_runless_asset_event(result)

    def built(self) -> Counter[str]:
        """How often what is built, until nothing is asked for any more."""
        BUILT.clear()
        asked = True
        while asked:
            self.daemon.advance(timedelta(minutes=1))
            self.daemon.tick_automation()
            asked = bool(self.daemon.execute_runs())
        return Counter(BUILT)


@pytest.fixture
def shop(daemon_harness: Callable[..., DaemonHarness], monkeypatch: pytest.MonkeyPatch) -> Shop:
    """Five chains by several sensors, all of them built."""
    # So that a sensor has two chains in the middle, not hundreds.
    monkeypatch.setattr(scoping, "ASSET_SECONDS", 0.6)
    shop = Shop(daemon_harness({"shop": location(*FEW)}, NOW))
    shop.lands()
    assert shop.built() == once(FEW)
    return shop


def once(names: Any) -> Counter[str]:
    return Counter(f"{name}_{place}" for name in names for place in range(PLACES))


def test_a_change_reaches_the_end_of_each_chain_once_whichever_sensor_it_is_of(shop: Shop) -> None:
    scopes = scopes_of(location(*FEW))
    assert len([names for names in scopes.values() if names]) > 1
    shop.lands()
    assert shop.built() == once(FEW)
    for sensor, names in scopes.items():
        asked = {key.to_user_string() for tick in shop.daemon.ticks(sensor) for key, _ in tick.targets}
        assert asked == set(once(names)), "each asset is asked for by its own sensor"
    assert len(shop.daemon.runs()) == 2 * len([names for names in scopes.values() if names]), "a run each and change"


def test_another_division_builds_what_is_new_and_nothing_again(shop: Shop) -> None:
    before, after = scopes_of(location(*FEW)), scopes_of(location(*MANY))
    assert len(after) > len(before)
    shop.daemon.reload(shop=location(*MANY))
    assert shop.built() == once(set(MANY) - set(FEW))
    shop.lands()
    assert shop.built() == once(MANY)


def test_a_change_that_waits_is_forgotten_where_another_sensor_takes_over(shop: Shop) -> None:
    """docs/automation.md says so. What stays with its sensor is built, and the next change builds all."""
    before, after = scopes_of(location(*FEW)), scopes_of(location(*MANY))
    stay = {name for sensor, names in before.items() for name in names & after[sensor]}
    assert set() < stay < set(FEW)
    shop.lands(passes=False)
    assert shop.built() == {}
    shop.daemon.reload(shop=location(*MANY))
    assert shop.built() == {}
    shop.check(passes=True)
    assert shop.built() == once(stay | (set(MANY) - set(FEW)))
    shop.lands()
    assert shop.built() == once(MANY)
