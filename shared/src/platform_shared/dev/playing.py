"""What `make demo` waits for: everything that was dropped is loaded, in the marts and in the report, to the cent."""

import asyncio
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from statistics import median
from typing import Any

import dagster as dg
import duckdb

from platform_shared.cli.formats import table
from platform_shared.contracts import DAILY_SALES, RAW_ORDER_LINES
from platform_shared.dev.preconditions import CannotStart
from platform_shared.dev.world import DEMO_MODULE, world_arguments
from platform_shared.ledger import Ledger, UnitState
from platform_shared.settings import Home
from platform_shared.warehouse import Warehouse

FEED = "order_lines"
REPORT = dg.AssetKey(["reports", "sales_report"])
_CENT = Decimal("0.01")
_WAITING = (UnitState.DISCOVERED, UnitState.REQUESTED)
_LOOK_EVERY_SECONDS = 1.0


@dataclass(frozen=True)
class PlayedDay:
    """What the demo world dropped for one business day; `sales` in US dollars."""

    day: date
    objects: int
    rows: int
    sales: Decimal


@dataclass(frozen=True)
class Progress:
    """What the platform has made of it so far."""

    objects: Mapping[str, int] = field(default_factory=dict)
    """Versions of files by state."""
    in_s3: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """The same of the other feeds, by feed."""
    set_aside: Sequence[str] = ()
    raw: Mapping[date, tuple[int, Decimal]] = field(default_factory=dict)
    """Rows and dollars by day."""
    marts: Mapping[date, Decimal] = field(default_factory=dict)
    household_spend: Decimal = Decimal(0)
    report: Decimal | None = None
    active_runs: int = 0
    failed_runs: Sequence[str] = ()


@dataclass(frozen=True)
class PlayedObjects:
    """What one report of the demo world says that it put into S3."""

    feed: str
    objects: int
    rows: int


def played(line: str) -> PlayedDay | PlayedObjects:
    """Reads a line that the demo world prints for a day of files, or for objects of another feed."""
    values = json.loads(line)
    if values["feed"] != FEED:
        return PlayedObjects(values["feed"], int(values["objects"]), int(values["rows"]))
    day = date.fromisoformat(values["day"])
    return PlayedDay(day, int(values["objects"]), int(values["rows"]), Decimal(values["sales"]))


def waits_for(played: Sequence[PlayedDay], put: Sequence[PlayedObjects], now: Progress) -> str | None:
    """The first thing that is not there yet, in words; None if all is."""
    files, total = sum(day.objects for day in played), sum((day.sales for day in played), Decimal(0))
    loaded = now.objects.get(UnitState.LOADED, 0)
    if loaded < files:
        return f"{loaded} of {files} files are loaded"
    for day in played:
        if now.raw.get(day.day, (0, Decimal(0))) != (day.rows, day.sales):
            return f"raw/order_lines of {day.day} is not complete"
    missing = [day for day in played if now.marts.get(day.day, Decimal(0)) != day.sales]
    if missing:
        return f"marts/daily_sales has {len(played) - len(missing)} of {len(played)} days"
    if now.household_spend != total:
        return "marts/household_spend is not fresh yet"
    if now.report != total:
        return "reports/sales_report is not fresh yet"
    for feed, objects in _objects_by_feed(put).items():
        ended = sum(number for state, number in now.in_s3.get(feed, {}).items() if state not in _WAITING)
        if ended < objects:
            return f"{ended} of {objects} objects of {feed} are loaded"
    if now.active_runs:
        return f"{now.active_runs} runs have not ended"
    return None


def _objects_by_feed(put: Sequence[PlayedObjects]) -> dict[str, int]:
    numbers: dict[str, int] = {}
    for each in put:
        numbers[each.feed] = numbers.get(each.feed, 0) + each.objects
    return numbers


def problem(now: Progress) -> str | None:
    """Why waiting is in vain, or None."""
    if now.set_aside:
        return "files are set aside: " + "; ".join(now.set_aside[:3])
    if now.failed_runs:
        return "runs failed after their last retry: " + "; ".join(now.failed_runs[:3])
    return None


