"""The newest day alone, where nobody wants the older ones: a condition says so, as no backfill policy can."""

from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from platform_shared.automation import on_input_change
from platform_shared.testing.simulation import Simulation

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
DAYS = dg.DailyPartitionsDefinition("2026-02-01")
TABLE = dg.AssetSpec("table", partitions_def=DAYS)
LATEST = on_input_change() & dg.AutomationCondition.in_latest_time_window()


def screen(condition: dg.AutomationCondition) -> dg.AssetsDefinition:  # type: ignore[type-arg]
    @dg.asset(
        deps=[TABLE],
        partitions_def=DAYS,
        automation_condition=condition,
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def screen() -> None: ...

    return screen


@pytest.mark.filterwarnings("ignore::dagster.BetaWarning")
@pytest.mark.parametrize(
    ("condition", "days"), [(LATEST, ["01"]), (on_input_change(), ["26", "27", "28", "01"])], ids=["latest", "all"]
)
def test_after_days_away_the_newest_is_asked_for_and_no_other(
    condition: dg.AutomationCondition,  # type: ignore[type-arg]
    days: list[str],
) -> None:
    with Simulation(TABLE, screen(condition), now=NOW - timedelta(days=4)) as simulation:
        simulation.tick()
        simulation.advance(timedelta(days=4))
        for day in ("2026-02-26", "2026-02-27", "2026-02-28", "2026-03-01"):
            simulation.report(TABLE.key, day)
        asked = simulation.tick()
    assert {name.split("-")[-1] for name in asked} == {*days}
    assert len(asked) == len(days)
