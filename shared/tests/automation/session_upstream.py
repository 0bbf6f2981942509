"""The location of the session whose assets the other one's follow; the test copies it and edits the copy."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
from session_world import CHECK, SOURCE, UPSTREAM, Lane, lanes

from platform_shared.automation import automation_sensor, on_input_change

ZONE = "UTC"


def input_of(lane: Lane) -> dg.AssetsDefinition:
    follows = lane.of_input is None

    @dg.asset(
        key=lane.input,
        deps=[SOURCE] if follows else [],
        partitions_def=lane.of_input,
        automation_condition=on_input_change() if follows else None,
        check_specs=[dg.AssetCheckSpec(CHECK, asset=lane.input, blocking=True)],
    )
    def made() -> Iterator[Any]:
        yield dg.MaterializeResult()
        yield dg.AssetCheckResult(passed=True, check_name=CHECK)

    return made


defs = dg.Definitions(
    assets=[dg.AssetSpec(SOURCE), *(input_of(lane) for lane in lanes(ZONE).values())],
    sensors=[automation_sensor(UPSTREAM)],
    executor=dg.in_process_executor,
)