def measure(warehouse: Warehouse, ledger: Ledger, instance: dg.DagsterInstance) -> Progress:
    """Looks at ledger, lake and runs."""
    raw: dict[date, tuple[int, Decimal]] = {}
    marts: dict[date, Decimal] = {}
    spend = Decimal(0)
    with warehouse.connect(read_only=True) as lake:
        for row in _rows(lake, "SELECT business_date, count(*), sum(sales_value) FROM lake.raw.order_lines GROUP BY 1"):
            raw[row[0]] = (row[1], row[2])
        for row in _rows(lake, "SELECT business_date, sum(sales_value) FROM lake.marts.daily_sales GROUP BY 1"):
            marts[row[0]] = row[1]
        for row in _rows(lake, "SELECT coalesce(sum(sales_value), 0) FROM lake.marts.household_spend"):
            spend = row[0]
    event = instance.get_latest_materialization_event(REPORT)
    report = None
    if event is not None and event.asset_materialization is not None:
        value = event.asset_materialization.metadata["sales_value"].value
        report = Decimal(str(value)).quantize(_CENT)
    active = instance.get_runs_count(
        dg.RunsFilter(
            statuses=[
                dg.DagsterRunStatus.QUEUED,
                dg.DagsterRunStatus.NOT_STARTED,
                dg.DagsterRunStatus.STARTING,
                dg.DagsterRunStatus.STARTED,
            ]
        )
    )
    failed = [
        f"{run.job_name} ({run.run_id})"
        for run in instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE]), limit=20)
        if run.tags.get("dagster/will_retry") != "true"
    ]
    counts = ledger.counts()
    return Progress(
        objects=counts.pop(FEED, {}),
        in_s3=counts,
        set_aside=[unit.reason or unit.object_id for feed in (FEED, *counts) for unit in ledger.quarantined(feed)],
        raw=raw,
        marts=marts,
        household_spend=spend,
        report=report,
        active_runs=active,
        failed_runs=failed,
    )


async def play(home: Home, *, days: int, timeout: float, now: str | None, environment: Mapping[str, str]) -> int:
    """Plays the last `days` complete days with trade and waits until all is fresh; prints progress and the table.

    Returns 0, or 1 with the reason on stderr: something failed for good, or `timeout` seconds went by. `now` (ISO 8601)
    stands for the present. The demo world gets this environment; it plays in S3 too if that says where it is.
    """
    began = time.monotonic()
    days_played, objects = await _play_days(home.landing, days, now, environment)
    if not days_played:
        print("The demo world dropped nothing.", file=sys.stderr)
        return 1
    state, said = Progress(), ""
    with dg.DagsterInstance.get() as instance:
        warehouse = await asyncio.to_thread(Warehouse.of, home)
        ledger = Ledger(warehouse.server)
        try:
            while True:
                state = await asyncio.to_thread(measure, warehouse, ledger, instance)
                missing, wrong = waits_for(days_played, objects, state), problem(state)
                if missing is None or wrong or time.monotonic() - began > timeout:
                    break
                if missing != said:
                    print(f"  {time.monotonic() - began:4.0f} s  {missing}", flush=True)
                    said = missing
                await asyncio.sleep(_LOOK_EVERY_SECONDS)
            measured = await asyncio.to_thread(latency, home.landing, days_played, instance)
        finally:
            ledger.close()
    rows = summary(days_played, objects, state, measured, time.monotonic() - began)
    print("\n" + table(["what", "how many", "sales, US $"], rows))
    if missing is None:
        print(f"All equal, to the cent. The state stays in {home.root}; the report is {home.reports}/sales_report.html")
        return 0
    print(f"Failed: {wrong or f'after {timeout:.0f} s still waiting: {missing}'}", file=sys.stderr)
    print(f"Look into it: PLATFORM_HOME={home.root} .venv/bin/platform status; logs: {home.root}/logs", file=sys.stderr)
    return 1


