"""The sensor that evaluates this location's conditions."""

from platform_shared.automation import automation_sensor

batch_automation_sensor = automation_sensor("batch")
