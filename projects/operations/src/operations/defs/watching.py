"""What lasts is told when it begins and when it ends: tables that are too old, sensors and schedules that fail."""

import dagster as dg

from platform_shared import clock
from platform_shared.alerts import freshness, ticks
from platform_shared.alerts.definitions import with_definitions
from platform_shared.alerts.observed import facts_of_runs, freshness_states, instigator_ticks
from platform_shared.alerts.troubles import open_ones, subject_of, tell
from platform_shared.resources import LedgerResource
from platform_shared.webserver import WebserverError


@dg.sensor(
    name="freshness_state_sensor",
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=30,
    description="Writes one message when an asset of any location fails its freshness policy, and one when it is over.",
)
def freshness_state_sensor(context: dg.SensorEvaluationContext, ledger: LedgerResource) -> dg.SkipReason:
    states = freshness_states(context.instance)
    with ledger.outbox() as outbox:
        told = open_ones(outbox, freshness.PREFIX)
        subjects = {subject_of(message.key) for message in told}
        changed = [each for each in states if each.failed != (freshness.subject(each.asset) in subjects)]
        facts = facts_of_runs(context.instance, [each.asset for each in changed])
        try:
            facts = with_definitions(facts)
        except WebserverError as error:
            context.log.warning(f"Messages go by the location of the last run, without the policy: {error}")
        troubles, over = freshness.breaches(changed, facts), freshness.endings(changed, facts)
        new = tell(outbox, told, troubles, over, clock.utc_now())
    failed = sum(each.failed for each in states)
    return dg.SkipReason(f"{len(states)} assets looked at, {failed} fail their freshness policy, {new} new messages")


@dg.sensor(
    name="failed_tick_sensor",
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=30,
    description="Writes one message when a sensor or schedule of any location fails tick after tick, and one when it "
    "works again.",
)
def failed_tick_sensor(context: dg.SensorEvaluationContext, ledger: LedgerResource) -> dg.SkipReason:
    instigators = instigator_ticks(context.instance)
    failing = ticks.failing(instigators)
    with ledger.outbox() as outbox:
        new = tell(outbox, open_ones(outbox, ticks.PREFIX), failing, ticks.ended(instigators), clock.utc_now())
    return dg.SkipReason(f"{len(instigators)} sensors and schedules, {len(failing)} fail, {new} new messages")
