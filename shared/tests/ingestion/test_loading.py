"""A load's lease: kept for as long as the run works, and lost if the ledger says so."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from platform_shared import faults
from platform_shared.contracts import Column, Contract
from platform_shared.ingestion.feed import Landing, ObjectFeed
from platform_shared.ingestion.landing import LandingFolder
from platform_shared.ingestion.loading import BatchLoader, BatchResult
from platform_shared.ingestion.planning import Limits
from platform_shared.ingestion.reading import Format
from platform_shared.ledger import Lease, LeaseLostError, Ledger, Seen, Unit, UnitState
from platform_shared.postgres import postgres
from platform_shared.settings import Home
from platform_shared.warehouse import Warehouse

CONTRACT = Contract("raw", "kept", "ingestion", "Rows.", (Column("id", "BIGINT", "Number."),))
FEED = ObjectFeed("kept", CONTRACT, Landing("kept"), Format.CSV, limits=Limits(lease=timedelta(seconds=2)))
BATCH = "batch"


class Shop:
    """One file, leased to one batch, and a loader for it."""

    def __init__(self, home: Home, folder: Path) -> None:
        (folder / "a.csv").write_text("id\n1\n")
        self.home, self.folder = home, folder
        self.ledger, self.other = Ledger(postgres(home)), Ledger(postgres(home))
        entry = LandingFolder(folder).current("a.csv")
        assert entry is not None
        now = datetime.now(UTC)
        self.key = (entry.object_id, entry.version)
        self.ledger.record_seen(FEED.name, [Seen(*self.key, entry.size_bytes, now)], now)
        self.ledger.lease([Lease(FEED.name, BATCH, now + FEED.limits.lease, (self.key,))], now)

    def load(self) -> BatchResult | None:
        loader = BatchLoader(
            FEED.name,
            CONTRACT,
            FEED.shape(datetime.now(UTC)),
            LandingFolder(self.folder),
            self.home.quarantine,
            Warehouse.of(self.home),
            self.ledger,
            lambda: datetime.now(UTC),
            FEED.limits,
        )
        return loader.load(BATCH, "run", lambda _: None)

    def unit(self) -> Unit:
        (unit,) = self.other.units(FEED.name)
        return unit


@pytest.fixture
def shop(platform_home: Home, tmp_path: Path) -> Iterator[Shop]:
    shop = Shop(platform_home, tmp_path)
    yield shop
    shop.ledger.close()
    shop.other.close()
    faults.install(None)


def test_the_lease_is_prolonged_while_the_load_works(shop: Shop) -> None:
    expiries = []

    def wait_for_a_later_expiry(point: str) -> None:
        if point == "warehouse.after_copy" and not expiries:
            expiries.append(shop.unit().lease_expires_at)
            # As a slow read does; it ends when the lease was prolonged, else in the test's own timeout.
            while shop.unit().lease_expires_at == expiries[0]:
                pass
            expiries.append(shop.unit().lease_expires_at)

    faults.install(wait_for_a_later_expiry)
    assert shop.load() is not None
    assert expiries[1] > expiries[0]
    assert shop.unit().state is UnitState.LOADED


def test_a_load_that_lost_its_lease_commits_nothing(shop: Shop) -> None:
    def take_away(point: str) -> None:
        if point == "warehouse.after_copy":
            later = datetime.now(UTC) + timedelta(hours=1)
            shop.other.lease([Lease(FEED.name, "another", later, (shop.key,))], later)

    faults.install(take_away)
    with pytest.raises(LeaseLostError):
        shop.load()
    assert (shop.unit().batch_id, shop.unit().state) == ("another", UnitState.REQUESTED)
    with Warehouse.of(shop.home).connect(read_only=True) as connection:
        assert connection.execute("SELECT count(*) FROM lake.raw.kept").fetchall() == [(0,)]
