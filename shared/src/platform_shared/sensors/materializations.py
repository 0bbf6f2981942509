"""Every materialization of an asset, in the order in which Dagster recorded them."""

from collections.abc import Sequence

import dagster as dg


def materializations_after(
    instance: dg.DagsterInstance, key: dg.AssetKey, after: int | None, limit: int = 200
) -> Sequence[dg.EventLogRecord]:
    """The materializations recorded after this one (all, for None), oldest first, `limit` at most.

    The `storage_id` of the last is `after` for the next page. `@asset_sensor` gives the newest one of a tick only, and
    keeps a cursor of its own.
    """
    found = instance.fetch_materializations(
        dg.AssetRecordsFilter(key, after_storage_id=after), limit=limit, ascending=True
    )
    return found.records
