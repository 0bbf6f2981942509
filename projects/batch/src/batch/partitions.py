"""Partitions that only this location has."""

import warnings

import dagster as dg

from platform_shared.partitions import BUSINESS_TIME_ZONE

DAYPARTS = {"night": 0, "morning": 6, "midday": 11, "afternoon": 14, "evening": 18}
"""Parts of a business day, each with the hour of the shop's clock at which it begins; it ends with the next one."""

BY_DAYPART = dg.StaticPartitionsDefinition(list(DAYPARTS))
"""Few names that are known when the code is written."""

STAFFING_DAYS = dg.DailyPartitionsDefinition(start_date="2026-11-01", timezone=BUSINESS_TIME_ZONE)
"""Days that are over. They begin late: each of them is five partitions for ever."""

BY_DAY_AND_DAYPART = dg.MultiPartitionsDefinition({"day": STAFFING_DAYS, "daypart": BY_DAYPART})
"""Two dimensions, which is as many as Dagster has; a key is `2026-11-01|evening`, dimensions by name."""

STORES_NAME = "stores"
STORES = dg.DynamicPartitionsDefinition(name=STORES_NAME)
"""Names that come and go with the data: a sensor adds a store when it first sells, and retires one that has closed."""


def along(dimension: str) -> dg.PartitionMapping:
    """How a table of two dimensions and one of this dimension alone go together, either way round."""
    with warnings.catch_warnings():
        # Beta in 1.13; the tests of the reports by part of the day hold what it does.
        warnings.simplefilter("ignore", dg.BetaWarning)
        return dg.MultiToSingleDimensionPartitionMapping(dimension)
