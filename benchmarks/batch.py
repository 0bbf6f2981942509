"""A year of daily partitions by one command, under each backfill policy; and what a look for gaps costs.

- The year: the daily store sales of the real purchases, through a real daemon and its queue, as one run, as runs of
  thirty days and as a run a day; the limit beside them is the same query and the same files in one bare process.
- Looks: a daily report of five years and an hourly one, nothing due and one partition missing: the platform's gap
  sensor, Dagster's partition states, its condition `missing()`, and the tick of a schedule, which looks for no gap.

Run it with `make bench`; `python -m benchmarks.batch --days 7 --runs 2 --daily 400 --hourly 400` is a short try.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import yaml

from benchmarks.watching import watched
from demo_world.calendar import data_day
from demo_world.package import data_file
from platform_shared.backfills.launching import Ask, assets, launch, progress
from platform_shared.backfills.planning import plan
from platform_shared.contracts import DAILY_SALES
from platform_shared.environ import environment_variables
from platform_shared.instance_home import environment_of, prepare_home
from platform_shared.partitions import FIRST_BUSINESS_DATE
from platform_shared.postgres import URL_VARIABLE, postgres, stop_embedded
from platform_shared.settings import Home
from platform_shared.warehouse import TableName, Warehouse, create_table, literal
from platform_shared.why.questions import temporary_webserver

ROOT = Path(__file__).parents[1]
PATIENCE_SECONDS = 3600
LOOK_EVERY_SECONDS = 0.5
WAYS = ("gap_sensor", "status", "missing", "schedule")

Answer = dict[str, Any]

_DAILY_SALES = """
SELECT business_date, store_id, count(*), count(DISTINCT basket_id), sum(quantity)::BIGINT,
       sum(sales_value::DECIMAL(12, 2))
FROM read_parquet($path)
JOIN days ON timezone('America/New_York', timezone('UTC', transaction_timestamp))::DATE = played
GROUP BY ALL
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, default=364, help="of the backfills; 0 leaves them out")
    parser.add_argument("--runs", type=int, default=6, help="of the way of a run a day; the others are extrapolated")
    parser.add_argument("--daily", type=int, default=1_826, help="partitions of the daily report that is looked at")
    parser.add_argument("--hourly", type=int, default=43_800, help="of the hourly one")
    parser.add_argument("--rounds", type=int, default=5, help="looks of each kind, of which the median counts")
    arguments = parser.parse_args()
    # A benchmark that is ended ends what it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))
    os.environ.pop(URL_VARIABLE, None)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="platform-bench-") as folder:
        home = Home(Path(folder).resolve() / "platform")
        prepare_home(home, ROOT)
        with environment_variables(environment_of(home)):
            try:
                postgres(home)
                if arguments.days:
                    year(home, arguments.days, min(arguments.runs, arguments.days))
                looks({"daily": arguments.daily, "hourly": arguments.hourly}, arguments.rounds)
            finally:
                stop_embedded(home)
    print(f"\n{time.monotonic() - began:.0f} s in all on {os.cpu_count()} cores, load {os.getloadavg()[1]:.1f}")


def year(home: Home, days: int, runs: int) -> None:
    """Prints a row for each way."""
    dates = [FIRST_BUSINESS_DATE + timedelta(days=n) for n in range(days)]
    fill(home, dates)
    print(f"## {days} daily partitions\n")
    print("| | runs | seconds | CPU s | times the limit's | peak MB |")
    print("|---|--:|--:|--:|--:|--:|")
    limit = child("limit", days=[str(day) for day in dates])
    print_way("the limit: the same query and files in one process", limit, limit)
    with daemon(home) as (ask, pid):
        print_way("`single_run()`", backfill(home, ask, pid, "single_run", dates), limit)
        print_way("`multi_run(30)`", backfill(home, ask, pid, "multi_run_30", dates), limit)
        some = backfill(home, ask, pid, "run_a_day", dates[:runs])
        scale = days / runs
        whole = {**some, **{name: some[name] * scale for name in ("runs", "seconds", "cpu")}}
        print_way(f"a run a day, of {runs}", whole, limit)
    for name in ("single_run", "multi_run_30", "run_a_day"):
        written = {path.name: path.read_bytes() for path in (home.reports / name).iterdir()}
        bare = {path.name: path.read_bytes() for path in (home.reports / "limit").iterdir() if path.name in written}
        assert written == bare, f"the files of {name} are not those of the limit"


