"""Segments between their schedules: told again after each new model, learned again when the households have changed."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import dagster as dg

from batch.defs.household_segments import (
    config_at,
    household_segment_model,
    household_segments,
    segments_refresh_job,
    why_not_segments,
)
from batch.segment_refresh import Route, has_drifted, plan
from platform_shared import clock
from platform_shared.contracts import HOUSEHOLD_SPEND
from platform_shared.resources import WarehouseResource
from platform_shared.sensors import Places, look_at_each, newest_materializations

REST = timedelta(minutes=30)
"""A model is left alone for so long: while a platform fills, households come every minute."""
ROUTE_TAG = "platform/route"
_MODEL, _HOUSEHOLDS = household_segment_model.key.to_user_string(), HOUSEHOLD_SPEND.key.to_user_string()
_ROUTES = {_MODEL: Route.SCORE, _HOUSEHOLDS: Route.RETRAIN}
_ASSETS = {Route.SCORE: [household_segments], Route.RETRAIN: [household_segment_model, household_segments]}


@dg.sensor(
    name="household_segments_refresh_sensor",
    job=segments_refresh_job,
    minimum_interval_seconds=120,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Follows the model and the households, each from a place of its own: after a new model it asks for the "
    "segments, and with a quarter more or fewer households for both.",
)
def household_segments_refresh_sensor(
    context: dg.SensorEvaluationContext, warehouse: WarehouseResource
) -> dg.SensorResult:
    instance, now, places = context.instance, clock.utc_now(), Places.of(context.cursor)
    newest = newest_materializations(instance, [household_segment_model.key, HOUSEHOLD_SPEND.key])
    model, segments = _newest(instance, household_segment_model.key), _newest(instance, household_segments.key)
    if model is None or segments is None:
        return dg.SensorResult(skip_reason="The first model and segments come by themselves.", cursor=places.cursor())
    changed = places.changed(newest)
    if why_not := why_not_segments(instance) if changed else "Nothing new.":
        return dg.SensorResult(skip_reason=why_not, cursor=places.cursor())

    looks: dict[str, Callable[[], bool]] = {
        _MODEL: lambda: not _is_told_by(instance, segments, model),
        _HOUSEHOLDS: lambda: has_drifted(_learned_from(model), _households(warehouse)),
    }
    if now < _last_trained(instance, model) + REST:
        del looks[_HOUSEHOLDS]
    calls, failed = look_at_each({name: look for name, look in looks.items() if name in changed})
    for name, error in failed.items():
        context.log.warning(f"{name} cannot be looked at, and keeps its place: {error}")
    found = plan(places, newest, calls, _ROUTES)
    later = ", ".join(sorted(changed.keys() - calls.keys())) or "none"
    return dg.SensorResult(
        [_request(found.route, now)] if found.route else [],
        skip_reason=None if found.route else f"Nothing calls for a run; to be looked at later: {later}.",
        cursor=found.places.cursor(),
    )


def _request(route: Route, now: datetime) -> dg.RunRequest:
    assets, config = _ASSETS[route], config_at(now)
    return dg.RunRequest(
        asset_selection=[asset.key for asset in assets],
        run_config=dg.RunConfig(ops={asset.op.name: config for asset in assets}),
        tags={ROUTE_TAG: route.value},
    )


def _newest(instance: dg.DagsterInstance, key: dg.AssetKey) -> dg.EventLogRecord | None:
    records = instance.fetch_materializations(key, limit=1).records
    return records[0] if records else None


def _is_told_by(instance: dg.DagsterInstance, segments: dg.EventLogRecord, model: dg.EventLogRecord) -> bool:
    """Whether the segments are this model's: of its own run, or of one that began when the model was there."""
    if segments.storage_id < model.storage_id:
        return False
    run = instance.get_run_record_by_id(segments.run_id)
    return segments.run_id == model.run_id or not run or (run.start_time or 0) >= model.timestamp


def _learned_from(model: dg.EventLogRecord) -> int:
    """Households that the model learned from; 0 if it does not say."""
    event = model.asset_materialization
    value = event.metadata.get("households") if event else None
    return value.value or 0 if isinstance(value, dg.IntMetadataValue) else 0


def _households(warehouse: WarehouseResource) -> int:
    with warehouse.read() as connection:
        row = connection.execute("SELECT count(*) FROM lake.marts.household_spend").fetchone()
    return int(row[0]) if row else 0


def _last_trained(instance: dg.DagsterInstance, model: dg.EventLogRecord) -> datetime:
    """When the model was made, or last asked for here: one that fails is not asked for all the time."""
    filters = dg.RunsFilter(job_name=segments_refresh_job.name, tags={ROUTE_TAG: Route.RETRAIN.value})
    asked = [record.create_timestamp.timestamp() for record in instance.get_run_records(filters, limit=1)]
    return datetime.fromtimestamp(max([model.timestamp, *asked]), UTC)
