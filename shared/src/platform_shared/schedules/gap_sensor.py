"""The sensor that fills the gaps of a series: a thin shell around `healing.plan`."""

import json
from datetime import datetime

import dagster as dg

from platform_shared import clock
from platform_shared.schedules.building import ONLY_DUE_TAGS
from platform_shared.schedules.due import rows
from platform_shared.schedules.healing import Memory, Plan, Tried, plan
from platform_shared.schedules.requests import range_request
from platform_shared.schedules.series import Series, slots, traces, unfinished_runs
from platform_shared.schedules.soundness import soundness
from platform_shared.tags import LOCATION_TAG

HEALS_TAG = "platform/heals"
"""Tag of a run that fills gaps, with the name of its job."""

Traces = list[str | int | None] | None

_NO_GAPS = "No gaps."
_TOLD = 3
_VERSION = 2


def gap_healing_sensor(location: str, series: Series, *, look_every_seconds: int = 60) -> dg.SensorDefinition:
    """Asks for what was missed (the daemon was away, a tick or a run failed, an input came late, or changed), oldest
    first, a bounded run at a time; running from the start.

    Nothing is asked for while an input has failed a blocking check, or is being built. Its runs stand behind all others
    in the queue but those of `make backfill`. A look reads a row for each partition
    of the series and of its inputs, in a few queries; but where nothing was due and no record is new since, it does so
    once in a quarter of an hour, and otherwise looks for new records alone.
    """
    tags = {
        HEALS_TAG: series.job,
        LOCATION_TAG: location,
        "dagster/priority": "-1",
        "dagster/max_retries": "0",
        **ONLY_DUE_TAGS,
    }

    @dg.sensor(
        name=f"{series.job.removesuffix('_job')}_gap_sensor",
        job_name=series.job,
        minimum_interval_seconds=look_every_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"Fills partitions of {series.key.to_user_string()} that are missing or older than their inputs, "
        "oldest first.",
    )
    def gap_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        now = clock.utc_now()
        memory, quiet = _remembered(context.cursor)
        # Taken before the partitions are read: what comes meanwhile leaves a trace for the next look.
        seen = traces(context.instance, series, now)
        if quiet == seen:
            return dg.SensorResult(skip_reason=_NO_GAPS, cursor=context.cursor)
        why_not = soundness(context.instance, series).words
        if why_not:
            return dg.SensorResult(skip_reason=why_not, cursor=_cursor(memory, None))
        by_row = rows(slots(context.instance, series, now), series.row)
        found = plan(
            [slot for slot, _ in by_row.values()],
            in_flight=unfinished_runs(context.instance, {HEALS_TAG: series.job}),
            memory=memory,
            limits=series.limits,
            now=now,
        )
        return dg.SensorResult(
            [range_request([key for row in run for key in by_row[row][1]], tags=tags) for run in found.runs],
            skip_reason=None if found.runs else _why_nothing(found),
            cursor=_cursor(found.memory, None if any(slot.is_due for slot, _ in by_row.values()) else seen),
        )

    return gap_sensor


def _why_nothing(found: Plan) -> str:
    if not found.due:
        return _NO_GAPS
    words = f"{found.due} partitions are due, and none is to be asked for now."
    again = [f"{key} after {at:%Y-%m-%d %H:%M} UTC" for key, at in found.waiting]
    if not again:
        return words
    more = f", and {len(again) - _TOLD} more" if len(again) > _TOLD else ""
    return f"{words} Asked for in vain, and tried again: {', '.join(again[:_TOLD])}{more}."


def _cursor(memory: Memory, quiet: Traces) -> str:
    return json.dumps(
        {
            "version": _VERSION,
            "quiet": quiet,
            "asked": memory.asked.isoformat() if memory.asked else None,
            "tried": {key: [t.inputs, t.times, t.last.isoformat(), t.together] for key, t in memory.tried.items()},
        },
        sort_keys=True,
    )


def _remembered(cursor: str | None) -> tuple[Memory, Traces]:
    """What a cursor holds: what was tried, and the traces of a look at which nothing was due. ValueError for one of
    another version."""
    if not cursor:
        return Memory(), None
    found = json.loads(cursor)
    if found.get("version") != _VERSION:
        raise ValueError(f"This cursor is not of version {_VERSION}. Clear it: it only spaces tries.\n{cursor[:200]}")
    at = datetime.fromisoformat
    tried = {
        key: Tried(inputs, times, at(last), together) for key, (inputs, times, last, together) in found["tried"].items()
    }
    return Memory(tried, at(found["asked"]) if found["asked"] else None), found.get("quiet")
