"""What the conditions promise of partitioned assets, and of one over all partitions, through the real daemon."""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
import dagster as dg
import pytest
from platform_shared.automation import on_any_input_partition, on_input_change
from platform_shared.testing.daemon import DaemonHarness

Lab = Callable[..., DaemonHarness]

DAYS = dg.DailyPartitionsDefinition("2026-03-01", timezone="America/New_York", end_offset=1)
D1, D2, D3 = "2026-03-01", "2026-03-02", "2026-03-03"
RAW, DAILY, WEEK = dg.AssetKey("raw"), dg.AssetKey("daily"), dg.AssetKey("total")

raw = dg.AssetSpec(RAW, partitions_def=DAYS)

@dg.asset(key=RAW, partitions_def=DAYS)
def raw_made() -> None: ...

@dg.asset(key=DAILY, deps=[RAW], partitions_def=DAYS, automation_condition=on_input_change(), backfill_policy=dg.BackfillPolicy.single_run())
def daily() -> None: ...

@dg.asset(key=dg.AssetKey("daily2"), deps=[DAILY], partitions_def=DAYS, automation_condition=on_input_change(), backfill_policy=dg.BackfillPolicy.single_run())
def daily2() -> None: ...

@dg.asset(key=WEEK, deps=[RAW], automation_condition=on_any_input_partition())
def total() -> None: ...

@dg.asset(key=WEEK, deps=[DAILY], automation_condition=on_any_input_partition())
def total_of_daily() -> None: ...

def asked(ticks):
    return [sorted((k.to_user_string(), p) for k, p in t.targets) for t in ticks]

def test_s1(lab):
    p = lab(raw_made, total)
    p.launch(RAW, partition=D1); p.execute_runs()
    print("T1", asked(p.tick_automation()))
    p.backfill(RAW, partitions=[D1, D2, D3]); p.tick_backfills();
    print([(r.tags.get("dagster/partition"), r.asset_selection, r.status) for r in p.runs()])
    # run raw's before the total's
    p.dequeue()
    held = [r for r in p._launcher.held if RAW in (p.instance.get_run_by_id(r).asset_selection)]
    print(held)
    for r in held: p._execute(r, False)
    print("T2", asked(p.tick_automation()))
    p.execute_runs()
    print("T3", [asked(p.tick_automation()) for _ in range(3)])

def test_s2(lab):
    p = lab(raw_made, daily)
    p.launch(RAW, partition=D1); p.execute_runs()
    print("T1", asked(p.tick_automation()))
    p.backfill(RAW, partitions=[D1]); p.tick_backfills();
    p.dequeue()
    held = [r for r in p._launcher.held if RAW in (p.instance.get_run_by_id(r).asset_selection)]
    for r in held: p._execute(r, False)
    print("T2", asked(p.tick_automation()))
    p.execute_runs()
    print("T3", [asked(p.tick_automation()) for _ in range(3)])

def test_s3(lab):
    p = lab(raw, daily)
    p.report(RAW, D1)
    print("T1", asked(p.tick_automation()))
    p.report(RAW, D1, ago=timedelta(seconds=10))
    p.execute_runs()
    print("T3", [asked(p.tick_automation()) for _ in range(3)])

def test_s4(lab):
    p = lab(raw, daily, daily2)
    for d in (D1, D2, D3): p.report(RAW, d)
    print("T1", asked(p.tick_automation()))
    for i in range(6):
        print([ (b.status) for b in p.tick_backfills()])
        print([(r.tags.get("dagster/asset_partition_range_start"), sorted(k.to_user_string() for k in r.asset_selection)) for r in p.execute_runs()])
        print("T", asked(p.tick_automation()))
    print(Counter(p.materialized(DAILY)), Counter(p.materialized(dg.AssetKey("daily2"))))

def test_s5(lab):
    p = lab(raw, daily, daily2, total_of_daily)
    for d in (D1, D2, D3): p.report(RAW, d)
    print("T1", asked(p.tick_automation()))
    for i in range(6):
        print([ (b.status) for b in p.tick_backfills()])
        print([(r.tags.get("dagster/asset_partition_range_start"), sorted(k.to_user_string() for k in r.asset_selection)) for r in p.execute_runs()])
        print("T", asked(p.tick_automation()))
    print(Counter(p.materialized(DAILY)), Counter(p.materialized(dg.AssetKey("daily2"))), len(p.materialized(WEEK)))
