"""The location of the automation's kill tests. Each build notes in BUILDS what it is and which version it has read.

`pair` has two children of different partitions, hence two runs a change; `fan` has one child of two partitions, hence a
backfill, of a run each.
"""

import os
import time
from pathlib import Path

import dagster as dg

from platform_shared.automation import automation_sensor, on_input_change

FOLDER_VARIABLE = "AUTOMATION_KILLS"
VERSION, BUILDS, FAIL_ONCE, HOLD = "version", "builds", "fail once", "hold"
PAIR, FAN = dg.AssetKey("pair"), dg.AssetKey("fan")

NORTH = dg.StaticPartitionsDefinition(["north"])
SIDES = dg.StaticPartitionsDefinition(["left", "right"])


def build(context: dg.AssetExecutionContext) -> None:
    folder = Path(os.environ[FOLDER_VARIABLE])
    version = (folder / VERSION).read_text()
    if (folder / FAIL_ONCE).exists():
        (folder / FAIL_ONCE).unlink()
        raise RuntimeError("the first try is to fail")
    while (folder / HOLD).exists():
        time.sleep(0.05)
    partition = context.partition_key if context.has_partition_key else "-"
    with (folder / BUILDS).open("a") as builds:
        builds.write(f"{context.asset_key.path[-1]} {partition} {version}\n")


@dg.asset(deps=[PAIR], automation_condition=on_input_change())
def total(context: dg.AssetExecutionContext) -> None:
    build(context)


@dg.asset(deps=[PAIR], partitions_def=NORTH, automation_condition=on_input_change())
def region(context: dg.AssetExecutionContext) -> None:
    build(context)


@dg.asset(deps=[FAN], partitions_def=SIDES, automation_condition=on_input_change())
def side(context: dg.AssetExecutionContext) -> None:
    build(context)


defs = dg.Definitions(
    assets=[dg.AssetSpec(PAIR), dg.AssetSpec(FAN), total, region, side],
    sensors=[automation_sensor("automation")],
    executor=dg.in_process_executor,
)