async def _play_days(
    landing: Path, days: int, now: str | None, environment: Mapping[str, str]
) -> tuple[list[PlayedDay], list[PlayedObjects]]:
    landing.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", DEMO_MODULE, *world_arguments(landing, environment), "--days", str(days)]
    command += ["--now", now] if now else []
    world = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, env=environment)
    assert world.stdout is not None
    days_played: list[PlayedDay] = []
    objects: list[PlayedObjects] = []
    try:
        async for line in world.stdout:
            match played(line.decode()):
                case PlayedDay() as day:
                    lines = f"{day.rows:,} lines, {day.sales:,.2f} $"
                    print(f"  dropped {day.objects} files of {day.day}: {lines}", flush=True)
                    days_played.append(day)
                case PlayedObjects() as put:
                    print(f"  put {put.objects} objects of {put.feed} into S3: {put.rows:,} rows", flush=True)
                    objects.append(put)
    except asyncio.CancelledError:
        # Only here: asyncio's way to signal a process that has just ended loses its exit code.
        world.terminate()
        raise
    if code := await world.wait():
        raise CannotStart(f"The demo world ended with {code}.")
    return [day for day in days_played if day.objects], objects


@dataclass(frozen=True)
class Latency:
    """Seconds from the last file of a business day in the landing zone to the day in `marts/daily_sales`."""

    median: float
    longest: float


def latency(landing: Path, played: Sequence[PlayedDay], instance: dg.DagsterInstance) -> Latency | None:
    """Measured from the files' times and the events; None if nothing was played."""
    seconds = []
    for day in played:
        files = list((landing / FEED / day.day.isoformat()).iterdir()) if day.objects else []
        built = instance.fetch_materializations(
            dg.AssetRecordsFilter(asset_key=DAILY_SALES.key, asset_partitions=[day.day.isoformat()]), limit=1
        ).records
        if files and built:
            landed = max(file.stat().st_mtime for file in files)
            seconds.append(built[0].timestamp - landed)
    return Latency(median(seconds), max(seconds)) if seconds else None


def summary(
    played: Sequence[PlayedDay],
    objects: Sequence[PlayedObjects],
    now: Progress,
    measured: Latency | None,
    seconds: float,
) -> list[list[str]]:
    """Rows of the closing table: what, how many, dollars."""
    in_s3: dict[str, tuple[int, int]] = {}
    for put in objects:
        number, rows_of_feed = in_s3.get(put.feed, (0, 0))
        in_s3[put.feed] = (number + put.objects, rows_of_feed + put.rows)
    rows = [
        [
            f"landing/{FEED}",
            f"{sum(day.objects for day in played):,} files, {len(played)} days",
            f"{sum((day.sales for day in played), Decimal(0)):,.2f}",
        ],
        *([f"S3: {feed}", f"{number:,} objects, {many:,} rows", ""] for feed, (number, many) in in_s3.items()),
        [
            RAW_ORDER_LINES.key.to_user_string(),
            f"{sum(rows for rows, _ in now.raw.values()):,} rows",
            f"{sum((sales for _, sales in now.raw.values()), Decimal(0)):,.2f}",
        ],
        ["marts/daily_sales", f"{len(now.marts)} days", f"{sum(now.marts.values(), Decimal(0)):,.2f}"],
        ["marts/household_spend", "", f"{now.household_spend:,.2f}"],
        ["reports/sales_report", "", f"{now.report or 0:,.2f}"],
    ]
    if measured is not None:
        rows.append(["latency landing → mart", f"median {measured.median:.0f} s, longest {measured.longest:.0f} s", ""])
    rows.append(["all fresh after", f"{seconds:.0f} s", ""])
    return rows


def _rows(connection: duckdb.DuckDBPyConnection, sql: str) -> list[tuple[Any, ...]]:
    """The rows, or none while the table is not there."""
    try:
        return connection.execute(sql).fetchall()
    except duckdb.CatalogException:
        return []
