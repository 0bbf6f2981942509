"""A location whose settings are the platform's or Dagster's defaults, by BENCH_SETTINGS: `automation_latency.py`.

Pairs of a raw table and a mart, each with its landing folder, and as many tables that nobody waits for as make the
number of conditions that the demo has. What they do takes no time: measured is what is around it.
"""

import os
import time
from pathlib import Path

import dagster as dg

from benchmarks.automation_latency import PAIRS
from platform_shared.automation import automation_sensor, on_input_change

OTHERS = 18
OURS = os.environ["BENCH_SETTINGS"] == "platform"
FOLDER = Path(os.environ["BENCH_FOLDER"])
CONDITION = on_input_change() if OURS else dg.AutomationCondition.eager()
RUNNING = dg.DefaultSensorStatus.RUNNING


def pair(number: int) -> dg.Definitions:
    """Files with numbers for names land in `landing_<number>`; the mart notes which it has, and when."""
    landing, table = FOLDER / f"landing_{number}", FOLDER / f"raw_{number}"

    @dg.asset(name=f"raw_{number}")
    def raw() -> None:
        table.write_text(str(max(int(file.name) for file in landing.iterdir())))

    @dg.asset(name=f"mart_{number}", deps=[raw], automation_condition=CONDITION)
    def mart() -> None:
        has = table.read_text()
        with (FOLDER / f"mart_{number}").open("a") as file:
            print(has, time.time(), file=file)

    @dg.sensor(
        name=f"landing_{number}_sensor",
        target=dg.AssetSelection.assets(raw.key),
        minimum_interval_seconds=5 if OURS else None,
        default_status=RUNNING,
    )
    def landed(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        newest = max((int(file.name) for file in landing.iterdir()), default=0)
        new = newest > int(context.cursor or 0)
        return dg.SensorResult([dg.RunRequest(run_key=str(newest))] if new else [], cursor=str(newest))

    return dg.Definitions([raw, mart], sensors=[landed])


def other(number: int) -> dg.AssetsDefinition:
    @dg.asset(name=f"other_{number}", deps=[f"other_{number - 1}"] if number else [], automation_condition=CONDITION)
    def made() -> None: ...

    return made


def automation() -> dg.AutomationConditionSensorDefinition:
    if OURS:
        return automation_sensor("bench")
    name = "default_automation_condition_sensor"
    return dg.AutomationConditionSensorDefinition(name, target=dg.AssetSelection.all(), default_status=RUNNING)


defs = dg.Definitions.merge(
    *map(pair, range(PAIRS)),
    dg.Definitions([*map(other, range(OTHERS))], sensors=[automation()]),
    dg.Definitions(executor=dg.in_process_executor) if OURS else dg.Definitions(),
)
