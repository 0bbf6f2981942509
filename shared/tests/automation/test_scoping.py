"""A location with more conditions than a sensor looks at in time has several sensors, and nothing else changes."""

import inspect
from collections.abc import Iterable
from datetime import UTC, datetime

import dagster as dg
import pytest

from platform_shared.automation import automation_sensor, on_input_change
from platform_shared.automation.scoping import (
    KEPT,
    Node,
    Scopes,
    connected_parts,
    look_seconds,
    scoped,
    scopes,
    with_scoped_sensors,
)
from platform_shared.automation.sensor import LOOK_SECONDS

NOW = datetime(2026, 3, 4, 15, 0, tzinfo=UTC)


def node(name: str, *inputs: str, conditioned: bool = True, virtual: bool = False) -> Node:
    return Node(dg.AssetKey(name), frozenset(map(dg.AssetKey, inputs)), conditioned, virtual=virtual)


def chains(number: int, length: int = 10) -> list[Node]:
    """`number` chains, each behind the same landed table."""
    return [
        node(f"chain_{chain}_{place}", f"chain_{chain}_{place - 1}" if place else "landed")
        for chain in range(number)
        for place in range(length)
    ] + [node("landed", conditioned=False)]


def parts(nodes: Iterable[Node]) -> list[set[str]]:
    found = connected_parts({each.key: each for each in nodes})
    return [{key.to_user_string() for key in part} for part in found]


def planned(nodes: list[Node]) -> Scopes:
    found = scopes(nodes)
    assert found is not None
    return found


def test_what_lands_connects_nothing() -> None:
    assert parts([node("landed", conditioned=False), node("a", "landed"), node("b", "landed")]) == [{"a"}, {"b"}]


def test_a_chain_stays_together_also_behind_a_view() -> None:
    found = parts([node("a"), node("view", "a", conditioned=False, virtual=True), node("b", "view"), node("c", "b")])
    assert found == [{"a", "view", "b", "c"}]


def test_what_is_always_built_together_stays_together() -> None:
    both = frozenset({dg.AssetKey("a"), dg.AssetKey("b")})
    assert parts([Node(key, frozenset(), True, together=both) for key in both]) == [{"a", "b"}]


def test_a_view_without_conditions_around_is_nobodys() -> None:
    assert parts([node("view", "landed", conditioned=False, virtual=True)]) == []


def test_one_sensor_is_enough_for_hundreds_of_assets() -> None:
    assert scopes(chains(40)) is None
    assert scopes([]) is None


def test_together_the_sensors_take_half_of_their_interval_at_most() -> None:
    for number in (80, 200, 400):
        nodes = chains(number)
        assert sum(map(look_seconds, nodes)) <= planned(nodes).interval / 2
        assert planned(nodes).interval % LOOK_SECONDS == 0


def test_each_asset_is_of_one_sensor_and_no_chain_is_cut() -> None:
    further = planned(chains(200)).further
    assert len(further) > 1
    seen = [key for keys in further.values() for key in keys]
    assert len(seen) == len(set(seen))
    for keys in further.values():
        names = {key.to_user_string().rpartition("_")[0] for key in keys}
        assert len(keys) == 10 * len(names)


def test_one_part_that_is_too_large_is_not_cut_but_looked_at_less_often() -> None:
    nodes = chains(1, length=2000)
    assert sum(len(keys) for keys in planned(nodes).further.values()) in (0, 2000)
    assert planned(nodes).interval >= 2 * sum(map(look_seconds, nodes))


def test_a_new_asset_moves_no_other_one() -> None:
    before, after = planned(chains(100)), planned([*chains(100), node("newcomer", "landed")])
    assert before.interval == after.interval
    for scope, keys in before.further.items():
        assert keys <= after.further[scope]


def test_one_more_sensor_takes_of_the_others_and_changes_nothing_else() -> None:
    few, many = planned(chains(100)), planned(chains(160))
    assert many.interval > few.interval
    added = set(many.further) - set(few.further)
    moved = {
        key
        for scope, keys in few.further.items()
        for key in keys
        if not any(key in many.further[other] for other in (scope, *added))
    }
    assert moved == set()


# --- in a location


def table(name: str, *deps: str) -> dg.AssetsDefinition:
    @dg.asset(name=name, deps=[*deps], automation_condition=on_input_change())
    def made() -> None: ...

    return made


@pytest.fixture(scope="module")
def large() -> dg.Definitions:
    """120 chains of six assets, and one asset that another sensor has."""
    assets = [
        table(f"chain_{chain}_{place}", f"chain_{chain}_{place - 1}" if place else "landed")
        for chain in range(120)
        for place in range(6)
    ]
    apart = dg.AssetSelection.assets("apart")
    other = dg.AutomationConditionSensorDefinition("apart_sensor", target=apart)
    ours = automation_sensor("shop", target=dg.AssetSelection.all() - apart)
    return dg.Definitions([*assets, table("apart")], sensors=[ours, other], metadata={"kept": "yes"})


def test_a_small_location_stays_as_it_is() -> None:
    definitions = dg.Definitions([table("a"), dg.AssetSpec("b")], sensors=[automation_sensor("shop")])
    assert with_scoped_sensors(definitions) is definitions


def test_the_sensors_of_a_large_location_have_each_of_its_assets_once(large: dg.Definitions) -> None:
    split = with_scoped_sensors(large)
    repository = split.get_repository_def()
    sensors = [each for each in repository.sensor_defs if isinstance(each, dg.AutomationConditionSensorDefinition)]
    names = {sensor.name for sensor in sensors}
    assert {"shop_automation_sensor", "shop_automation_2_sensor", "apart_sensor"} <= names
    targets = [key for sensor in sensors for key in sensor.asset_selection.resolve(repository.asset_graph)]
    assert len(targets) == len(set(targets)) == 721
    for sensor in sensors:
        if sensor.name != "apart_sensor":
            assert sensor.default_status is dg.DefaultSensorStatus.RUNNING
            assert (sensor.minimum_interval_seconds or 0) > LOOK_SECONDS
            assert sensor.run_tags == automation_sensor("shop").run_tags
    assert split.metadata == large.metadata


def test_nothing_of_the_definitions_is_left_out() -> None:
    assert {*KEPT, "sensors"} == set(inspect.signature(dg.Definitions.__new__).parameters) - {"cls"}


def test_the_checks_of_an_asset_go_with_it() -> None:
    @dg.asset_check(asset="a", automation_condition=dg.AutomationCondition.eager())
    def sound() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=True)

    plan = Scopes(10, {1: frozenset({dg.AssetKey("a")})})
    rest, moved = scoped(automation_sensor("shop"), plan)
    graph = dg.Definitions([table("a"), table("b")], asset_checks=[sound]).resolve_asset_graph()
    assert moved.asset_selection.resolve_checks(graph) == {dg.AssetCheckKey(dg.AssetKey("a"), "sound")}
    assert rest.asset_selection.resolve_checks(graph) == set()
