"""The raw table of a feed as an asset: a run loads one batch."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import dagster as dg

from platform_shared import clock
from platform_shared.ingestion.feed import ObjectFeed
from platform_shared.ingestion.loading import BatchLoader, BatchResult, LoadedPartition
from platform_shared.ingestion.tags import FEED_TAG
from platform_shared.ledger import Unit

QUARANTINE_CHECK = "nothing_in_quarantine"
REJECTS_CHECK = "no_row_rejected"


class BatchConfig(dg.Config):
    """The batch to load. Batches are made by the feed's sensor, which finds new and changed objects by itself; a run
    that names none, such as one from the UI's button, looks at the quarantine only."""

    batch_id: str = ""


def load_op(feed: ObjectFeed) -> str:
    """Name of the op that loads a feed's batches."""
    return f"load_{feed.name}"


def raw_asset(feed: ObjectFeed) -> dg.AssetsDefinition:
    """The contract's table, with a check of the quarantine and one of rejected rows."""
    key = feed.contract.key
    checks = [
        dg.AssetCheckSpec(
            QUARANTINE_CHECK,
            asset=key,
            description="Warns while an object of the feed is in quarantine; a corrected delivery clears it.",
        ),
        dg.AssetCheckSpec(
            REJECTS_CHECK,
            asset=key,
            description="Warns while loaded objects have rows that did not fit; they are in the table of rejects.",
        ),
    ]

    # `skippable`: a batch touches some partitions, or none; each is announced by an event of its own.
    @dg.multi_asset(
        name=load_op(feed),
        specs=[
            feed.contract.spec(deps=[feed.source_key], kinds=["ducklake"], skippable=True, tags={FEED_TAG: feed.name})
        ],
        check_specs=checks,
        backfill_policy=dg.BackfillPolicy.single_run() if feed.contract.partitions else None,
        required_resource_keys={"folders", "ledger", "warehouse", *feed.location.resource_keys},
    )
    def load(context: dg.AssetExecutionContext, config: BatchConfig) -> Iterator[dg.AssetCheckResult]:
        resources = context.resources
        with resources.ledger.ledger() as ledger:
            if not config.batch_id:
                context.log.info("No batch is named; the feed's sensor makes batches of new objects by itself.")
            else:
                loader = BatchLoader(
                    feed=feed.name,
                    contract=feed.contract,
                    shape=feed.shape(clock.utc_now()),
                    source=feed.location.open(resources),
                    quarantine=resources.folders.home().quarantine,
                    warehouse=resources.warehouse.warehouse(),
                    ledger=ledger,
                    clock=clock.utc_now,
                    limits=feed.limits,
                )
                result = loader.load(
                    config.batch_id, context.run.run_id, lambda result: _announce(context, feed, config, result)
                )
                if result is None:
                    context.log.info(f"Batch {config.batch_id} is done or another run has it; nothing to do.")
            waiting = ledger.quarantined(feed.name)
            rejected = ledger.rejected(feed.name)
        yield _check(key, QUARANTINE_CHECK, quarantine_metadata(waiting), not waiting)
        rows = sum(rejected.values())
        names = dg.MetadataValue.md("\n".join(f"- `{name}`: {n}" for name, n in list(rejected.items())[:20]) or "none")
        yield _check(key, REJECTS_CHECK, {"rows": rows, "objects": names}, not rows)

    return load


def _check(key: dg.AssetKey, name: str, metadata: Mapping[str, Any], passed: bool) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name=name, asset_key=key, passed=passed, severity=dg.AssetCheckSeverity.WARN, metadata=metadata
    )


def quarantine_metadata(units: Sequence[Unit]) -> dict[str, Any]:
    """What the check of the quarantine shows of the units that are there."""
    reasons = "\n".join(f"- {unit.reason}" for unit in units[:20]) or "none"
    return {"objects": len(units), "reasons": dg.MetadataValue.md(reasons)}


def _announce(context: dg.AssetExecutionContext, feed: ObjectFeed, config: BatchConfig, result: BatchResult) -> None:
    for name, reason in result.set_aside.items():
        context.log.warning(f"{name} is set aside: {reason}")
    for column, type_ in result.new_columns.items():
        context.log.warning(f"The table has a new column {column} ({type_}): the source sends it now.")
    context.log.info(
        f"Batch {config.batch_id}: {result.loaded} objects with {result.rows} rows loaded ({result.rejects} rows "
        f"rejected), {result.unchanged} unchanged, {result.superseded} superseded, {len(result.set_aside)} set aside."
    )
    batch = _batch_metadata(config.batch_id, result, clock.utc_now())
    if feed.periods is not None:
        for partition in result.partitions:
            context.log_event(_materialization(feed, partition, batch))
    elif result.loaded or result.may_have_changed:
        rows = {"dagster/row_count": result.table_rows} if result.table_rows is not None else {}
        context.log_event(dg.AssetMaterialization(feed.contract.key, metadata={**rows, **batch}))


def _materialization(feed: ObjectFeed, partition: LoadedPartition, batch: Mapping[str, Any]) -> dg.AssetMaterialization:
    rows = {} if partition.rows is None else {"dagster/partition_row_count": partition.rows}
    return dg.AssetMaterialization(feed.contract.key, partition=partition.key, metadata={**rows, **batch})


def _batch_metadata(batch_id: str, result: BatchResult, now: datetime) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "batch": batch_id,
        "batch_objects": result.loaded,
        "batch_rows": result.rows,
        "batch_rejects": result.rejects,
        "batch_bytes": result.bytes,
    }
    if result.seconds > 0:
        metadata["batch_rows_per_second"] = round(result.rows / result.seconds)
    if result.oldest is not None:
        metadata["batch_lag_seconds"] = round((now - result.oldest).total_seconds(), 1)
    return metadata
