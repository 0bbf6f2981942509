"""Several sensors for a location with more conditions than one sensor looks at in time.

A look costs by assets and inputs, is done by one thread, and holds back what it asks for until it is over; the threads
of the daemon share one interpreter. So above a limit a location's automation sensor becomes several, each over whole
connected parts of the graph, and they look less often: together they take half of their interval at most.

Connected is what Dagster's looks tell each other: that an input is asked for in this very look. A connected part is
never cut, as its chains would not share a run any more; one that is above the limit by itself only looks less often.
Which sensor has a part follows from the part's first asset, as a sensor that gets an asset knows nothing of its past.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import dagster as dg

from platform_shared.automation.sensor import LOOK_SECONDS, is_automation_sensor

ASSET_SECONDS, INPUT_SECONDS, TIMES_PARTITIONED = 0.0025, 0.0015, 2.5
"""CPU of a look at `on_input_change`, the dearest condition but one, by `benchmarks/automation.py`."""

KEPT = ("assets", "schedules", "jobs", "resources", "executor", "loggers", "asset_checks", "metadata", "component_tree")
"""All that `dg.Definitions` is made of, but sensors."""


@dataclass(frozen=True)
class Node:
    """An asset of the location: what it is made of, and what Dagster looks at."""

    key: dg.AssetKey
    inputs: frozenset[dg.AssetKey]
    conditioned: bool
    partitioned: bool = False
    virtual: bool = False
    together: frozenset[dg.AssetKey] = frozenset()
    """Others that are always built with it: of one multi-asset that cannot be subset."""


@dataclass(frozen=True)
class Scopes:
    """How a location's assets are looked at: how often (seconds), and what the sensors beside the first one have."""

    interval: int
    further: Mapping[int, frozenset[dg.AssetKey]]


def scopes(nodes: Iterable[Node]) -> Scopes | None:
    """The sensors for these assets; None if one is enough."""
    by_key = {node.key: node for node in nodes}
    seconds = sum(look_seconds(node) for node in by_key.values())
    if seconds <= LOOK_SECONDS / 2:
        return None
    number = math.ceil(seconds / (LOOK_SECONDS / 2))
    further: dict[int, frozenset[dg.AssetKey]] = {}
    for part in connected_parts(by_key):
        if scope := _scope_of(min(part), number):
            further[scope] = further.get(scope, frozenset()) | part
    return Scopes(LOOK_SECONDS * number, dict(sorted(further.items())))


def look_seconds(node: Node) -> float:
    """CPU that a look at this asset takes."""
    if not node.conditioned:
        return 0.0
    return (ASSET_SECONDS + INPUT_SECONDS * len(node.inputs)) * (TIMES_PARTITIONED if node.partitioned else 1)


def connected_parts(nodes: Mapping[dg.AssetKey, Node]) -> list[frozenset[dg.AssetKey]]:
    """Assets with conditions that must be looked at together; what has none (a table that lands) connects nothing."""
    neighbours: dict[dg.AssetKey, set[dg.AssetKey]] = {
        key: set() for key, node in nodes.items() if node.conditioned or node.virtual
    }
    for key in neighbours:
        for other in nodes[key].inputs | nodes[key].together:
            if other in neighbours:
                neighbours[key].add(other)
                neighbours[other].add(key)
    parts = []
    left = dict.fromkeys(sorted(neighbours))
    while left:
        reached, frontier = set(), [next(iter(left))]
        while frontier:
            key = frontier.pop()
            if key in left:
                del left[key]
                reached.add(key)
                frontier += neighbours[key]
        if any(nodes[key].conditioned for key in reached):
            parts.append(frozenset(reached))
    return parts


def with_scoped_sensors(definitions: dg.Definitions) -> dg.Definitions:
    """These definitions, with the location's automation sensor as several if it has too many assets for one."""
    planned = scopes(_nodes(definitions))
    if planned is None:
        return definitions
    sensors: list[Any] = []
    for sensor in definitions.sensors or ():
        if isinstance(sensor, dg.AutomationConditionSensorDefinition) and is_automation_sensor(sensor):
            sensors += scoped(sensor, planned)
        else:
            sensors.append(sensor)
    return dg.Definitions(**{name: getattr(definitions, name) for name in KEPT}, sensors=sensors)


def scoped(
    sensor: dg.AutomationConditionSensorDefinition, planned: Scopes
) -> Iterator[dg.AutomationConditionSensorDefinition]:
    """The sensors that take the place of this one. The first keeps its name, and with that the memory of its assets."""
    selection = sensor.asset_selection
    elsewhere = frozenset[dg.AssetKey]().union(*planned.further.values())
    stem = sensor.name.removesuffix("_sensor")
    yield _copy(sensor, sensor.name, selection - dg.AssetSelection.assets(*elsewhere), planned.interval)
    for scope, keys in planned.further.items():
        target = selection & dg.AssetSelection.assets(*keys)
        yield _copy(sensor, f"{stem}_{scope + 1}_sensor", target, planned.interval)


def _copy(
    sensor: dg.AutomationConditionSensorDefinition, name: str, target: dg.AssetSelection, seconds: int
) -> dg.AutomationConditionSensorDefinition:
    return dg.AutomationConditionSensorDefinition(
        name,
        target=target,
        default_status=sensor.default_status,
        minimum_interval_seconds=seconds,
        run_tags=sensor.run_tags,
    )


def _scope_of(first: dg.AssetKey, number: int) -> int:
    """Which of `number` scopes has the part of this asset. With one more scope, only what that one gets moves."""
    return max(range(number), key=lambda scope: sha256(f"{scope} {first.to_user_string()}".encode()).digest())


def _nodes(definitions: dg.Definitions) -> Iterator[Node]:
    for each in definitions.assets or ():
        if isinstance(each, dg.AssetsDefinition):
            together = frozenset(each.keys) if len(each.keys) > 1 and not each.can_subset else frozenset()
            yield from (_node(spec, together) for spec in each.specs)
        elif isinstance(each, dg.AssetSpec):
            yield _node(each, frozenset())


def _node(spec: dg.AssetSpec, together: frozenset[dg.AssetKey]) -> Node:
    return Node(
        key=spec.key,
        inputs=frozenset(dep.asset_key for dep in spec.deps),
        conditioned=spec.automation_condition is not None,
        partitioned=spec.partitions_def is not None,
        virtual=spec.is_virtual,
        together=together,
    )
