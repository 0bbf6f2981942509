"""The sensor of a feed: a thin shell around a look."""

from typing import Any

import dagster as dg

from platform_shared import clock
from platform_shared.ingestion.feed import ObjectFeed
from platform_shared.ingestion.feed_asset import QUARANTINE_CHECK, BatchConfig, load_op, quarantine_metadata
from platform_shared.ingestion.looking import Looked, Looker, RunState
from platform_shared.ingestion.planning import Batch
from platform_shared.ingestion.tags import ATTEMPT_TAG, BATCH_TAG, FEED_TAG, MAX_ATTEMPTS_TAG
from platform_shared.ledger import Ledger
from platform_shared.settings import NotSetUpError
from platform_shared.tags import LOCATION_TAG


def feed_sensor(feed: ObjectFeed) -> dg.SensorDefinition:
    """Sees new and changed objects and asks for bounded batches of them; running from the start."""

    @dg.sensor(
        name=f"{feed.name}_landing_sensor",
        job_name=f"{feed.name}_load_job",
        minimum_interval_seconds=feed.poll_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"Sees new and changed `{feed.name}` objects and asks for bounded batches of them.",
        required_resource_keys={"ledger", "folders", *feed.location.resource_keys},
    )
    def landing_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        resources: Any = context.resources
        try:
            source = feed.location.open(resources)
        except NotSetUpError as error:
            return dg.SensorResult(skip_reason=str(error))
        with resources.ledger.ledger() as ledger, resources.ledger.outbox() as outbox:
            looker = Looker(
                feed=feed,
                source=source,
                ledger=ledger,
                outbox=outbox,
                quarantine=resources.folders.home().quarantine,
                run_of=lambda batch_id, holder: _run_of(context.instance, batch_id, holder),
                announce=lambda partition, empty: _announce(context.instance, feed, partition, empty),
            )
            looked = looker.look(context.cursor, clock.utc_now())
            events: list[dg.AssetObservation | dg.AssetMaterialization | dg.AssetCheckEvaluation] = []
            if looked.new:
                events.append(_observation(feed, looked))
            if looked.set_aside:
                events.append(_quarantine_check(feed, ledger))
        return dg.SensorResult(
            run_requests=[_request(feed, batch) for batch in looked.batches],
            skip_reason=looked.why_nothing,
            asset_events=events,
            cursor=looked.memory.cursor(),
        )

    return landing_sensor


def _run_of(instance: dg.DagsterInstance, batch_id: str, holder: str | None) -> tuple[RunState, str]:
    filters = dg.RunsFilter(run_ids=[holder]) if holder else dg.RunsFilter(tags={BATCH_TAG: batch_id})
    runs = instance.get_runs(filters, limit=1)
    if not runs:
        return RunState.UNKNOWN, "no run"
    words = f"run {runs[0].run_id} ended as {runs[0].status.value}"
    if runs[0].is_finished:
        return RunState.ENDED, words
    at_work = runs[0].status is dg.DagsterRunStatus.STARTED
    return RunState.UNKNOWN if at_work else RunState.WAITING, words


def _announce(instance: dg.DagsterInstance, feed: ObjectFeed, partition: str | None, empty: bool) -> None:
    instance.report_runless_asset_event(
        dg.AssetMaterialization(
            feed.contract.key,
            partition=partition,
            description="No deliveries." if empty else None,
            metadata={"dagster/partition_row_count": 0} if empty else None,
        )
    )


def _request(feed: ObjectFeed, batch: Batch) -> dg.RunRequest:
    batch_id = batch.lease.batch_id
    return dg.RunRequest(
        run_key=batch_id,
        run_config=dg.RunConfig(ops={load_op(feed): BatchConfig(batch_id=batch_id)}),
        tags={
            LOCATION_TAG: feed.contract.owner,
            FEED_TAG: feed.name,
            BATCH_TAG: batch_id,
            ATTEMPT_TAG: str(batch.failures + 1),
            MAX_ATTEMPTS_TAG: str(feed.limits.attempts),
            # The ledger asks again; a retry by the instance would double it.
            "dagster/max_retries": "0",
        },
    )


def _quarantine_check(feed: ObjectFeed, ledger: Ledger) -> dg.AssetCheckEvaluation:
    """What a look sets aside is seen at once, and not with the next load."""
    waiting = ledger.quarantined(feed.name)
    return dg.AssetCheckEvaluation(
        asset_key=feed.contract.key,
        check_name=QUARANTINE_CHECK,
        passed=not waiting,
        severity=dg.AssetCheckSeverity.WARN,
        metadata=quarantine_metadata(waiting),
    )


def _observation(feed: ObjectFeed, looked: Looked) -> dg.AssetObservation:
    metadata: dict[str, Any] = {
        "new_objects": len(looked.new),
        "new_bytes": sum(entry.size_bytes for entry in looked.new),
        "newest_object": max(looked.new, key=lambda entry: entry.changed_ns).object_id,
    }
    if looked.objects is not None:
        metadata["objects"] = looked.objects
    return dg.AssetObservation(feed.source_key, metadata=metadata)
