"""The `ingestion` location under the real daemon, with a landing zone into which tests deliver."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from platform_shared.contracts import RAW_ORDER_LINES
from platform_shared.ledger import Ledger, Outbox, Unit, UnitState
from platform_shared.postgres import postgres
from platform_shared.settings import Home
from platform_shared.testing.daemon import DaemonHarness
from platform_shared.warehouse import Warehouse

FEED = "order_lines"
HEADER = ",".join(RAW_ORDER_LINES.types)


@dataclass(frozen=True)
class Line:
    """An order line; `day` is the New York day of the sale, at noon."""

    basket: int
    day: str = "2025-03-03"
    quantity: str = "1"
    value: str = "2.50"

    def csv(self) -> str:
        return f"7,31,{self.basket},900001,{self.quantity},{self.value},0.00,0.00,0.00,9,{self.day}T17:00:00Z"


def csv_of(lines: Sequence[Line], header: str = HEADER) -> str:
    return "\n".join([header, *(line.csv() for line in lines), ""])


@dataclass(frozen=True)
class Landing:
    """The landing folder of the feed. Files appear under their name complete, as careful senders write them."""

    folder: Path

    def deliver(self, name: str, content: str | Sequence[Line]) -> Path:
        text = content if isinstance(content, str) else csv_of(content)
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f".{path.name}.tmp")
        fresh.write_text(text)
        os.replace(fresh, path)
        return path


@dataclass(frozen=True)
class Platform:
    """The daemon over the location, and what the feed has left in ledger, outbox, quarantine and warehouse."""

    daemon: DaemonHarness
    home: Home

    def rows(self) -> list[tuple[str, int, str, Decimal]]:
        """(object, basket, business date, sales value) of all rows, in order."""
        with Warehouse.of(self.home).connect(read_only=True) as connection:
            return connection.execute(
                "SELECT _source_object, basket_id, CAST(business_date AS VARCHAR), sales_value "
                "FROM lake.raw.order_lines ORDER BY ALL"
            ).fetchall()

    def units(self, *states: UnitState) -> list[Unit]:
        ledger = Ledger(postgres(self.home))
        try:
            return ledger.units(FEED, list(states) or None)
        finally:
            ledger.close()

    def reasons(self) -> dict[str, str]:
        """Object -> reason of all that is in quarantine, resolved or not."""
        return {unit.object_id: str(unit.reason) for unit in self.units(UnitState.QUARANTINED)}

    def messages(self) -> list[str]:
        """Subjects of the messages in the outbox."""
        outbox = Outbox(postgres(self.home))
        try:
            return [message.subject for message in outbox.undelivered()]
        finally:
            outbox.close()

    def load(self) -> None:
        """One look of the sensor, and the runs that it asks for."""
        self.daemon.tick_sensors()
        self.daemon.execute_runs()


@pytest.fixture
def landing(platform_home: Home) -> Landing:
    return Landing(platform_home.landing / FEED)


@pytest.fixture
def platform_at(daemon_harness: Callable[..., DaemonHarness], platform_home: Home) -> Callable[[datetime], Platform]:
    """Opens the location at an instant. Files carry the real time of their delivery, so it must be near the present."""
    return lambda now: Platform(daemon_harness({"ingestion": "ingestion.definitions"}, now), platform_home)


@pytest.fixture
def platform(platform_at: Callable[[datetime], Platform]) -> Platform:
    """An hour after any delivery of the test: all files have long been complete."""
    return platform_at(datetime.now(UTC) + timedelta(hours=1))
