"""Order lines: one CSV file a store and day, dropped into the landing zone."""

import dagster as dg

from platform_shared.contracts import RAW_ORDER_LINES
from platform_shared.ingestion import CsvFeed, csv_feed_definitions

ORDER_LINES = CsvFeed(
    name="order_lines",
    contract=RAW_ORDER_LINES,
    business_date="CAST(transaction_timestamp AT TIME ZONE 'America/New_York' AS DATE)",
)


@dg.definitions
def order_lines() -> dg.Definitions:
    return csv_feed_definitions(ORDER_LINES)
