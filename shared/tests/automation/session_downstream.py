"""The location of the session whose assets have the conditions; the test copies it and edits the copy."""

import os
import time
from datetime import timedelta
from pathlib import Path

import dagster as dg
from session_world import BREAK, DOWNSTREAM, FOLDER_VARIABLE, HOLD, PROBE, TRIES, Lane, lanes

from platform_shared.automation import automation_sensor, on_code_change, on_input_change

ZONE = "UTC"
CODE = "1"
DEPLOYED = 0
NEWCOMERS = False


def assets(lane: Lane, key: dg.AssetKey, leaf: dg.AssetKey) -> list[dg.AssetsDefinition]:
    @dg.asset(
        key=key,
        deps=[lane.input],
        partitions_def=lane.of_asset,
        code_version=CODE,
        automation_condition=lane.condition(),
        freshness_policy=dg.FreshnessPolicy.time_window(fail_window=timedelta(days=1)),
    )
    def made() -> None:
        if key == lane.asset:
            build(lane.name)

    @dg.asset(key=leaf, deps=[key], automation_condition=on_input_change())
    def wants_it() -> None: ...

    return [made, wants_it] if lane.name == "on_demand" else [made]


def build(name: str) -> None:
    """Is made to wait and to fail by the test."""
    folder = Path(os.environ[FOLDER_VARIABLE])
    with (folder / TRIES).open("a") as tries:
        tries.write(f"{name}\n")
    while (folder / HOLD).exists():
        time.sleep(0.05)
    if (folder / BREAK).exists():
        raise RuntimeError(f"{name} is to fail")


def all_assets() -> list[dg.AssetsDefinition]:
    found = []
    for lane in lanes(ZONE).values():
        found += assets(lane, lane.asset, lane.newer("leaves"))
        if NEWCOMERS:
            found += assets(lane, lane.newer("newcomers"), lane.newer("leaves_of_newcomers"))
    return found


@dg.asset(key=PROBE, code_version=str(DEPLOYED), automation_condition=on_code_change())
def probe() -> None:
    """Asked for in each look that is the first at a new deploy."""


defs = dg.Definitions(
    assets=[*all_assets(), probe], sensors=[automation_sensor(DOWNSTREAM)], executor=dg.in_process_executor
)
