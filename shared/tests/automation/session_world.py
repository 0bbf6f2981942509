"""What both locations of the session know, and its test: the lanes, one a condition, and how a build is held up."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

import dagster as dg

from platform_shared import automation
from platform_shared.automation import Condition

FOLDER_VARIABLE = "AUTOMATION_SESSION"
"""Where the test has its files: HOLD, BREAK, and TRIES, to which each try of a build adds the lane's name."""
HOLD, BREAK, TRIES = "hold", "break", "tries"

UPSTREAM, DOWNSTREAM = "upstream", "downstream"
SOURCE, PROBE = dg.AssetKey("source"), dg.AssetKey("probe")
CHECK = "sound"


@dataclass(frozen=True)
class Lane:
    """An input in one location, and an asset in the other that follows it by a condition."""

    name: str
    condition: Callable[[], Condition]
    of_input: dg.PartitionsDefinition[Any] | None = None
    of_asset: dg.PartitionsDefinition[Any] | None = None

    @property
    def input(self) -> dg.AssetKey:
        return dg.AssetKey(["inputs", self.name])

    @property
    def asset(self) -> dg.AssetKey:
        return dg.AssetKey(["assets", self.name])

    def newer(self, kind: str) -> dg.AssetKey:
        """The key of an asset beside `asset`."""
        return dg.AssetKey([kind, self.name])

    @cached_property
    def partitions(self) -> tuple[str | None, ...]:
        """Those of the input that arrive: what the condition needs for one build."""
        if self.of_input is None:
            return (None,)
        days = self.of_input.get_partition_keys()
        if self.of_asset is None:
            return (days[-1],)
        if self.of_asset is self.of_input:
            return (days[-3],)
        first = days.index(self.of_asset.get_partition_keys()[-1])
        return tuple(days[first : first + 7])


def zone_where_it_is_noon() -> str:
    """No day begins and no cron ticks while the session lasts."""
    offset = 12 - datetime.now(UTC).hour
    return f"Etc/GMT{-offset:+d}" if offset else "UTC"


def lanes(zone: str) -> dict[str, Lane]:
    days = dg.DailyPartitionsDefinition("2026-02-01", timezone=zone)
    weeks = dg.WeeklyPartitionsDefinition("2026-02-01", timezone=zone)
    found = [
        Lane("on_input_change", automation.on_input_change),
        Lane("on_any_input_partition", automation.on_any_input_partition, days),
        Lane("on_complete_partition", lambda: automation.on_complete_partition(timedelta(days=21)), days, weeks),
        Lane("on_cron_when_inputs_ready", lambda: automation.on_cron_when_inputs_ready("0 0 * * *", zone)),
        Lane("heal_gaps", lambda: automation.heal_gaps(timedelta(days=5)), days, days),
        Lane("on_code_change", automation.on_code_change),
        Lane("on_demand", automation.on_demand),
        Lane("on_freshness_failure", automation.on_freshness_failure),
        Lane("eager", dg.AutomationCondition.eager),
    ]
    return {lane.name: lane for lane in found}
