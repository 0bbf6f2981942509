"""Named automation conditions: when an asset is rebuilt. docs/automation.md says which one to take."""

from platform_shared.automation.conditions import (
    heal_gaps,
    on_any_input_partition,
    on_code_change,
    on_complete_partition,
    on_cron_when_inputs_ready,
    on_demand,
    on_freshness_failure,
    on_input_change,
)
from platform_shared.automation.parts import Condition
from platform_shared.automation.sensor import automation_sensor

EVERY_MINUTE = "* * * * *"
"""The usual `at_most_every`."""

__all__ = [
    "EVERY_MINUTE",
    "Condition",
    "automation_sensor",
    "heal_gaps",
    "on_any_input_partition",
    "on_code_change",
    "on_complete_partition",
    "on_cron_when_inputs_ready",
    "on_demand",
    "on_freshness_failure",
    "on_input_change",
]
