"""Tables of other locations that this one reads."""

import dagster as dg

from platform_shared.contracts import (
    COUPON_USAGE,
    DAILY_SALES,
    HOUSEHOLD_DAYS,
    HOUSEHOLD_SPEND,
    PRODUCTS,
    PROMOTION_LIFT,
    RAW_HOUSEHOLDS,
    RAW_ORDER_LINES,
)

_READ = (
    COUPON_USAGE,
    DAILY_SALES,
    HOUSEHOLD_DAYS,
    HOUSEHOLD_SPEND,
    PRODUCTS,
    PROMOTION_LIFT,
    RAW_HOUSEHOLDS,
    RAW_ORDER_LINES,
)


@dg.definitions
def inputs() -> dg.Definitions:
    return dg.Definitions(assets=[contract.reference() for contract in _READ])
