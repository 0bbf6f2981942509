"""What a schedule does when its job is still at work: decided here, and not by who comes first in the queue."""

from enum import StrEnum

import dagster as dg


class Overlap(StrEnum):
    """The policy of a job. Two runs of it at once are kept apart by a pool; this keeps ticks from piling up."""

    SKIP = "skip"
    """A tick asks for nothing while a run is queued or at work."""
    QUEUE_ONE = "queue one"
    """A tick asks for a run while one is at work, but not while one waits: what is asked for is done with the newest
    data, once, however many ticks pass meanwhile."""


WAITING = (dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED)
AT_WORK = (dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING)


def decide(policy: Overlap, *, waiting: int, at_work: int) -> str | None:
    """Why a tick asks for nothing, given the runs of the job; None if it asks. Pure."""
    if waiting:
        return f"a run is waiting already ({policy.value})"
    if at_work and policy is Overlap.SKIP:
        return f"the run before is still at work ({policy.value})"
    return None


def why_not_now(instance: dg.DagsterInstance, job_name: str, policy: Overlap) -> str | None:
    """Why a tick of a schedule or sensor should ask for no run of this job now; None if it should ask."""
    runs = instance.get_runs(dg.RunsFilter(job_name=job_name, statuses=[*WAITING, *AT_WORK]))
    return decide(
        policy,
        waiting=sum(run.status in WAITING for run in runs),
        at_work=sum(run.status in AT_WORK for run in runs),
    )
