"""The sensor that looks at a location's conditions."""

import dagster as dg

from platform_shared.location import LOCATION_TAG


def automation_sensor(
    location: str, *, target: dg.AssetSelection | None = None
) -> dg.AutomationConditionSensorDefinition:
    """The running sensor of a location's conditions, of all assets or of `target`. Its runs are tried three times in
    all, by the instance.

    Named on purpose: the sensor that Dagster adds by itself is stopped, and nothing says so. It looks every five
    seconds, as often as Dagster's loop does.
    """
    return dg.AutomationConditionSensorDefinition(
        f"{location}_automation_sensor",
        target=target or dg.AssetSelection.all(),
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=5,
        run_tags={"dagster/max_retries": "2", LOCATION_TAG: location},
    )
