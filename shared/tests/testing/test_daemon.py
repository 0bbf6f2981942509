import dagster as dg
from datetime import datetime, UTC, timedelta
from platform_shared.automation import automation_sensor, on_input_change
import time

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)

@dg.asset(automation_condition=on_input_change(), deps=["up"])
def child(): ...

def test_first(daemon_harness):
    t=time.perf_counter()
    defs = dg.Definitions(assets=[dg.AssetSpec("up"), child], sensors=[automation_sensor("a")])
    h = daemon_harness({"a": defs}, NOW)
    print("open", time.perf_counter()-t); t=time.perf_counter()
    h.report(dg.AssetKey("up"))
    print("report", time.perf_counter()-t); t=time.perf_counter()
    ticks = h.tick_automation()
    print("tick", time.perf_counter()-t); t=time.perf_counter()
    print(ticks)
    print(h.execute_runs())
    print("exec", time.perf_counter()-t); t=time.perf_counter()
    h.reload()
    print("reload", time.perf_counter()-t); t=time.perf_counter()
    ticks = h.tick_automation()
    print("tick", time.perf_counter()-t); t=time.perf_counter()
    print(ticks)
    h.run_until_quiet()
    print("quiet", time.perf_counter()-t); t=time.perf_counter()
    assert h.materialized(dg.AssetKey("child")) == [None]

def test_ingestion(daemon_harness, platform_home):
    t=time.perf_counter()
    h = daemon_harness({"ingestion": "ingestion.definitions", "operations": "operations.definitions"}, NOW)
    print("open", time.perf_counter()-t); t=time.perf_counter()
    print(h.tick_sensors())
    print("tick", time.perf_counter()-t); t=time.perf_counter()
