"""Failures of all locations become messages, and messages reach the owner's route."""

import dagster as dg

from platform_shared import clock
from platform_shared.alerts import AlertRoutes, RunFailure, run_failure_message
from platform_shared.resources import LedgerResource


@dg.run_failure_sensor(
    name="workspace_run_failure_sensor",
    monitor_all_code_locations=True,
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=10,
    description="Writes one message for each run failure of any location, after its last retry.",
)
def workspace_run_failure_sensor(context: dg.RunFailureSensorContext, ledger: LedgerResource) -> dg.SkipReason | None:
    run = context.dagster_run
    origin = run.remote_job_origin
    message = run_failure_message(
        RunFailure(
            run_id=run.run_id,
            job=run.job_name,
            location=origin.location_name if origin else "operations",
            tags=run.tags,
            error=_first_error(context),
        )
    )
    if message is None:
        return dg.SkipReason(f"run {run.run_id} will be tried again")
    with ledger.outbox() as outbox:
        outbox.put(message, clock.utc_now())
    return None


def _first_error(context: dg.RunFailureSensorContext) -> str:
    """Kind and message of the innermost cause of the first failed step, or what Dagster says of the run."""
    for event in context.get_step_failure_events():
        error = event.step_failure_data.error
        while error is not None and error.cause is not None:
            error = error.cause
        if error is not None:
            return error.message.strip()[:2000]
    return context.failure_event.message or "no error was recorded"


@dg.sensor(
    name="outbox_message_sensor",
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=10,
    description="Delivers messages that have not reached their route yet.",
)
def outbox_message_sensor(
    context: dg.SensorEvaluationContext, ledger: LedgerResource, routes: AlertRoutes
) -> dg.SkipReason:
    with ledger.outbox() as outbox:
        delivered, errors = outbox.deliver(lambda message: routes.send(message, context.log), clock.utc_now())
    for error in errors:
        context.log.warning(f"Not delivered, will be tried again: {error}")
    return dg.SkipReason(f"{delivered} messages delivered, {len(errors)} wait")
