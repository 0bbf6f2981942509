"""A platform of one location, `lab`, with the automation sensor that every location has."""

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from platform_shared.automation import automation_sensor
from platform_shared.testing.daemon import DaemonHarness

# The modules beside the tests: what several of them share.
sys.path.insert(0, str(Path(__file__).parent))

NOW = datetime(2026, 3, 4, 15, 0, tzinfo=UTC)


@pytest.fixture
def lab(daemon_harness: Callable[..., DaemonHarness]) -> Callable[..., DaemonHarness]:
    """Opens the daemon over one location of these assets and checks."""

    def open_lab(*assets: Any, checks: tuple[Any, ...] = ()) -> DaemonHarness:
        sensor = automation_sensor("lab")
        return daemon_harness({"lab": dg.Definitions(assets=assets, asset_checks=checks, sensors=[sensor])}, NOW)

    return open_lab
