"""What Dagster's instance knows of all locations: freshness, ticks, runs.

Some of it is by names that are exported but not marked public; all of them are here, and
`shared/tests/alerts/test_observed.py` names each (docs/adr/0005).
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from platform_shared.alerts.freshness import AssetFacts, FreshnessState
from platform_shared.alerts.ticks import FAILURES_IN_A_ROW, InstigatorTicks, TickRecord

_STARTED = "STARTED"
_ERROR_LENGTH = 1000


def freshness_states(instance: dg.DagsterInstance) -> list[FreshnessState]:
    """What the freshness daemon has written of each asset that was ever materialized, in the order of the keys."""
    records = instance.get_freshness_state_records(list(instance.get_asset_keys()))
    return [
        FreshnessState(key.to_user_string(), record.freshness_state.value, record.updated_at.astimezone(UTC))
        for key, record in sorted(records.items())
    ]


def facts_of_runs(instance: dg.DagsterInstance, assets: Iterable[str]) -> dict[str, AssetFacts]:
    """When each was last materialized, and the location of the run that did it."""
    facts = {}
    for asset in assets:
        event = instance.get_latest_materialization_event(dg.AssetKey.from_user_string(asset))
        run = instance.get_run_by_id(event.run_id) if event is not None and event.run_id else None
        origin = run.remote_job_origin if run is not None else None
        facts[asset] = AssetFacts(
            location=origin.location_name if origin is not None else None,
            materialized=datetime.fromtimestamp(event.timestamp, UTC) if event is not None else None,
        )
    return facts


def instigator_ticks(instance: dg.DagsterInstance) -> list[InstigatorTicks]:
    """All sensors and schedules that have ever ticked, with their newest ticks."""
    states = instance.all_instigator_state()
    # One more, for a tick that goes on.
    ticks = instance.get_batch_ticks([state.selector_id for state in states], limit=FAILURES_IN_A_ROW + 1)
    return [
        InstigatorTicks(
            state.selector.location_name,
            state.name,
            "schedule" if state.instigator_type.value == "SCHEDULE" else "sensor",
            state.is_running,
            [_tick(tick) for tick in ticks.get(state.selector_id, ()) if tick.status.value != _STARTED],
        )
        for state in states
    ]


def _tick(tick: Any) -> TickRecord:
    return TickRecord(
        datetime.fromtimestamp(tick.timestamp, UTC),
        tick.status.value,
        max(1, tick.failure_count),
        _innermost(tick.error)[:_ERROR_LENGTH] if tick.error is not None else None,
    )


def _innermost(error: Any) -> str:
    while error.cause is not None:
        error = error.cause
    return str(error.message).strip()
