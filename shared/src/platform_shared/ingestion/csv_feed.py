"""A feed of CSV files that land in a folder: its sensor, its job, its raw table, as Dagster definitions."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import dagster as dg

from platform_shared import clock
from platform_shared.contracts import Contract
from platform_shared.ingestion.closing import empty_days
from platform_shared.ingestion.landing import LandedFile, list_landing, sha256
from platform_shared.ingestion.loading import BatchLoader, BatchResult
from platform_shared.ingestion.planning import Limits, Plan, plan
from platform_shared.ingestion.quarantine import quarantined
from platform_shared.ingestion.tags import ATTEMPT_TAG, BATCH_TAG, FEED_TAG, MAX_ATTEMPTS_TAG
from platform_shared.ledger import Ledger, Message, Outcome, Unit, UnitState
from platform_shared.location import LOCATION_TAG
from platform_shared.partitions import BUSINESS_DAYS, FIRST_BUSINESS_DATE, business_date
from platform_shared.resources import LedgerResource, PlatformFolders, WarehouseResource

_COMPARED_BYTES_PER_TICK = 64 * 1024**2


@dataclass(frozen=True)
class CsvFeed:
    """A feed `name` whose files lie below `landing/<name>/` and whose rows make up the contract's table.

    `business_date` is an SQL expression over the source's columns: the partition of a row. `poll_seconds` is the pause
    between looks; Dagster's sensor loop sleeps five seconds, so less is five. A business day is complete `grace` after
    its end. If nothing came for it by then, but something for a later day, it is announced as empty, as soon as no
    complete day was loaded for the time `rest`.
    """

    name: str
    contract: Contract
    business_date: str
    poll_seconds: int = 5
    grace: timedelta = timedelta(hours=2)
    rest: timedelta = timedelta(minutes=2)
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        if self.contract.partitions is not BUSINESS_DAYS:
            raise ValueError(f"The feed {self.name} needs a contract by business day (partitions=BUSINESS_DAYS).")

    @property
    def source_key(self) -> dg.AssetKey:
        """The landing folder, as the external asset at the root of the lineage."""
        return dg.AssetKey(["landing", self.name])


class BatchConfig(dg.Config):
    """The batch to load. Batches are made by the feed's sensor, which finds new and changed files by itself; a run that
    names none, such as one from the UI's button, looks at the quarantine only."""

    batch_id: str = ""


def csv_feed_definitions(feed: CsvFeed) -> dg.Definitions:
    """External asset `landing/<feed>`, the raw table's asset with its check, the load job and the sensor (running)."""
    source = dg.AssetSpec(
        feed.source_key,
        group_name="sources",
        description=f"Files that the source delivers for `{feed.name}`; observed whenever new ones are seen.",
        owners=[f"team:{feed.contract.owner}"],
        kinds={"csv", "file"},
    )
    table = _table_asset(feed)
    job = dg.define_asset_job(
        f"{feed.name}_load_job",
        selection=dg.AssetSelection.assets(feed.contract.key) | dg.AssetSelection.checks_for_assets(feed.contract.key),
        description=f"Loads one batch of `{feed.name}` files; asked for by the sensor.",
    )
    return dg.Definitions(assets=[source, table], jobs=[job], sensors=[_sensor(feed)])


