"""Tables of other locations that this one reads."""

import dagster as dg

from platform_shared.contracts import COUPON_USAGE, DAILY_SALES, HOUSEHOLD_SPEND


@dg.definitions
def inputs() -> dg.Definitions:
    return dg.Definitions(assets=[contract.reference() for contract in (COUPON_USAGE, DAILY_SALES, HOUSEHOLD_SPEND)])
