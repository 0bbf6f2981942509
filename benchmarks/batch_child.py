"""What `benchmarks.batch` measures in a process of its own, so that the peak of memory is its own, too.

`python -m benchmarks.batch_child <what> <order as JSON>` prints one line of JSON.
"""

import json
import statistics
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import dagster as dg

from batch.sales_by_store import read_stores, to_csv
from benchmarks.watching import Watch, peak_megabytes
from platform_shared import clock
from platform_shared.files import write_atomically
from platform_shared.partitions import BUSINESS_TIME_ZONE
from platform_shared.postgres import postgres
from platform_shared.schedules import Input, Series, gap_healing_sensor, same_day
from platform_shared.settings import platform_home
from platform_shared.warehouse import Warehouse

Order = dict[str, Any]
INPUT, IDLE, GAPPED = "input", "idle", "gapped"
MISSING = 100
"""The partition that is not there, counted from the end."""


def limit(order: Order) -> Order:
    """The same query and the same files, with nothing around them."""
    folder = platform_home().reports / "limit"
    watch = Watch()
    with Warehouse.of(platform_home()).connect(read_only=True) as connection:
        found = read_stores(connection, order["days"])
    for day, stores in found.items():
        write_atomically(folder / f"{day}.csv", to_csv(stores))
    return watch.read()


def prepare(order: Order) -> Order:
    """Makes records of an input with all partitions, a report with all and one that lacks a partition."""
    keys = list(_partitions(order).get_partition_keys(current_time=clock.utc_now()))
    with dg.DagsterInstance.get() as instance:
        for name in (INPUT, IDLE, GAPPED):
            key = _key(order, name)
            most = [each for each in keys if name != GAPPED or each != keys[-MISSING]]
            instance.report_runless_asset_event(dg.AssetMaterialization(key, partition=most[0]))
            _copy_record(key, most[0], most[1:-1])
            instance.report_runless_asset_event(dg.AssetMaterialization(key, partition=most[-1]))
    return {"partitions": len(keys)}


def gap_sensor(order: Order) -> Order:
    """Looks of the platform's sensor."""
    with dg.DagsterInstance.get() as instance:

        def looks(name: str) -> Callable[[], int]:
            series = Series(
                _key(order, name), f"{name}_job", _partitions(order), (Input(_key(order, INPUT), same_day),)
            )
            sensor = gap_healing_sensor("bench", series)
            cursor: str | None = None

            def look() -> int:
                nonlocal cursor
                found = sensor(dg.build_sensor_context(instance, cursor=cursor))
                assert isinstance(found, dg.SensorResult)
                # What is missing is asked for each time, as at the first look.
                cursor = None if found.run_requests else found.cursor
                return len(found.run_requests or [])

            return look

        return _timed(order, looks)


def status(order: Order) -> Order:
    """The state of each partition, and what is not materialized: a gap sensor of a few lines. It does not see what is
    older than its input."""
    with dg.DagsterInstance.get() as instance:

        def looks(name: str) -> Callable[[], int]:
            partitions = _partitions(order)

            def look() -> int:
                keys = partitions.get_partition_keys(current_time=clock.utc_now())
                found = instance.get_status_by_partition(_key(order, name), keys, partitions) or {}
                there = [key for key, state in found.items() if state and state.value == "MATERIALIZED"]
                return len(keys) - len(there)

            return look

        return _timed(order, looks)


def missing(order: Order) -> Order:
    """Looks at the condition `missing()`, inputs there, with the cursor of the look before."""
    condition = dg.AutomationCondition.missing() & ~dg.AutomationCondition.any_deps_missing()
    with dg.DagsterInstance.get() as instance:

        def looks(name: str) -> Callable[[], int]:
            @dg.asset(
                key=_key(order, name),
                deps=[dg.AssetSpec(_key(order, INPUT), partitions_def=_partitions(order))],
                partitions_def=_partitions(order),
                automation_condition=condition,
            )
            def made() -> None: ...

            definitions = dg.Definitions([made, dg.AssetSpec(_key(order, INPUT), partitions_def=_partitions(order))])
            cursor: Any = None

            def look() -> int:
                nonlocal cursor
                found = dg.evaluate_automation_conditions(definitions, instance, cursor=cursor)
                cursor = found.cursor
                return found.total_requested

            return look

        return _timed(order, looks)


def schedule(order: Order) -> Order:
    """Ticks of the schedule that Dagster makes from a partitioned job: the newest partition, whatever is missing."""
    with dg.DagsterInstance.get() as instance:

        def looks(name: str) -> Callable[[], int]:
            @dg.asset(key=_key(order, name), partitions_def=_partitions(order))
            def made() -> None: ...

            job = dg.define_asset_job(f"{name}_job", [made])
            ticking = dg.build_schedule_from_partitioned_job(job)
            repository = dg.Definitions([made], jobs=[job], schedules=[ticking]).get_repository_def()
            definition = repository.get_schedule_def(ticking.name)

            def look() -> int:
                context = dg.build_schedule_context(
                    instance, scheduled_execution_time=clock.utc_now(), repository_def=repository
                )
                return len(definition.evaluate_tick(context).run_requests or [])

            return look

        return _timed(order, looks)


def _timed(order: Order, looks: Callable[[str], Callable[[], int]]) -> Order:
    """Medians of the rounds after a first look, in a process that does nothing else; and what the looks asked for."""
    answer: Order = {}
    for name in (IDLE, GAPPED):
        look = looks(name)
        asked = look()
        took = []
        for _ in range(order["rounds"]):
            watch = Watch()
            look()
            took.append(watch.read())
        answer[name] = {each: statistics.median(one[each] for one in took) for each in ("seconds", "cpu")}
        answer[name]["asked"] = asked
    return answer


def _partitions(order: Order) -> dg.TimeWindowPartitionsDefinition:
    number, now = order["partitions"], clock.utc_now()
    if order["cadence"] == "hourly":
        start = now - timedelta(hours=number)
        return dg.HourlyPartitionsDefinition(f"{start:%Y-%m-%d-%H:00}", timezone=BUSINESS_TIME_ZONE)
    return dg.DailyPartitionsDefinition(f"{now - timedelta(days=number):%Y-%m-%d}", timezone=BUSINESS_TIME_ZONE)


def _key(order: Order, name: str) -> dg.AssetKey:
    return dg.AssetKey([order["cadence"], name])


def _copy_record(key: dg.AssetKey, partition: str, others: list[str]) -> None:
    """In one statement, where Dagster would report tens of thousands of events one by one."""
    with postgres(platform_home()).connect() as connection, connection.cursor() as cursor:
        columns = "run_id, event, dagster_event_type, timestamp, step_key, asset_key"
        cursor.execute(
            f"INSERT INTO dagster.event_logs ({columns}, partition) SELECT {columns}, copied FROM dagster.event_logs, "
            "unnest(%s) copied WHERE asset_key = %s AND partition = %s",
            (others, key.to_string(), partition),
        )


if __name__ == "__main__":
    what: Callable[[Order], Order] = globals()[sys.argv[1]]
    answer = what(json.loads(sys.argv[2]))
    print(json.dumps({**answer, "megabytes": peak_megabytes()}))
