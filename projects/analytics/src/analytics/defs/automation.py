"""The sensor that evaluates this location's conditions."""

from platform_shared.automation import automation_sensor

analytics_automation_sensor = automation_sensor("analytics")
