"""The sensor: what becomes of conditions in the daemon."""

from collections.abc import Callable, Set
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import pytest

from platform_shared.testing.daemon import DaemonHarness

AC = dg.AutomationCondition
Location = Callable[..., DaemonHarness]

NOW = datetime(2026, 3, 4, 15, 0, tzinfo=UTC)
STOCK = "default_automation_condition_sensor"
DAYS = dg.DailyPartitionsDefinition("2026-03-01")
SOURCE, FIRST, SECOND = (dg.AssetKey(name) for name in ("source", "first", "second"))


def sensor(**attributes: Any) -> dg.AutomationConditionSensorDefinition:
    return dg.AutomationConditionSensorDefinition(
        "s", target=dg.AssetSelection.all(), default_status=dg.DefaultSensorStatus.RUNNING, **attributes
    )


def chain(**attributes: Any) -> list[Any]:
    """`source`, and `first` and `second` after it, eagerly; `attributes` are of the second."""

    @dg.asset(key=FIRST, deps=[SOURCE], automation_condition=AC.eager())
    def first() -> None: ...

    @dg.asset(key=SECOND, deps=[FIRST], automation_condition=AC.eager(), **attributes)
    def second() -> None: ...

    return [dg.AssetSpec(SOURCE), first, second]


def asked(platform: DaemonHarness) -> list[Set[tuple[dg.AssetKey, str | None]]]:
    return [tick.targets for tick in platform.tick_automation()]


def test_dagsters_own_sensor_is_stopped_and_looks_every_30_seconds_once_it_is_started(location: Location) -> None:
    (own,) = dg.Definitions(chain()).get_repository_def().sensor_defs
    assert (own.name, own.default_status, own.minimum_interval_seconds) == (STOCK, dg.DefaultSensorStatus.STOPPED, 30)
    platform = location(*chain())
    platform.report(SOURCE)
    assert platform.tick_automation() == []
    assert platform.runs() == []
    platform.start(STOCK)
    platform.tick_automation(STOCK)
    platform.report(SOURCE)
    (tick,) = platform.tick_automation(STOCK)
    assert tick.targets == {(FIRST, None), (SECOND, None)}


def test_a_named_sensor_that_runs_takes_the_place_of_dagsters_own(location: Location) -> None:
    assert [each.name for each in dg.Definitions(chain(), sensors=[sensor()]).get_repository_def().sensor_defs] == ["s"]
    partial = dg.AutomationConditionSensorDefinition("s", target=dg.AssetSelection.assets(FIRST))
    both = dg.Definitions(chain(), sensors=[partial]).get_repository_def().sensor_defs
    assert {each.name for each in both} == {"s", STOCK}, "what it does not target is left to Dagster's own, stopped"


def test_two_sensors_for_one_asset_do_not_load() -> None:
    everything = dg.AutomationConditionSensorDefinition("t", target=dg.AssetSelection.all())
    with pytest.raises(dg.DagsterInvalidDefinitionError, match="overlapping asset selections"):
        dg.Definitions(chain(), sensors=[sensor(), everything]).get_repository_def()


def test_a_chain_of_one_location_and_equal_partitions_is_one_run(location: Location) -> None:
    platform = location(*chain(), sensors=[sensor(run_tags={"team": "gallery"})])
    asked(platform)
    platform.report(SOURCE)
    (tick,) = platform.tick_automation("s")
    assert tick.targets == {(FIRST, None), (SECOND, None)}
    (run,) = platform.runs()
    assert run.asset_selection == {FIRST, SECOND}
    assert run.tags["team"] == "gallery"


def test_a_chain_ends_where_the_partitions_change(location: Location) -> None:
    platform = location(*chain(partitions_def=DAYS), sensors=[sensor()])
    platform.tick_automation("s")
    platform.report(SOURCE)
    (tick,) = platform.tick_automation("s")
    assert tick.targets == {(FIRST, None)}
    platform.execute_runs()
    (tick,) = platform.tick_automation("s")
    assert tick.targets == {(SECOND, "2026-03-03")}


def test_a_chain_ends_at_the_border_of_a_location(daemon_harness: Callable[..., DaemonHarness]) -> None:
    source, first, second = chain()
    here = dg.Definitions([source, first], sensors=[sensor()])
    there = dg.Definitions([dg.AssetSpec(FIRST), second], sensors=[sensor()])
    platform = daemon_harness({"here": here, "there": there}, NOW)
    platform.tick_automation("s")
    platform.report(SOURCE)
    assert [tick.targets for tick in platform.tick_automation("s")] == [{(FIRST, None)}, set()]
    platform.execute_runs()
    assert [tick.targets for tick in platform.tick_automation("s")] == [set(), {(SECOND, None)}]


@pytest.mark.parametrize(("emit_backfills", "backfills", "runs"), [(True, 1, 0), (False, 0, 3)])
def test_several_partitions_at_once_are_one_backfill_unless_that_is_switched_off(
    location: Location, emit_backfills: bool, backfills: int, runs: int
) -> None:
    @dg.asset(partitions_def=DAYS, automation_condition=AC.missing() & ~AC.in_progress())
    def by_day() -> None: ...

    platform = location(by_day, sensors=[sensor(emit_backfills=emit_backfills)])
    (tick,) = platform.tick_automation("s")
    assert len(tick.targets) == 3
    assert (len(platform.backfills()), len(platform.runs())) == (backfills, runs)


class OnWednesdays(dg.AutomationCondition[dg.AssetKey]):
    """A condition that Dagster does not bring along."""

    def evaluate(self, context: dg.AutomationContext[dg.AssetKey]) -> dg.AutomationResult[dg.AssetKey]:
        wednesday = context.evaluation_time.isoweekday() == 3
        return dg.AutomationResult(context, context.candidate_subset if wednesday else context.get_empty_subset())


@dg.asset(automation_condition=OnWednesdays())
def on_wednesdays() -> None: ...


def test_a_condition_of_your_own_is_not_looked_at_by_a_plain_sensor_though_a_unit_test_says_it_is(
    location: Location,
) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        told = dg.evaluate_automation_conditions([on_wednesdays], instance, evaluation_time=NOW)
    assert told.total_requested == 1
    platform = location(on_wednesdays, sensors=[sensor()])
    for _ in range(2):
        assert set().union(*asked(platform)) == set()
    assert platform.runs() == []


@pytest.mark.filterwarnings("ignore::dagster.BetaWarning")
def test_a_condition_of_your_own_takes_a_sensor_in_the_code_server(location: Location) -> None:
    platform = location(on_wednesdays, sensors=[sensor(use_user_code_server=True)])
    (tick,) = platform.tick_sensors("s")
    assert tick.targets == {(on_wednesdays.key, None)}


@pytest.mark.filterwarnings("ignore::dagster.BetaWarning")
def test_a_default_condition_is_for_assets_that_have_none(location: Location) -> None:
    @dg.asset
    def plain() -> None: ...

    platform = location(plain, sensors=[sensor(use_user_code_server=True, default_condition=AC.missing())])
    (tick,) = platform.tick_sensors("s")
    assert tick.targets == {(plain.key, None)}
