"""A feed as Dagster definitions."""

import dagster as dg

from platform_shared.ingestion.feed import ObjectFeed
from platform_shared.ingestion.feed_asset import QUARANTINE_CHECK, REJECTS_CHECK, raw_asset
from platform_shared.ingestion.feed_check import reconciliation
from platform_shared.ingestion.feed_sensor import feed_sensor


def feed_definitions(feed: ObjectFeed) -> dg.Definitions:
    """External asset `landing/<feed>`, the raw table's asset with its checks, the load job with its sensor, and the
    daily comparison; sensor and schedule run from the start."""
    key = feed.contract.key
    source = dg.AssetSpec(
        feed.source_key,
        group_name="sources",
        description=f"Objects of `{feed.name}` in {feed.location.description}; observed whenever new ones are seen.",
        owners=[f"team:{feed.contract.owner}"],
        kinds={*feed.location.kinds, feed.format.value.replace("_lines", "")},
    )
    job = dg.define_asset_job(
        f"{feed.name}_load_job",
        selection=dg.AssetSelection.assets(key).without_checks()
        | dg.AssetSelection.checks(dg.AssetCheckKey(key, QUARANTINE_CHECK), dg.AssetCheckKey(key, REJECTS_CHECK)),
        description=f"Loads one batch of `{feed.name}` objects; asked for by the sensor.",
    )
    loading = dg.Definitions(assets=[source, raw_asset(feed)], jobs=[job], sensors=[feed_sensor(feed)])
    return dg.Definitions.merge(loading, reconciliation(feed))
