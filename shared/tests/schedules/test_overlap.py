"""Ticks that come while their job is still at work."""

from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from platform_shared.schedules import Overlap, why_not_now
from platform_shared.schedules.overlap import decide

NOW = datetime(2026, 3, 2, 12, 0, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("policy", "waiting", "at_work", "asks"),
    [
        (Overlap.SKIP, 0, 0, True),
        (Overlap.SKIP, 0, 1, False),
        (Overlap.SKIP, 1, 0, False),
        (Overlap.QUEUE_ONE, 0, 0, True),
        (Overlap.QUEUE_ONE, 0, 1, True),
        (Overlap.QUEUE_ONE, 1, 1, False),
        (Overlap.QUEUE_ONE, 1, 0, False),
    ],
)
def test_what_a_policy_decides(policy, waiting, at_work, asks):
    why_not = decide(policy, waiting=waiting, at_work=at_work)
    assert (why_not is None) == asks
    assert asks or policy.value in why_not


@given(st.sampled_from(Overlap), st.lists(st.sampled_from(["tick", "start", "end"]), max_size=60))
def test_runs_never_pile_up_and_a_tick_is_answered_by_a_run_that_starts_after_it(policy, events):
    waiting = at_work = 0
    unanswered = False
    for event in events:
        if event == "tick":
            asks = decide(policy, waiting=waiting, at_work=at_work) is None
            waiting += asks
            unanswered = policy is Overlap.QUEUE_ONE
        elif event == "start" and waiting and not at_work:
            waiting, at_work, unanswered = waiting - 1, at_work + 1, False
        elif event == "end" and at_work:
            at_work -= 1
        assert waiting + at_work <= (1 if policy is Overlap.SKIP else 2)
        assert not unanswered or waiting == 1


def location(policy):
    @dg.asset(pool="table")
    def table() -> None: ...

    job = dg.define_asset_job("table_job", [table])

    @dg.schedule(
        job=job,
        cron_schedule="*/10 * * * *",
        execution_timezone="America/New_York",
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )
    def table_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        why_not = why_not_now(context.instance, "table_job", policy)
        return dg.SkipReason(why_not) if why_not else dg.RunRequest()

    return dg.Definitions([table], jobs=[job], schedules=[table_schedule])


@pytest.mark.parametrize(("policy", "requested"), [(Overlap.SKIP, 1), (Overlap.QUEUE_ONE, 2)])
def test_a_job_that_outlasts_five_ticks(daemon_harness, policy, requested):
    daemon = daemon_harness({"batch": location(policy)}, NOW)
    daemon.advance(timedelta(minutes=10))
    daemon.tick_schedules()
    (at_work,) = daemon.dequeue()
    for _ in range(5):
        daemon.advance(timedelta(minutes=10))
        (tick,) = daemon.tick_schedules()
        daemon.dequeue()
    assert policy.value in tick.skip_reason
    assert len(daemon.runs()) == requested
    assert daemon.dequeue() == [at_work], "the pool keeps the other one waiting"
    daemon.execute_runs()
    daemon.advance(timedelta(minutes=10))
    assert len(daemon.tick_schedules()[0].run_ids) == 1
