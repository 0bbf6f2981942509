"""The sensors that evaluate this location's conditions."""

import dagster as dg

from platform_shared.automation import automation_sensor
from platform_shared.workspace import SHOWS_TAG

STOCK_EAGER = "stock-eager"


def _sensors() -> tuple[dg.AutomationConditionSensorDefinition, dg.AutomationConditionSensorDefinition]:
    """The platform's, and beside it what Dagster would add by itself for the asset under its stock condition: by the
    same name and as often, but running, since Dagster's own is stopped."""
    ours = automation_sensor("batch")
    stock = dg.AssetSelection.tag(SHOWS_TAG, STOCK_EAGER)
    return (
        dg.AutomationConditionSensorDefinition(
            ours.name,
            target=dg.AssetSelection.all() - stock,
            default_status=ours.default_status,
            minimum_interval_seconds=ours.minimum_interval_seconds,
            run_tags=ours.run_tags,
        ),
        dg.AutomationConditionSensorDefinition(
            "default_automation_condition_sensor",
            target=stock,
            default_status=dg.DefaultSensorStatus.RUNNING,
            minimum_interval_seconds=30,
            run_tags=ours.run_tags,
        ),
    )


batch_automation_sensor, default_automation_condition_sensor = _sensors()
