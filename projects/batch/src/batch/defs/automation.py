"""The sensors that evaluate this location's conditions."""

import dagster as dg

from platform_shared.automation import automation_sensor
from platform_shared.workspace import SHOWS_TAG

STOCK_EAGER = "stock-eager"


_STOCK = dg.AssetSelection.tag(SHOWS_TAG, STOCK_EAGER)

batch_automation_sensor = automation_sensor("batch", target=dg.AssetSelection.all() - _STOCK)

default_automation_condition_sensor = dg.AutomationConditionSensorDefinition(
    "default_automation_condition_sensor",
    target=_STOCK,
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=30,
    run_tags=batch_automation_sensor.run_tags,
)
"""What Dagster would add by itself for the asset under its stock condition: by the same name and as often, but running,
since Dagster's own is stopped."""
