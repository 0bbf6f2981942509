"""Each schedule and each sensor of all locations in the daemon's own loop: a tick that fails is not lost.

They are counted from the locations, so that a new one is here by itself. What comes when no try of a tick succeeds is
healing's (`shared/tests/schedules/test_gap_sensor.py`), and what a condition asks for has tests of its own
(`tests/faults/test_automation_kills.py`).
"""

import importlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from platform_shared.contracts import DAILY_SALES, PROMOTION_LIFT, RAW_ORDER_LINES
from platform_shared.testing.daemon import DaemonHarness
from platform_shared.testing.s3_server import S3Server
from platform_shared.warehouse import TableName, Warehouse, create_table

LOCATIONS = sorted(path.parent.name for path in Path(__file__).parents[1].glob("projects/*/pyproject.toml"))
NOW = datetime(2026, 11, 10, 17, tzinfo=UTC)


def repositories() -> list[dg.RepositoryDefinition]:
    return [importlib.import_module(f"{name}.definitions").defs().get_repository_def() for name in LOCATIONS]


def names_of_schedules() -> list[str]:
    return sorted(each.name for repository in repositories() for each in repository.schedule_defs)


def names_of_sensors() -> list[str]:
    """Those of the loop for sensors; conditions are looked at in another one."""
    sensors = [each for repository in repositories() for each in repository.sensor_defs]
    return sorted(each.name for each in sensors if not isinstance(each, dg.AutomationConditionSensorDefinition))


@pytest.fixture
def daemon(daemon_harness: Callable[..., DaemonHarness], s3_server: S3Server) -> DaemonHarness:
    """All locations, in which something is due."""
    s3_server.make_bucket("retailer")
    daemon = daemon_harness({name: f"{name}.definitions" for name in LOCATIONS}, NOW)
    warehouse = Warehouse.of(daemon.home)
    with warehouse.connect() as lake:
        create_table(warehouse, lake, TableName(DAILY_SALES.schema, DAILY_SALES.table), DAILY_SALES.types)
    for contract, partition in (
        (DAILY_SALES, "2026-11-05"),
        (RAW_ORDER_LINES, "2026-11-05"),
        (PROMOTION_LIFT, "2026-11-02"),
    ):
        daemon.report(contract.key, partition)
    return daemon


class FailsFirst:
    """In the place of the method that evaluates a tick: the first one of each instigator fails at its very end, before
    the daemon is told what is asked for."""

    def __init__(self, owner: type, monkeypatch: pytest.MonkeyPatch) -> None:
        self.lost: dict[str, Any] = {}
        self.asked: dict[str, Any] = {}
        original = owner.evaluate_tick  # type: ignore[attr-defined]

        def evaluate_tick(definition: Any, context: Any) -> Any:
            found = original(definition, context)
            requests = list(found.run_requests or [])
            if definition.name not in self.lost:
                self.lost[definition.name] = requests
                raise ConnectionError("nobody answers")
            self.asked.setdefault(definition.name, requests)
            return found

        monkeypatch.setattr(owner, "evaluate_tick", evaluate_tick)


def test_a_failed_tick_of_any_schedule_is_tried_again(daemon: DaemonHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    failing = FailsFirst(dg.ScheduleDefinition, monkeypatch)
    daemon.advance(timedelta(days=31))
    failed, again = daemon.tick_schedules(may_fail=True), daemon.tick_schedules()
    assert sorted(tick.name for tick in failed) == names_of_schedules()
    assert {tick.status for tick in failed} == {"FAILURE"}
    assert {(tick.name, tick.at) for tick in again} == {(tick.name, tick.at) for tick in failed}
    assert failing.asked == failing.lost
    assert sum(map(len, failing.asked.values())) >= 6
    assert sum(len(tick.run_ids) for tick in again) == sum(map(len, failing.asked.values()))
    assert daemon.tick_schedules() == []


def test_a_failed_tick_of_any_sensor_changes_nothing(daemon: DaemonHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    daemon.instance.add_dynamic_partitions("stores", ["367"])
    failing = FailsFirst(dg.SensorDefinition, monkeypatch)
    failed = daemon.tick_sensors(may_fail=True)
    daemon.advance(timedelta(minutes=15))
    again = daemon.tick_sensors()
    assert sorted(tick.name for tick in failed) == names_of_sensors()
    assert {tick.status for tick in failed} == {"FAILURE"}
    assert sorted(tick.name for tick in again) == names_of_sensors()
    assert failing.asked == failing.lost
    assert sum(map(len, failing.asked.values())) >= 4
    assert sum(len(tick.run_ids) for tick in again) == sum(map(len, failing.asked.values()))
