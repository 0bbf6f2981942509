"""Which run failures are told, and in which words: pure functions of a run's tags."""

from collections.abc import Mapping
from dataclasses import dataclass

from platform_shared.ingestion.tags import ATTEMPT_TAG, MAX_ATTEMPTS_TAG
from platform_shared.ledger import Message

WILL_RETRY_TAG = "dagster/will_retry"
"""Set by Dagster on a failed run that it will retry."""


@dataclass(frozen=True)
class RunFailure:
    """A failed run. `location` owns it; `error` is its first error in words."""

    run_id: str
    job: str
    location: str
    tags: Mapping[str, str]
    error: str


def _is_told(attempt: int, attempts: int) -> bool:
    """The last try, and then ever more seldom: a feed whose runs fail by an outage tries for as long as it lasts."""
    while attempt > attempts and attempt % 2 == 0:
        attempt //= 2
    return attempt == attempts


def run_failure_message(failure: RunFailure) -> Message | None:
    """The message for the owner, or None while somebody will try again: the instance, or the ledger."""
    if failure.tags.get(WILL_RETRY_TAG) == "true":
        return None
    attempt, attempts = failure.tags.get(ATTEMPT_TAG), failure.tags.get(MAX_ATTEMPTS_TAG)
    if attempt and attempts and not _is_told(int(attempt), int(attempts)):
        return None
    tries = failure.tags.get("dagster/retry_number")
    after = f" after {int(tries) + 1} tries" if tries else ""
    return Message(
        key=f"run-failure/{failure.run_id}",
        route=failure.location,
        subject=f"{failure.location}: {failure.job} failed{after}",
        body=f"Run {failure.run_id}\n{failure.error}",
    )