def _table_asset(feed: CsvFeed) -> dg.AssetsDefinition:
    key = feed.contract.key
    set_aside_check = dg.AssetCheckSpec(
        "no_file_in_quarantine",
        asset=key,
        description="Warns while a file of the feed is in quarantine; a corrected delivery clears it.",
    )

    # `skippable`: a batch touches some days, or none; each is announced by an event of its own.
    @dg.multi_asset(
        name=f"load_{feed.name}",
        specs=[feed.contract.spec(deps=[feed.source_key], kinds=["ducklake"], skippable=True)],
        check_specs=[set_aside_check],
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def load(
        context: dg.AssetExecutionContext,
        config: BatchConfig,
        folders: PlatformFolders,
        ledger: LedgerResource,
        warehouse: WarehouseResource,
    ) -> Iterator[dg.AssetCheckResult]:
        home = folders.home()
        with ledger.ledger() as units:
            loader = BatchLoader(
                feed=feed.name,
                contract=feed.contract,
                business_date_column="business_date",
                business_date_expression=feed.business_date,
                first_day=FIRST_BUSINESS_DATE,
                landing=home.landing / feed.name,
                quarantine=home.quarantine,
                warehouse=warehouse.warehouse(),
                ledger=units,
                clock=clock.utc_now,
                limits=feed.limits,
            )
            today = business_date(clock.utc_now())
            result = config.batch_id and loader.load(
                config.batch_id,
                context.run.run_id,
                today,
                lambda result: _announce(context, key, config.batch_id, result),
            )
            if not config.batch_id:
                context.log.info("No batch is named; the feed's sensor makes batches of new files by itself.")
            elif result is None:
                context.log.info(f"Batch {config.batch_id} is done or another run has it; nothing to do.")
            waiting = units.quarantined(feed.name)
        yield dg.AssetCheckResult(
            check_name=set_aside_check.name,
            asset_key=key,
            passed=not waiting,
            severity=dg.AssetCheckSeverity.WARN,
            metadata={
                "files": len(waiting),
                "reasons": dg.MetadataValue.md("\n".join(f"- {u.reason}" for u in waiting[:20]) or "none"),
            },
        )

    return load


def _announce(context: dg.AssetExecutionContext, key: dg.AssetKey, batch_id: str, result: BatchResult) -> None:
    for name, reason in result.set_aside.items():
        context.log.warning(f"{name} is set aside: {reason}")
    context.log.info(
        f"Batch {batch_id}: {result.loaded} files with {result.rows} rows loaded, {result.unchanged} unchanged, "
        f"{result.superseded} superseded, {len(result.set_aside)} set aside."
    )
    for day in result.days:
        context.log_event(
            dg.AssetMaterialization(
                key,
                partition=day.day,
                metadata={
                    **({} if day.rows is None else {"dagster/partition_row_count": day.rows}),
                    "batch": batch_id,
                    "batch_files": result.loaded,
                    "batch_rows": result.rows,
                    "batch_bytes": result.bytes,
                },
            )
        )


def _sensor(feed: CsvFeed) -> dg.SensorDefinition:
    @dg.sensor(
        name=f"{feed.name}_landing_sensor",
        job_name=f"{feed.name}_load_job",
        minimum_interval_seconds=feed.poll_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"Sees new and changed `{feed.name}` files and asks for bounded batches of them.",
    )
    def landing_sensor(
        context: dg.SensorEvaluationContext, folders: PlatformFolders, ledger: LedgerResource
    ) -> dg.SensorResult:
        home = folders.home()
        with ledger.ledger() as units, ledger.outbox() as outbox:
            landing = home.landing / feed.name
            known = units.known(feed.name)
            if not known and not landing.exists():
                return dg.SensorResult(skip_reason="nothing was delivered yet: the landing folder is not there")
            found = list_landing(landing)
            listing = found.files
            now = clock.utc_now()
            for name in found.unusable:
                outbox.put(_unusable_name(feed, name), now)
            fresh = [file for file in listing if (file.object_id, file.version) not in known]
            units.record_seen(feed.name, [(f.object_id, f.version, f.size_bytes) for f in fresh], now)
            _look_after_batches(context, feed, units, now)
            open_units = units.units(feed.name, [UnitState.DISCOVERED, UnitState.REQUESTED])
            planned = plan(
                feed.name,
                listing,
                open_units,
                _unchanged(feed.name, landing, listing, open_units, units),
                feed.limits,
                now,
            )
            ended = [
                quarantined(home.quarantine, feed.name, feed.contract.owner, landing, outcome, now)
                if outcome.state is UnitState.QUARANTINED
                else outcome
                for outcome in planned.ended
            ]
            _announce_days_of_dead_runs(context, feed, open_units, ended)
            units.close_units(feed.name, ended, now)
            _announce_empty_days(context, feed, units, now)
            granted = {lease.batch_id: lease for lease in units.lease([b.lease for b in planned.batches], now)}
        requests = [
            _request(feed, batch.lease.batch_id, batch.attempt)
            for batch in planned.batches
            if batch.lease.batch_id in granted
        ]
        observations = [_observation(feed, listing, fresh)] if fresh else []
        if not requests:
            return dg.SensorResult(skip_reason=_why_nothing(listing, open_units, planned), asset_events=observations)
        return dg.SensorResult(run_requests=requests, asset_events=observations)

    return landing_sensor


def _request(feed: CsvFeed, batch_id: str, attempt: int) -> dg.RunRequest:
    return dg.RunRequest(
        run_key=batch_id,
        run_config=dg.RunConfig(ops={f"load_{feed.name}": BatchConfig(batch_id=batch_id)}),
        tags={
            LOCATION_TAG: feed.contract.owner,
            FEED_TAG: feed.name,
            BATCH_TAG: batch_id,
            ATTEMPT_TAG: str(attempt),
            MAX_ATTEMPTS_TAG: str(feed.limits.attempts),
            # The ledger asks again; a retry by the instance would double it.
            "dagster/max_retries": "0",
        },
    )


def _look_after_batches(context: dg.SensorEvaluationContext, feed: CsvFeed, units: Ledger, now: datetime) -> None:
    """A run's end shortens the lease of its batch, a run that waits for its turn prolongs it."""
    requested = units.units(feed.name, [UnitState.REQUESTED])
    for batch_id, holder in sorted({(u.batch_id, u.lease_holder or "") for u in requested if u.batch_id}):
        filters = dg.RunsFilter(run_ids=[holder]) if holder else dg.RunsFilter(tags={BATCH_TAG: batch_id})
        runs = context.instance.get_runs(filters, limit=1)
        if not runs:
            continue
        if runs[0].is_finished:
            reason = f"run {runs[0].run_id} ended as {runs[0].status.value} without a reason"
            units.give_back(feed.name, batch_id, reason, now, feed.limits.pauses)
        elif runs[0].status is not dg.DagsterRunStatus.STARTED:
            units.prolong(feed.name, batch_id, now + feed.limits.lease)


def _announce_days_of_dead_runs(
    context: dg.SensorEvaluationContext, feed: CsvFeed, open_units: Sequence[Unit], ended: Sequence[Outcome]
) -> None:
    """A unit that ends here may have been committed by a run that died before it announced the days."""
    ends = {(outcome.object_id, outcome.version) for outcome in ended}
    days = {day for unit in open_units if (unit.object_id, unit.version) in ends for day in unit.days}
    for day in sorted(days):
        context.instance.report_runless_asset_event(dg.AssetMaterialization(feed.contract.key, partition=day))


def _announce_empty_days(context: dg.SensorEvaluationContext, feed: CsvFeed, units: Ledger, now: datetime) -> None:
    """A day without deliveries is a partition like any other: what waits for whole weeks or for all days gets them."""
    days = units.feed_days(feed.name)
    complete = business_date(now - feed.grace) - timedelta(days=1)
    empty = empty_days(FIRST_BUSINESS_DATE, complete, days.delivered, days.empty, now=now, rest=feed.rest)
    for day in empty:
        context.instance.report_runless_asset_event(
            dg.AssetMaterialization(
                feed.contract.key,
                partition=day.isoformat(),
                description="No deliveries for this day.",
                metadata={"dagster/partition_row_count": 0},
            )
        )
    if empty:
        context.log.info(f"{len(empty)} days without deliveries, from {empty[0]} to {empty[-1]}, announced as empty.")
        units.note_empty_days(feed.name, empty, now)


def _unusable_name(feed: CsvFeed, name: str) -> Message:
    return Message(
        key=f"unusable-name/{feed.name}/{name}",
        route=feed.contract.owner,
        subject=f"{feed.name}: a file's name is not UTF-8",
        body=f"{name} (bytes escaped) is left where it is and not loaded. Deliver it under a name in UTF-8.",
    )


def _unchanged(
    feed: str, landing: Path, listing: Sequence[LandedFile], open_units: Sequence[Unit], units: Ledger
) -> Mapping[tuple[str, str], str]:
    """Waiting versions whose bytes are the loaded ones, found here to spare a run; the loader compares the rest."""
    waiting = [unit for unit in open_units if unit.state is UnitState.DISCOVERED]
    loaded = units.loaded_hashes(feed, [unit.object_id for unit in waiting]) if waiting else {}
    listed = {(file.object_id, file.version) for file in listing}
    budget, same = _COMPARED_BYTES_PER_TICK, {}
    for unit in waiting:
        key = (unit.object_id, unit.version)
        if unit.object_id not in loaded or key not in listed or unit.size_bytes > budget:
            continue
        budget -= unit.size_bytes
        try:
            digest = sha256(landing / unit.object_id)
        except OSError:
            continue  # gone or unreadable by now: the loader says which
        if digest == loaded[unit.object_id]:
            same[key] = digest
    return same


def _observation(feed: CsvFeed, listing: Sequence[LandedFile], fresh: Sequence[LandedFile]) -> dg.AssetObservation:
    return dg.AssetObservation(
        feed.source_key,
        metadata={
            "files": len(listing),
            "new_files": len(fresh),
            "new_bytes": sum(file.size_bytes for file in fresh),
            "newest_file": fresh[-1].object_id,
        },
    )


def _why_nothing(listing: Sequence[LandedFile], open_units: Sequence[Unit], planned: Plan) -> str:
    if planned.settling:
        return f"{planned.settling} files are still being written"
    in_flight = sum(unit.state is UnitState.REQUESTED for unit in open_units)
    if in_flight:
        return f"{in_flight} files are being loaded, {planned.waiting} wait for their turn"
    return f"nothing new among {len(listing)} files"
