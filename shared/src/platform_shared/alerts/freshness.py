"""Which tables are older than their policy allows, as troubles of their owners: pure functions of what is known."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from platform_shared.alerts.troubles import Ending, Trouble

PREFIX = "freshness/"
FALLBACK_ROUTE = "operations"
"""Where messages go of what nobody owns."""

_TEAM = "team:"
_ENDINGS = {
    "PASS": "is fresh again",
    "WARN": "is fresh again, though it will not be for long",
    "UNKNOWN": "is not judged any more: it has no materialization",
    "NOT_APPLICABLE": "is not judged any more: it has no freshness policy",
}


@dataclass(frozen=True)
class FreshnessState:
    """What the freshness daemon thinks of an asset (PASS, WARN, FAIL, UNKNOWN, NOT_APPLICABLE), and since when."""

    asset: str
    state: str
    since: datetime

    @property
    def failed(self) -> bool:
        """Whether its policy is broken."""
        return self.state == "FAIL"


@dataclass(frozen=True)
class AssetFacts:
    """What is known of an asset beside its state. `policy` is in words; what nobody can say now is None or empty."""

    owners: tuple[str, ...] = ()
    location: str | None = None
    policy: str | None = None
    materialized: datetime | None = None

    @property
    def route(self) -> str:
        """The owning team's, else the location's."""
        teams = [owner.removeprefix(_TEAM) for owner in self.owners if owner.startswith(_TEAM)]
        return teams[0] if teams else self.location or FALLBACK_ROUTE


def subject(asset: str) -> str:
    """The name of its trouble."""
    return f"{PREFIX}{asset}"


def breaches(states: Iterable[FreshnessState], facts: Mapping[str, AssetFacts]) -> list[Trouble]:
    """Those that fail their policy."""
    return [_breach(each, facts.get(each.asset, AssetFacts())) for each in states if each.failed]


def endings(states: Iterable[FreshnessState], facts: Mapping[str, AssetFacts]) -> dict[str, Ending]:
    """How those are that do not."""
    return {
        subject(each.asset): Ending(
            f"{each.asset} {_ENDINGS.get(each.state, f'is {each.state}')}",
            f"Since {_told(each.since)}.\n"
            f"Last materialized: {_told(facts.get(each.asset, AssetFacts()).materialized)}.",
        )
        for each in states
        if not each.failed
    }


def _breach(each: FreshnessState, known: AssetFacts) -> Trouble:
    policy = known.policy or "its freshness policy, which stands on its page"
    return Trouble(
        subject(each.asset),
        each.since,
        known.route,
        f"{each.asset} is too old",
        f"It fails its policy since {_told(each.since)}: {policy}.\n"
        f"Last materialized: {_told(known.materialized)}.\n"
        f"Owner: {', '.join(known.owners) or 'none'}; location: {known.location or 'unknown'}.\n"
        f"What holds it up: platform why {each.asset}",
    )


def _told(instant: datetime | None) -> str:
    return f"{instant:%Y-%m-%d %H:%M:%S} UTC" if instant is not None else "unknown"
