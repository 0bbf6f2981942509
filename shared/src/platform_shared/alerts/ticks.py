"""Which sensors and schedules fail tick after tick, as troubles of their locations: pure functions of their ticks."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from platform_shared.alerts.troubles import Ending, Trouble

PREFIX = "ticks/"
FAILURES_IN_A_ROW = 3
"""A tick or two fail while a code server is replaced; a schedule tries one tick again as often as the instance says."""

_FAILURE = "FAILURE"


@dataclass(frozen=True)
class TickRecord:
    """A tick that has ended: SUCCESS, SKIPPED or FAILURE. `tries`: how often it was tried; `error` in one line."""

    at: datetime
    status: str
    tries: int = 1
    error: str | None = None


@dataclass(frozen=True)
class InstigatorTicks:
    """A sensor or schedule (`kind`), whether it is switched on, and its newest ticks, newest first."""

    location: str
    name: str
    kind: str
    running: bool
    ticks: Sequence[TickRecord] = field(default=())

    @property
    def subject(self) -> str:
        """The name of its trouble."""
        return f"{PREFIX}{self.location}/{self.name}"

    @property
    def failed(self) -> list[TickRecord]:
        """The failed ticks since the last good one, newest first."""
        failed = []
        for tick in self.ticks:
            if tick.status != _FAILURE:
                break
            failed.append(tick)
        return failed


def failing(instigators: Iterable[InstigatorTicks]) -> list[Trouble]:
    """Those that are on and have failed several times in a row."""
    return [
        Trouble(
            each.subject,
            each.failed[-1].at,
            each.location,
            f"{each.location}: the {each.kind} {each.name} fails",
            f"It has failed since {each.failed[-1].at:%Y-%m-%d %H:%M:%S} UTC and requests nothing.\n"
            f"{each.failed[0].error or 'no error was recorded'}",
        )
        for each in instigators
        if each.running and sum(tick.tries for tick in each.failed) >= FAILURES_IN_A_ROW
    ]


def ended(instigators: Iterable[InstigatorTicks]) -> dict[str, Ending]:
    """How those are that do not fail: they tick again, or somebody has switched them off."""
    told = {}
    for each in instigators:
        if not each.running:
            told[each.subject] = Ending(f"{each.location}: the {each.kind} {each.name} is switched off", "")
        elif each.ticks and not each.failed:
            text = f"{each.location}: the {each.kind} {each.name} works again"
            told[each.subject] = Ending(text, f"Its tick of {each.ticks[0].at:%Y-%m-%d %H:%M:%S} UTC was good.")
    return told
