"""Feeds side by side: one that has much to do does not hold up the others."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg

from platform_shared.contracts import Column, Contract
from platform_shared.ingestion.feed import Landing, ObjectFeed
from platform_shared.ingestion.feed_definitions import feed_definitions
from platform_shared.ingestion.planning import Limits
from platform_shared.ingestion.reading import Format
from platform_shared.ingestion.tags import FEED_TAG
from platform_shared.resources import LedgerResource, PlatformFolders, WarehouseResource
from platform_shared.settings import Home
from platform_shared.testing.daemon import DaemonHarness

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
BACKLOG = 30


def feed(name: str) -> ObjectFeed:
    contract = Contract("raw", name, "ingestion", "Rows.", (Column("id", "BIGINT", "Number."),))
    return ObjectFeed(name, contract, Landing(name), Format.CSV, limits=Limits(objects_per_batch=1))


def deliver(home: Home, feed: str, name: str) -> Path:
    path = home.landing / feed / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("id\n1\n")
    os.utime(path, (0, 0))
    return path


def test_a_feed_with_a_backlog_does_not_hold_up_another(platform_home: Home) -> None:
    """Each run loads one file; the small feed's only file comes when the other one's runs are under way."""
    location = dg.Definitions.merge(
        feed_definitions(feed("busy")),
        feed_definitions(feed("quiet")),
        dg.Definitions(
            resources={"folders": PlatformFolders(), "ledger": LedgerResource(), "warehouse": WarehouseResource()}
        ),
    )
    for number in range(BACKLOG):
        deliver(platform_home, "busy", f"{number}.csv")
    deliver(platform_home, "quiet", "first.csv")
    order: list[str] = []
    with DaemonHarness({"ingestion": location}, platform_home, NOW) as daemon:
        daemon.advance(timedelta(minutes=1))
        for turn in range(6):
            if turn == 2:
                deliver(platform_home, "quiet", "second.csv")
            daemon.tick_sensors("busy_landing_sensor", "quiet_landing_sensor")
            order += [run.tags[FEED_TAG] for run in daemon.execute_runs(limit=2)]
    assert order.count("quiet") == 2
    first, second = (number for number, name in enumerate(order) if name == "quiet")
    assert first < 4
    assert second - 2 * 2 < 4
    assert order.count("busy") == len(order) - 2
