"""What scenarios of the gallery share: a simulation to tick, a platform where it takes the daemon, and their mark."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import pytest

from platform_shared.testing.daemon import DaemonHarness
from platform_shared.testing.simulation import Simulation

NOW = datetime(2026, 3, 4, 15, 0, tzinfo=UTC)
"""A Wednesday, ten in the morning in New York."""


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "shows(name, true, false, mistake, form): the scenario shows when this name of dagster.AutomationCondition is "
        "true and when it is false. With the name alone: a further scenario of it. page.py reads it.",
    )


@pytest.fixture
def simulate() -> Iterator[Callable[..., Simulation]]:
    """Opens a simulation of these assets at NOW."""
    with ExitStack() as stack:
        yield lambda *assets, now=NOW, **more: stack.enter_context(Simulation(*assets, now=now, **more))


@pytest.fixture
def location(daemon_harness: Callable[..., DaemonHarness]) -> Callable[..., DaemonHarness]:
    """Opens the daemon over one location of these assets, with these sensors and no other."""

    def open_location(*assets: Any, sensors: Any = (), jobs: Any = ()) -> DaemonHarness:
        return daemon_harness({"lab": dg.Definitions(assets=assets, sensors=sensors, jobs=jobs)}, NOW)

    return open_location
