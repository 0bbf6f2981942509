"""What a tick of an instigator did, as tests read it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import dagster as dg

Target = tuple[dg.AssetKey, str | None]
"""An asset, and the partition of it; None for an unpartitioned one."""


@dataclass(frozen=True)
class Tick:
    """One tick of a sensor, schedule or automation sensor, as the instance recorded it.

    `status` is SUCCESS (something was requested), SKIPPED or FAILURE; `error` is the text of a failed one.
    """

    location: str
    name: str
    status: str
    at: datetime
    skip_reason: str | None = None
    error: str | None = None
    cursor: str | None = None
    run_ids: tuple[str, ...] = ()
    run_keys: tuple[str, ...] = ()
    requests: tuple[dg.RunRequest, ...] = field(default=(), repr=False)

    @property
    def targets(self) -> frozenset[Target]:
        """The assets and partitions that the requests name; empty for requests of whole jobs."""
        return frozenset(target for request in self.requests for target in _targets(request))

    @staticmethod
    def of(location: str, record: Any) -> "Tick":
        """The tick that Dagster's `InstigatorTick` records."""
        return Tick(
            location=location,
            name=record.instigator_name,
            status=record.status.value,
            at=datetime.fromtimestamp(record.timestamp, UTC),
            skip_reason=record.skip_reason,
            error=record.error.to_string() if record.error else None,
            cursor=record.cursor,
            run_ids=tuple(record.run_ids),
            run_keys=tuple(record.run_keys),
            requests=tuple(record.tick_data.run_requests or ()),
        )


def _targets(request: dg.RunRequest) -> Iterable[Target]:
    # Several partitions at once travel as a subset of the asset graph and become a backfill.
    subset = request.asset_graph_subset
    if subset is not None:
        return [(each.asset_key, each.partition_key) for each in subset.iterate_asset_partitions()]
    return [(key, request.partition_key) for key in request.asset_selection or ()]
