"""What a platform adds to Dagster's schedules, which never catch up: healing of gaps, overlap, local business hours.

docs/schedules.md says which part is for what.
"""

from platform_shared.schedules.building import ONLY_DUE_TAGS, PartitionsFailedError, build_partitions
from platform_shared.schedules.due import Slot, State
from platform_shared.schedules.gap_sensor import gap_healing_sensor
from platform_shared.schedules.healing import Limits, plan_once
from platform_shared.schedules.local_hours import BusinessHours
from platform_shared.schedules.overlap import Overlap, why_not_now
from platform_shared.schedules.requests import range_request
from platform_shared.schedules.series import Input, Series, same_day, slots, the_days_in, whole_table

__all__ = [
    "ONLY_DUE_TAGS",
    "BusinessHours",
    "Input",
    "Limits",
    "Overlap",
    "PartitionsFailedError",
    "Series",
    "Slot",
    "State",
    "build_partitions",
    "gap_healing_sensor",
    "plan_once",
    "range_request",
    "same_day",
    "slots",
    "the_days_in",
    "whole_table",
    "why_not_now",
]
