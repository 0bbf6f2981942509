"""Partitions that only this location has."""

import warnings

import dagster as dg

from platform_shared.partitions import BUSINESS_TIME_ZONE, COMPLETE_HOURS

OTHER, UNKNOWN = "OTHER", "UNKNOWN"

LARGE_DEPARTMENTS = (
    "GROCERY",
    "DRUG GM",
    "FUEL",
    "PRODUCE",
    "MEAT",
    "MEAT-PCKGD",
    "DELI",
    "MISCELLANEOUS",
    "PASTRY",
    "NUTRITION",
)
"""Those that bring a hundredth of a year's sales or more, by their names in the product master."""

OTHER_DEPARTMENTS = frozenset(
    {
        "SEAFOOD-PCKGD",
        "FLORAL",
        "COSMETICS",
        "SALAD BAR",
        "SEAFOOD",
        "SPIRITS",
        "GARDEN CENTER",
        "CHEF SHOPPE",
        "TRAVEL & LEISURE",
        "RESTAURANT",
        "COUPON",
        "FROZEN GROCERY",
        "AUTOMOTIVE",
        "GM MERCH EXP",
        "PHOTO & VIDEO",
        "CNTRL/STORE SUP",
        "POSTAL CENTER",
        "TOYS",
        "PROD-WHS SALES",
        "ELECT &PLUMBING",
        "HOUSEWARES",
        "CHARITABLE CONT",
    }
)
"""The small ones, which are reported together. One that stands in neither list is counted with them, and fails a check
until somebody has listed it. For one that becomes large, build the days again on which it was small (`make backfill`).
"""

DEPARTMENTS = (*LARGE_DEPARTMENTS, OTHER, UNKNOWN)
"""Of the reports; UNKNOWN is what is sold before the product master has it."""

BY_DEPARTMENT = dg.StaticPartitionsDefinition(list(DEPARTMENTS))
"""Few names that are known when the code is written."""

DETAILED_DAYS = dg.DailyPartitionsDefinition(start_date=COMPLETE_HOURS.start, timezone=BUSINESS_TIME_ZONE)
"""Days that are over. They begin as late as the hours do: each of them is twelve partitions for ever, and a fresh
platform builds them all, those without sales too (all days since January 2025: 8,400 partitions, 49 CPU seconds)."""

BY_DAY_AND_DEPARTMENT = dg.MultiPartitionsDefinition({"day": DETAILED_DAYS, "department": BY_DEPARTMENT})
"""Two dimensions, which is as many as Dagster has; a key is `2026-11-01|DELI`, dimensions by name."""

STORES_NAME = "stores"
STORES = dg.DynamicPartitionsDefinition(name=STORES_NAME)
"""Names that come and go with the data: a sensor adds a store when it first sells, and retires one that has closed."""


def along(dimension: str) -> dg.PartitionMapping:
    """How a table of two dimensions and one of this dimension alone go together, either way round."""
    with warnings.catch_warnings():
        # Beta in 1.13; the tests of the reports by department hold what it does.
        warnings.simplefilter("ignore", dg.BetaWarning)
        return dg.MultiToSingleDimensionPartitionMapping(dimension)
