"""A platform of one location, `lab`, with the automation sensor that every location has."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import pytest
from platform_shared.automation import automation_sensor
from platform_shared.testing.daemon import DaemonHarness

NOW = datetime(2026, 3, 4, 15, 0, tzinfo=UTC)

Lab = Callable[..., DaemonHarness]


def lab_definitions(assets: Sequence[Any], checks: Sequence[Any] = ()) -> dg.Definitions:
    return dg.Definitions(assets=assets, asset_checks=checks, sensors=[automation_sensor("lab")])


@pytest.fixture
def lab(daemon_harness: Callable[..., DaemonHarness]) -> Lab:
    """Opens the daemon over a location of these assets (and checks)."""
    return lambda *assets, checks=(): daemon_harness({"lab": lab_definitions(assets, checks)}, NOW)
