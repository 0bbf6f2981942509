"""The sales report is put where people read it: an effect, and no data, so an op job and no asset."""

import dagster as dg

from batch.report_delivery import ADDRESS_VARIABLE, RefusedError, ReportDestination
from batch.reporting import EFFECT_RUN_TAGS
from platform_shared.postgres import postgres
from platform_shared.resources import PlatformFolders
from platform_shared.schedules import Overlap, why_not_now
from platform_shared.warehouse.locks import table_lock

REPORT = "sales_report.html"


@dg.op(
    # Two runs at once could leave the older report.
    pool="batch_sales_report_delivery",
    # 2, 6, 14 and 30 seconds, more or less: an outage of a minute is waited out.
    retry_policy=dg.RetryPolicy(max_retries=4, delay=2, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS),
)
def deliver_sales_report(
    context: dg.OpExecutionContext, destination: ReportDestination, folders: PlatformFolders
) -> None:
    """Puts the newest report; the same one twice changes nothing. What cannot pass is not tried again."""
    file = folders.home().reports / REPORT
    try:
        with table_lock(postgres(), "reports/sales_report_delivery"):
            destination.put(REPORT, file.read_bytes(), "text/html; charset=utf-8")
    except FileNotFoundError:
        raise dg.Failure("There is no sales report yet: build reports/sales_report.", allow_retries=False) from None
    except RefusedError as error:
        raise dg.Failure(str(error), allow_retries=False) from None
    context.log.info(f"{REPORT} is delivered")


@dg.job(description="Puts the newest sales report where people read it.", tags=EFFECT_RUN_TAGS)
def sales_report_delivery_job() -> None:
    deliver_sales_report()


@dg.asset_sensor(
    name="sales_report_built_sensor",
    asset_key=dg.AssetKey(["reports", "sales_report"]),
    job=sales_report_delivery_job,
    # A wrong address costs its owner a message each time.
    minimum_interval_seconds=900,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Has the sales report delivered when it was built. Of several builds it sees the newest, which is all "
    "that a delivery needs, and each only once: a delivery that fails is followed by the one of the next build.",
)
def sales_report_built_sensor(
    context: dg.SensorEvaluationContext, asset_event: dg.EventLogEntry, destination: ReportDestination
) -> dg.RunRequest | dg.SkipReason:
    if not destination.is_named():
        return dg.SkipReason(f"Nobody wants the sales report: {ADDRESS_VARIABLE} is not set.")
    # A delivery that waits takes what is there when it begins.
    why_not = why_not_now(context.instance, sales_report_delivery_job.name, Overlap.QUEUE_ONE)
    if why_not:
        return dg.SkipReason(why_not)
    return dg.RunRequest(run_key=f"{asset_event.run_id}-{asset_event.timestamp}")
