"""When the segments of households are made again between their schedules, and how much of them; no Dagster here."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from platform_shared.sensors import Places

_DRIFT = 0.25


class Route(StrEnum):
    """What a look asks for."""

    SCORE = "score"
    """There is a new model: each household is told its segment again."""
    RETRAIN = "retrain and score"
    """The households are not those any more that the model learned from: both are made again."""


@dataclass(frozen=True)
class Plan:
    """What is asked for, if anything, and the places for the next look."""

    route: Route | None
    places: Places


def plan(
    places: Places, newest: Mapping[str, int | None], calls: Mapping[str, bool], routes: Mapping[str, Route]
) -> Plan:
    """`calls`: of each asset that has changed and could be looked at, whether it calls for its route. RETRAIN includes
    SCORE. What was not looked at keeps its place and is looked at next time."""
    called = {routes[name] for name, calling in calls.items() if calling}
    route = Route.RETRAIN if Route.RETRAIN in called else next(iter(called), None)
    return Plan(route, places.after({name: record for name in calls if (record := newest[name]) is not None}))


def has_drifted(learned_from: int, households: int) -> bool:
    """Whether a quarter more or fewer households are there than the model learned from: one of a fresh platform's first
    files would otherwise serve until Monday. Without households there is nothing to learn from."""
    return households > 0 and abs(households - learned_from) >= _DRIFT * learned_from
