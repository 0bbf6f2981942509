"""The sensor that fills gaps: a thin shell around `healing.plan`, one for all series of a location."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import dagster as dg

from platform_shared import clock
from platform_shared.location import LOCATION_TAG
from platform_shared.schedules.building import ONLY_DUE_TAGS
from platform_shared.schedules.healing import Memory, Plan, Retried, plan
from platform_shared.schedules.requests import range_request
from platform_shared.schedules.series import Series, healing_runs, slots

HEALS_TAG = "platform/heals"
"""Tag of a run that fills gaps, with the asset; its value is what a tag may hold."""

_VERSION = 1


def gap_healing_sensor(location: str, series: Sequence[Series], *, look_every_seconds: int = 60) -> dg.SensorDefinition:
    """Asks for what schedules missed (the daemon was away, a tick or a run failed, the input came late, or changed),
    oldest first, a bounded run at a time for each series; running from the start.

    Healing runs stand behind all others in the queue. A look without anything due reads a few rows and
    asks for nothing.
    """

    @dg.sensor(
        name=f"{location}_gap_healing_sensor",
        target=dg.AssetSelection.assets(*(each.key for each in series)),
        minimum_interval_seconds=look_every_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Fills partitions that are missing or older than their inputs, oldest first.",
    )
    def healing_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        return look(context.instance, location, series, context.cursor, clock.utc_now())

    return healing_sensor


def look(
    instance: dg.DagsterInstance, location: str, series: Sequence[Series], cursor: str | None, now: datetime
) -> dg.SensorResult:
    """What a look asks for, and the cursor: what was tried again of each series, which only bounds the retries."""
    memory, plans = _remembered(cursor), {}
    for each in series:
        name = each.key.to_user_string()
        plans[name] = plan(
            slots(instance, each, now),
            in_flight=healing_runs(instance, {HEALS_TAG: _tag(each.key)}),
            memory=memory.get(name, Memory()),
            limits=each.limits,
            now=now,
        )
    return dg.SensorResult(
        run_requests=[
            range_request(
                partitions,
                assets=[each.key],
                tags={
                    HEALS_TAG: _tag(each.key),
                    LOCATION_TAG: location,
                    "dagster/priority": "-1",
                    "dagster/max_retries": "0",
                    **ONLY_DUE_TAGS,
                },
            )
            for each in series
            for partitions in plans[each.key.to_user_string()].runs
        ],
        skip_reason=None if any(found.runs for found in plans.values()) else _why_nothing(plans),
        cursor=_cursor({name: found.memory for name, found in plans.items()}),
    )


def _tag(key: dg.AssetKey) -> str:
    return ".".join(key.path)


def _why_nothing(plans: Mapping[str, Plan]) -> str:
    words = [
        f"{name}: {found.due} due" + (f", {len(found.given_up)} given up" if found.given_up else "")
        for name, found in plans.items()
        if found.due
    ]
    return f"Nothing to ask for now. {'; '.join(words)}" if words else "No gaps."


def _cursor(memory: Mapping[str, Memory]) -> str:
    kept: dict[str, Any] = {
        name: {
            "asked": each.asked.isoformat() if each.asked else None,
            "retried": {key: [r.inputs, r.times, r.last.isoformat()] for key, r in each.retried.items()},
        }
        for name, each in memory.items()
        if each.asked or each.retried
    }
    return json.dumps({"version": _VERSION, "series": kept}, sort_keys=True)


def _remembered(cursor: str | None) -> dict[str, Memory]:
    """What a cursor holds. ValueError for one of another version: clear it in the UI, it only bounds retries."""
    if not cursor:
        return {}
    found = json.loads(cursor)
    if found.get("version") != _VERSION:
        raise ValueError(f"This cursor is not of version {_VERSION}. Clear it: it only bounds retries.\n{cursor[:200]}")
    at = datetime.fromisoformat
    return {
        name: Memory(
            {key: Retried(inputs, times, at(last)) for key, (inputs, times, last) in each["retried"].items()},
            at(each["asked"]) if each["asked"] else None,
        )
        for name, each in found["series"].items()
    }
