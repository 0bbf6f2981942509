"""The daily comparison of source, ledger and table, as an asset check."""

from datetime import timedelta

import dagster as dg

from platform_shared import clock
from platform_shared.ingestion.feed import ObjectFeed
from platform_shared.ingestion.reconciling import reconcile
from platform_shared.partitions import BUSINESS_TIME_ZONE

RECONCILED_CHECK = "reconciled"
PATIENCE = timedelta(minutes=30)
"""What came or waits for less than this is on its way."""


def reconcile_job(feed: str) -> str:
    """Name of the job that compares a feed."""
    return f"{feed}_reconcile_job"


def reconciliation(feed: ObjectFeed) -> dg.Definitions:
    """The check, its job, and its daily schedule (running)."""
    key = feed.contract.key

    @dg.asset_check(
        asset=key,
        name=RECONCILED_CHECK,
        description="Fails if the source's listing, the ledger and the table do not agree. Runs daily.",
        required_resource_keys={"ledger", "warehouse", *feed.location.resource_keys},
    )
    def reconciled(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        resources = context.resources
        with resources.ledger.ledger() as ledger:
            result = reconcile(
                feed,
                feed.location.open(resources),
                ledger,
                resources.warehouse.warehouse(),
                clock.utc_now(),
                PATIENCE,
            )
        for line in result.lines():
            context.log.error(line)
        return dg.AssetCheckResult(
            passed=result.is_clean,
            metadata={
                "listed": result.listed,
                "loaded": result.loaded,
                "waiting": result.waiting,
                "quarantined": result.quarantined,
                "rows": result.rows,
                "rejects": result.rejects,
                "differences": dg.MetadataValue.md("\n".join(f"- {line}" for line in result.lines()) or "none"),
            },
        )

    job = dg.define_asset_job(
        reconcile_job(feed.name),
        selection=dg.AssetSelection.checks(dg.AssetCheckKey(key, RECONCILED_CHECK)),
        description=f"Compares the source of `{feed.name}` with the ledger and the table.",
        tags={"dagster/max_retries": "2"},
    )
    schedule = dg.ScheduleDefinition(
        name=f"{feed.name}_reconcile_daily_schedule",
        job_name=job.name,
        cron_schedule="30 4 * * *",
        execution_timezone=BUSINESS_TIME_ZONE,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Once a night, when the business day before is complete.",
    )
    return dg.Definitions(asset_checks=[reconciled], jobs=[job], schedules=[schedule])
