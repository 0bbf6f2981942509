import pytest
import time, importlib.util, sys
from platform_shared.contracts import RAW_ORDER_LINES
KEY = RAW_ORDER_LINES.key

def lap(m, t=[time.perf_counter()]):
    n=time.perf_counter(); print(f"## {m} {n-t[0]:.2f}"); t[0]=n

def test_x(platform, landing):
    C = sys.modules[type(platform).__module__]; Line, csv_of, HEADER = C.Line, C.csv_of, C.HEADER
    lap("start")
    landing.deliver("a.csv", [Line(1), Line(2)])
    landing.deliver("bad_number.csv", csv_of([Line(3), Line(4, quantity="two"), Line(5)]))
    landing.deliver("bad_header.csv", csv_of([Line(3)], header=HEADER.replace("quantity","qty")))
    landing.deliver("torn.csv", csv_of([Line(6), Line(7)])[:-40])
    landing.deliver("old.csv", [Line(8), Line(9, day="2024-01-01")])
    t=platform.daemon.tick_sensors(); lap("tick")
    print(t)
    print([ (r.status, r.tags) for r in platform.daemon.execute_runs()]); lap("run")
    print(platform.rows()); lap("rows")
    print(platform.daemon.materialized(KEY))
    for k,v in platform.reasons().items(): print("REASON", v)
    print(platform.messages())
    print(platform.daemon.check(KEY, "no_file_in_quarantine"))
    import os
    print(sorted(os.listdir(platform.home.quarantine/"order_lines")))
    lap("other")
    print(platform.daemon.tick_sensors()); lap("tick")