def fill(home: Home, dates: Sequence[date]) -> None:
    """The table that is read, from the real purchases, and its announcement."""
    warehouse = Warehouse.of(home)
    file = home.root / "daily_sales.parquet"
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE days (business_date DATE, played DATE)")
        connection.executemany("INSERT INTO days VALUES (?, ?)", [(day, data_day(day)) for day in dates])
        query = _DAILY_SALES.replace("$path", literal(str(data_file("transactions"))))
        connection.execute(f"COPY ({query}) TO {literal(str(file))} (FORMAT parquet)")
    with warehouse.connect() as lake:
        table = TableName(DAILY_SALES.schema, DAILY_SALES.table)
        create_table(warehouse, lake, table, DAILY_SALES.types)
        lake.execute(f"INSERT INTO {table.sql} FROM read_parquet({literal(str(file))})")
    with dg.DagsterInstance.get() as instance:
        for day in dates:
            instance.report_runless_asset_event(dg.AssetMaterialization(DAILY_SALES.key, partition=str(day)))


@contextmanager
def daemon(home: Home) -> Iterator[tuple[Ask, int]]:
    """A real daemon over the location, with a webserver to ask; and the daemon's process, which starts the runs."""
    workspace = home.root / "workspace.yaml"
    location = {"module_name": "benchmarks.batch_world", "working_directory": str(ROOT)}
    workspace.write_text(yaml.safe_dump({"load_from": [{"python_module": location}]}))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "dagster._daemon", "run", "-w", str(workspace)]
    with temporary_webserver(workspace, home.root, environment) as ask, (home.root / "daemon.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=home.root, env=environment, stdout=log, stderr=log, start_new_session=True
        )
        try:
            yield ask, process.pid
        finally:
            process.terminate()
            process.wait(120)


def backfill(home: Home, ask: Ask, pid: int, name: str, dates: Sequence[date]) -> Answer:
    """What the backfill costs from its launch to its end, all processes of the daemon together."""
    parts = plan(assets(ask), [f"reports/{name}"], str(dates[0]), str(dates[-1]))
    with watched(pid) as family:
        family.look()
        before, began = family.cpu, time.monotonic()
        id_ = launch(ask, parts, name)
        while not (now := progress(ask, id_)).is_over:
            if time.monotonic() - began > PATIENCE_SECONDS:
                raise RuntimeError(f"{name}: {now.built} of {now.targeted} after {PATIENCE_SECONDS} s")
            time.sleep(LOOK_EVERY_SECONDS)
        took = {"seconds": time.monotonic() - began, "cpu": family.cpu - before}
    if not now.is_good:
        raise RuntimeError(f"{name} failed: {(home.root / 'daemon.log').read_text()[-2000:]}")
    with dg.DagsterInstance.get() as instance:
        runs = instance.get_runs_count(dg.RunsFilter(tags={"dagster/backfill": id_}))
    return {**took, "runs": runs, "megabytes": family.megabytes}


def looks(sizes: dict[str, int], rounds: int) -> None:
    """Prints a row for each way to look, and size."""
    print("\n## A look for gaps, CPU seconds of its process\n")
    print("| partitions | | nothing due | one missing | peak MB |")
    print("|---|---|--:|--:|--:|")
    for cadence, partitions in sizes.items():
        order = {"cadence": cadence, "partitions": partitions, "rounds": rounds}
        child("prepare", **order)
        for way in WAYS:
            found = child(way, **order)
            cells = (f"{found[name]['cpu']:.3f}, asks for {found[name]['asked']}" for name in ("idle", "gapped"))
            print(
                f"| {partitions:,} {cadence} | `{way}` | {' | '.join(cells)} | {found['megabytes']:.0f} |", flush=True
            )


def child(what: str, **order: Any) -> Answer:
    """Does something of `batch_child` in a process."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "benchmarks.batch_child", what, json.dumps(order)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        check=True,
    )
    answer: Answer = json.loads(done.stdout.splitlines()[-1])
    return answer


def print_way(name: str, answer: Answer, limit: Answer) -> None:
    times = answer["cpu"] / limit["cpu"]
    print(
        f"| {name} | {answer.get('runs', 0):,.0f} | {answer['seconds']:,.1f} | {answer['cpu']:,.1f} | {times:,.0f} "
        f"| {answer['megabytes']:,.0f} |",
        flush=True,
    )


if __name__ == "__main__":
    main()
