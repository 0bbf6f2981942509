"""The sensor that looks at a location's conditions."""

import dagster as dg

from platform_shared.tags import LOCATION_TAG

LOOK_SECONDS = 5
"""As often as Dagster's loop looks, and no sensor more often."""


def automation_sensor(
    location: str, *, target: dg.AssetSelection | None = None
) -> dg.AutomationConditionSensorDefinition:
    """The running sensor of a location's conditions, of all assets or of `target`. Its runs are tried three times in
    all, by the instance.

    Named on purpose: the sensor that Dagster adds by itself is stopped, and nothing says so. It looks every five
    seconds; where that is too often for the number of assets, `load_location` makes several of it.
    """
    return dg.AutomationConditionSensorDefinition(
        _name(location),
        target=target or dg.AssetSelection.all(),
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=LOOK_SECONDS,
        run_tags={"dagster/max_retries": "2", LOCATION_TAG: location},
    )


def is_automation_sensor(sensor: dg.AutomationConditionSensorDefinition) -> bool:
    """Whether `automation_sensor` has made it."""
    return sensor.name == _name(sensor.run_tags.get(LOCATION_TAG, ""))


def _name(location: str) -> str:
    return f"{location}_automation_sensor"
