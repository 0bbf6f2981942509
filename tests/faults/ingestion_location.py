"""The feed of the fault tests as a code location, for the test with a real daemon."""

import dagster as dg
from ingestion_world import FEEDS

from platform_shared.ingestion.feed_definitions import feed_definitions
from platform_shared.resources import LedgerResource, PlatformFolders, WarehouseResource

defs = dg.Definitions.merge(
    feed_definitions(FEEDS["files"]),
    dg.Definitions(
        executor=dg.in_process_executor,
        resources={"folders": PlatformFolders(), "ledger": LedgerResource(), "warehouse": WarehouseResource()},
    ),
)
