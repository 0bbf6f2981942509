"""The feeds in S3: real objects, the real sensor loop, the real ledger and the real warehouse."""

import gzip
import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest

from platform_shared.contracts import RAW_HOUSEHOLDS, RAW_PRODUCTS, RAW_PROMOTIONS
from platform_shared.ledger import Ledger
from platform_shared.postgres import postgres
from platform_shared.settings import Home
from platform_shared.testing.daemon import DaemonError, DaemonHarness
from platform_shared.testing.faulty_proxy import FaultyProxy, SlowDown
from platform_shared.testing.s3_server import S3Server
from platform_shared.testing.ticks import Tick
from platform_shared.warehouse import Warehouse

BUCKET = "retailer"


class Platform:
    """The daemon over the location, and a bucket that it reads."""

    def __init__(self, daemon: DaemonHarness, home: Home, s3: S3Server) -> None:
        self.daemon, self.home, self.s3 = daemon, home, s3

    def put(self, key: str, content: bytes) -> None:
        self.s3.client.put_object(Bucket=BUCKET, Key=key, Body=content)

    def look(self, feed: str) -> Tick:
        (tick,) = self.daemon.tick_sensors(f"{feed}_landing_sensor")
        return tick

    def load(self, feed: str) -> list[dg.DagsterRun]:
        self.look(feed)
        return self.daemon.execute_runs()

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        with Warehouse.of(self.home).connect(read_only=True) as connection:
            return connection.execute(sql).fetchall()

    def states(self, feed: str) -> dict[str, str]:
        """State of the newest version of each object."""
        ledger = Ledger(postgres(self.home))
        try:
            return {unit.object_id: unit.state.value for unit in ledger.units(feed)}
        finally:
            ledger.close()


@pytest.fixture
def open_platform(
    daemon_harness: Callable[..., DaemonHarness], platform_home: Home, s3_server: S3Server
) -> Callable[[], Platform]:
    s3_server.make_bucket(BUCKET)
    now = datetime.now(UTC) + timedelta(hours=1)
    return lambda: Platform(daemon_harness({"ingestion": "ingestion.definitions"}, now), platform_home, s3_server)


@pytest.fixture
def platform(open_platform: Callable[[], Platform]) -> Platform:
    return open_platform()


def households(*ids: int, income: str = "50-74K") -> bytes:
    lines = [{"household_id": number, "age": "45-54", "income": income, "home_ownership": None} for number in ids]
    more = {"marital_status": "Married", "household_size": "2", "household_comp": "2 Adults", "kids_count": "0"}
    return "".join(json.dumps(line | more) + "\n" for line in lines).encode()


def week(folder: Path, *products: int) -> bytes:
    path = folder / "week.parquet"
    values = ", ".join(f"({number}, 316, '9', '0', 3)" for number in products)
    duckdb.execute(
        f"COPY (SELECT * FROM (VALUES {values}) AS p(product_id, store_id, display_location, mailer_location, week)) "
        f"TO '{path}' (FORMAT parquet)"
    )
    return path.read_bytes()


def test_new_versions_of_objects_replace_their_rows_and_the_table_is_announced(platform: Platform) -> None:
    platform.put("customer_data/1.jsonl", households(1, 2))
    platform.put("customer_data/2.jsonl", households(3))
    platform.put("other_data/3.jsonl", households(4))
    assert len(platform.load("households")) == 1
    platform.put("customer_data/1.jsonl", households(1, income="Under 15K"))
    assert len(platform.load("households")) == 1
    rows = platform.ask("SELECT household_id, income, home_ownership FROM lake.raw.households ORDER BY 1")
    assert rows == [(1, "Under 15K", None), (3, "50-74K", None)]
    records = platform.daemon.materializations(RAW_HOUSEHOLDS.key)
    assert [record.partition_key for record in records] == [None, None]
    assert [r.asset_materialization.metadata["dagster/row_count"].value for r in records] == [3, 2]  # type: ignore[union-attr]
    assert platform.load("households") == []


def test_the_week_of_a_row_is_that_of_its_key(platform: Platform, tmp_path: Path) -> None:
    platform.put("promotions/week=2025-01-13/promotions.parquet", week(tmp_path, 7, 8))
    platform.put("promotions/week=2025-01-06/promotions.parquet", week(tmp_path, 9))
    platform.load("promotions")
    assert platform.ask("SELECT business_week, product_id FROM lake.raw.promotions ORDER BY ALL") == [
        (date(2025, 1, 6), 9),
        (date(2025, 1, 13), 7),
        (date(2025, 1, 13), 8),
    ]
    assert platform.daemon.materialized(RAW_PROMOTIONS.key) == ["2025-01-06", "2025-01-13"]


