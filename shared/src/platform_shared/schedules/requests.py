"""Requests for several partitions in one run."""

from collections.abc import Mapping, Sequence

import dagster as dg

_RANGE_START = "dagster/asset_partition_range_start"
_RANGE_END = "dagster/asset_partition_range_end"


def range_request(
    partitions: Sequence[str],
    *,
    run_key: str | None = None,
    tags: Mapping[str, str] | None = None,
) -> dg.RunRequest:
    """One run of the instigator's job over neighbouring partitions, first to last. Its assets need
    `BackfillPolicy.single_run()`.

    Dagster's own tags for that: the UI's backfill dialog sets the same ones.
    """
    if not partitions:
        raise ValueError("a run needs a partition")
    ends = {_RANGE_START: partitions[0], _RANGE_END: partitions[-1]}
    return dg.RunRequest(run_key=run_key, tags={**ends, **(tags or {})})
