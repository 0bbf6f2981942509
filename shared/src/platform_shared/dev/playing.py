"""What `make demo` waits for: everything that was dropped is loaded, in the marts and in the report, to the cent."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from statistics import median

import dagster as dg
import duckdb

from platform_shared.contracts import DAILY_SALES, RAW_ORDER_LINES
from platform_shared.ledger import Ledger, UnitState
from platform_shared.warehouse import Warehouse

FEED = "order_lines"
REPORT = dg.AssetKey(["reports", "sales_report"])
_CENT = Decimal("0.01")


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
    set_aside: Sequence[str] = ()
    raw: Mapping[date, tuple[int, Decimal]] = field(default_factory=dict)
    """Rows and dollars by day."""
    marts: Mapping[date, Decimal] = field(default_factory=dict)
    household_spend: Decimal = Decimal(0)
    report: Decimal | None = None
    active_runs: int = 0
    failed_runs: Sequence[str] = ()


def played_day(line: str) -> PlayedDay:
    """Reads a line that the demo world prints for a day."""
    values = json.loads(line)
    day = date.fromisoformat(values["day"])
    return PlayedDay(day, int(values["objects"]), int(values["rows"]), Decimal(values["sales"]))


def waits_for(played: Sequence[PlayedDay], now: Progress) -> str | None:
    """The first thing that is not there yet, in words; None if all is."""
    objects, total = sum(day.objects for day in played), sum((day.sales for day in played), Decimal(0))
    loaded = now.objects.get(UnitState.LOADED, 0)
    if loaded < objects:
        return f"{loaded} of {objects} files are loaded"
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
    if now.active_runs:
        return f"{now.active_runs} runs have not ended"
    return None


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
    return Progress(
        objects=ledger.counts().get(FEED, {}),
        set_aside=[unit.reason or unit.object_id for unit in ledger.quarantined(FEED)],
        raw=raw,
        marts=marts,
        household_spend=spend,
        report=report,
        active_runs=active,
        failed_runs=failed,
    )


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


def summary(played: Sequence[PlayedDay], now: Progress, measured: Latency | None, seconds: float) -> list[list[str]]:
    """Rows of the closing table: what, how many, dollars."""
    rows = [
        [
            f"landing/{FEED}",
            f"{sum(day.objects for day in played):,} files, {len(played)} days",
            f"{sum((day.sales for day in played), Decimal(0)):,.2f}",
        ],
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


def _rows(connection: duckdb.DuckDBPyConnection, sql: str) -> list[tuple[object, ...]]:
    """The rows, or none while the table is not there."""
    try:
        return connection.execute(sql).fetchall()
    except duckdb.CatalogException:
        return []