def snapshot(*rows: str, columns: str = "") -> bytes:
    header = "product_id,manufacturer_id,department,brand,product_category,product_type,package_size"
    return gzip.compress("\n".join([header + columns, *rows, ""]).encode(), mtime=0)


def test_a_snapshot_replaces_all_products_and_the_same_again_changes_nothing(platform: Platform) -> None:
    beans, ice = "7,2,GROCERY,National,BEANS,CANNED,15 OZ", "8,2,GROCERY,Private,FRZN ICE,,"
    platform.put("master_data/products.csv.gz", snapshot(beans, ice))
    platform.put("master_data/products-test.csv.gz", snapshot("9,2,TOYS,National,,,"))
    platform.load("products")
    assert platform.ask("SELECT product_id, product_type, package_size FROM lake.raw.products ORDER BY 1") == [
        (7, "CANNED", "15 OZ"),
        (8, None, None),
    ]
    platform.put("master_data/products.csv.gz", snapshot(beans, ice))
    assert len(platform.load("products")) == 1
    assert len(platform.daemon.materializations(RAW_PRODUCTS.key)) == 1

    # The next one has other products, and a column that nobody waits for.
    platform.put("master_data/products.csv.gz", snapshot(f"{ice},12", "10,2,DELI,National,,,,13", columns=",shelf"))
    platform.load("products")
    assert platform.ask("SELECT product_id, department FROM lake.raw.products ORDER BY 1") == [
        (8, "GROCERY"),
        (10, "DELI"),
    ]
    assert len(platform.daemon.materializations(RAW_PRODUCTS.key)) == 2


def test_an_object_without_a_week_in_its_key_is_set_aside_and_holds_up_nothing(
    platform: Platform, tmp_path: Path
) -> None:
    platform.put("promotions/unnamed.parquet", week(tmp_path, 7))
    platform.put("promotions/week=2025-01-06/promotions.parquet", week(tmp_path, 9))
    platform.load("promotions")
    assert platform.ask("SELECT product_id FROM lake.raw.promotions") == [(9,)]
    assert platform.states("promotions") == {
        "unnamed.parquet": "quarantined",
        "week=2025-01-06/promotions.parquet": "loaded",
    }


def test_a_server_that_is_away_fails_the_look_and_changes_nothing(platform: Platform) -> None:
    platform.put("customer_data/1.jsonl", households(1))
    platform.load("households")
    platform.s3.kill()
    with pytest.raises(DaemonError, match="retailer"):
        platform.look("households")
    assert platform.states("households") == {"1.jsonl": "loaded"}
    platform.s3.start()
    platform.s3.make_bucket(BUCKET)
    assert platform.load("households") == []
    assert platform.ask("SELECT count(*) FROM lake.raw.households") == [(1,)]
    platform.put("customer_data/1.jsonl", households(1))
    platform.put("customer_data/2.jsonl", households(2))
    platform.load("households")
    assert platform.ask("SELECT household_id FROM lake.raw.households ORDER BY 1") == [(1,), (2,)]


def test_a_busy_server_is_asked_again(
    open_platform: Callable[[], Platform], s3_proxy: FaultyProxy, s3_server: S3Server
) -> None:
    platform = open_platform()
    platform.put("customer_data/1.jsonl", households(1))
    busy = s3_proxy.misbehave(SlowDown(), times=2)
    platform.load("households")
    assert busy.happened == 2
    assert platform.ask("SELECT count(*) FROM lake.raw.households") == [(1,)]


def test_without_an_address_a_laptop_is_told_what_to_do(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PLATFORM_S3_ENDPOINT_URL")
    tick = platform.look("households")
    assert tick.status == "SKIPPED"
    assert "start `make dev`" in str(tick.skip_reason)


def test_the_bucket_is_observed_in_the_graph(platform: Platform) -> None:
    platform.put("customer_data/1.jsonl", households(1))
    platform.look("households")
    key = dg.AssetKey(["landing", "households"])
    (record,) = platform.daemon.instance.fetch_observations(key, limit=10).records
    assert record.asset_observation is not None
    assert {name: value.value for name, value in record.asset_observation.metadata.items()} == {
        "new_objects": 1,
        "new_bytes": len(households(1)),
        "newest_object": "1.jsonl",
        "objects": 1,
    }
