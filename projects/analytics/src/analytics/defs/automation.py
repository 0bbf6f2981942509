"""The sensor that evaluates this location's conditions."""

import dagster as dg

from platform_shared.automation import RUN_TAGS
from platform_shared.location import LOCATION_TAG

analytics_automation_sensor = dg.AutomationConditionSensorDefinition(
    "analytics_automation_sensor",
    target=dg.AssetSelection.all(),
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=5,
    run_tags={**RUN_TAGS, LOCATION_TAG: "analytics"},
)
