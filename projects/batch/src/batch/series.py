"""The partitioned reports of this location: what each reads, and how long it is left to its schedule."""

from datetime import timedelta

import dagster as dg

from platform_shared.contracts import COUPON_USAGE, DAILY_SALES, HOUSEHOLD_DAYS, PROMOTION_LIFT, RAW_ORDER_LINES
from platform_shared.partitions import (
    COMPLETE_DAYS,
    COMPLETE_HOURS,
    COMPLETE_MONTHS,
    COMPLETE_WEEKS,
    business_days_of,
    business_days_until,
)
from platform_shared.schedules import Input, Limits, Series, same_day, the_days_in

_AFTER_MIDNIGHT = timedelta(minutes=30)
"""The schedules of days, weeks and months tick in the first minutes after these ended."""

DAILY_STORE_SALES = Series(
    dg.AssetKey(["reports", "daily_store_sales"]),
    "store_sales_job",
    COMPLETE_DAYS,
    (Input(DAILY_SALES.key, same_day),),
    reserve=_AFTER_MIDNIGHT,
    limits=Limits(per_run=400),
)

WEEKLY_PROMOTION_LIFT = Series(
    dg.AssetKey(["reports", "weekly_promotion_lift"]),
    "promotion_lift_job",
    COMPLETE_WEEKS,
    (Input(PROMOTION_LIFT.key, same_day),),
    reserve=_AFTER_MIDNIGHT,
)


def _two_weeks(week: str) -> tuple[str, ...]:
    """The days of a week and of the one before; the first week has none before it."""
    return business_days_until(business_days_of(COMPLETE_WEEKS, week)[-1])[-14:]


WEEKLY_REPORT = Series(
    dg.AssetKey(["reports", "weekly_report"]),
    "weekly_report_job",
    COMPLETE_WEEKS,
    (
        *(Input(contract.key, _two_weeks) for contract in (DAILY_SALES, COUPON_USAGE, HOUSEHOLD_DAYS)),
        Input(PROMOTION_LIFT.key, same_day),
    ),
    reserve=_AFTER_MIDNIGHT,
)

MONTHLY_COHORT_RETENTION = Series(
    dg.AssetKey(["reports", "monthly_cohort_retention"]),
    "cohort_retention_job",
    COMPLETE_MONTHS,
    # A household's cohort is the month of its first purchase, so each month reads all days until its end.
    (Input(HOUSEHOLD_DAYS.key, lambda month: business_days_until(business_days_of(COMPLETE_MONTHS, month)[-1])),),
    reserve=_AFTER_MIDNIGHT,
)

COUPON_HOURS = Series(
    dg.AssetKey(["reports", "coupon_hours"]),
    "coupon_hours_job",
    COMPLETE_HOURS,
    (Input(RAW_ORDER_LINES.key, the_days_in(COMPLETE_HOURS)),),
    # Files of a day come until it is over: its hours are left to the hourly schedule and to the sensor of new lines,
    # which waits until it is worth a run.
    reserve=timedelta(hours=26),
    limits=Limits(per_run=200),
)
