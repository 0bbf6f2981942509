"""Which parts of a condition held an asset up, and what keeps a condition from being evaluated at all."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from platform_shared.freshness import span
from platform_shared.why.facts import Facts, Instigator, Part, Path, Said

SILENT_AFTER = timedelta(minutes=2)
"""The daemon notes every thirty seconds that it is there."""

RECORDS_ARE_KEPT_DAYS = 30

_BESIDE_THE_POINT = ("will_be_requested", "newly_requested")
"""Usually true or false by themselves, and named beside the real reason only."""


@dataclass(frozen=True)
class Reason:
    """A part that answered so that the asset was not requested: `part`, which `said` yes or no of its own asset."""

    part: Part
    yes: bool

    @property
    def asset(self) -> Path:
        """What it is about."""
        return self.part.asset


def holding_up(condition: Part) -> list[Reason]:
    """The parts that kept a condition from being true, as deep down as they name one thing; none if it was true.

    Of an AND the first part that said no decides: those behind it were not asked.
    """
    reasons = list(_why_not(condition))
    telling = [reason for reason in reasons if reason.part.text not in _BESIDE_THE_POINT]
    seen: dict[tuple[Path, str | None, str, bool], Reason] = {}
    for reason in telling or reasons:
        seen.setdefault((reason.asset, reason.part.check, reason.part.text, reason.yes), reason)
    return list(seen.values())


def _why_not(part: Part) -> Iterator[Reason]:
    if part.said in (Said.YES, Said.NOT_ASKED):
        return
    if part.operator == "and" and part.children:
        refused = [child for child in part.children if child.said is Said.NO]
        for child in refused or [child for child in part.children if child.said is Said.SOME]:
            yield from _why_not(child)
    elif part.operator == "not":
        yield from _why(part.children[0])
    elif part.operator == "or" and part.children and part.label is None:
        for child in part.children:
            yield from _why_not(child)
    elif _names_one_thing(part):
        yield from _why_not(part.children[0])
    else:
        # Of alternatives with a name none was true, and none is the reason; a memory (`since`) is told as a whole.
        yield Reason(part, yes=False)


def _why(part: Part) -> Iterator[Reason]:
    if part.said not in (Said.YES, Said.SOME):
        return
    if part.operator in ("and", "or") and part.children:
        for child in part.children:
            yield from _why(child)
    elif part.operator == "not":
        yield from _why_not(part.children[0])
    elif _names_one_thing(part):
        yield from _why(part.children[0])
    else:
        yield Reason(part, yes=True)


def _names_one_thing(part: Part) -> bool:
    """A part that only hands on the question to one input or check."""
    if len(part.children) != 1 or part.operator != "identity":
        return False
    child = part.children[0]
    return (child.asset, child.check) != (part.asset, part.check)


def parts_to_name(condition: Part) -> list[Part]:
    """Parts about partitioned inputs that hold the asset up: those whose partitions are worth naming."""
    return [reason.part for reason in holding_up(condition) if reason.part.partitioned and reason.yes]


@dataclass(frozen=True)
class Silence:
    """Something that keeps conditions from being evaluated: what, and what to do. `total`: no look happens at all."""

    what: str
    remedy: str
    total: bool = True


def silences(facts: Facts) -> list[Silence]:
    """What keeps the condition from being evaluated now, the first cause first."""
    if facts.who is None:
        return []
    if facts.condition is None:
        if not facts.materializable:
            return [
                Silence(
                    f"{facts.who.name} is made outside Dagster: no condition rebuilds it.",
                    "Ask its owner; a sensor or a report of an external system tells of new data.",
                )
            ]
        if facts.others:
            asking = " ".join(_asks(other, facts) for other in facts.others)
            return [Silence(f"{facts.who.name} has no automation condition.", asking)]
        return [
            Silence(
                f"{facts.who.name} has no automation condition, and no sensor or schedule asks for it.",
                "Give it one of platform_shared.automation, or a schedule or sensor of its own.",
            )
        ]
    return [*_location(facts), *_environment(facts), *_sensors(facts), *_daemon(facts)]


def _asks(other: Instigator, facts: Facts) -> str:
    looked = f"last tick {age(facts.now, other.looked)} ago" if other.looked else "it has not ticked yet"
    state = looked if other.running else "it is stopped"
    error = f", which failed: {other.error}" if other.running and other.error else ""
    return f"The {other.kind} {other.name} asks for it ({state}{error})."


def age(now: datetime, then: datetime) -> str:
    """How long ago it was, in words; the database's clock may be ahead of ours."""
    return span(max(0.0, (now - then).total_seconds()))


def _location(facts: Facts) -> Iterator[Silence]:
    location = facts.who.location if facts.who else ""
    if location in facts.location_errors:
        error = facts.location_errors[location].splitlines()[0]
        yield Silence(f"Location {location} does not load: {error}", "Mend the code; `make check` shows the error.")


def _environment(facts: Facts) -> Iterator[Silence]:
    if facts.skipped:
        yield Silence(
            "DAGSTER_SKIP_DECLARATIVE_AUTOMATION_KEYS names it: the daemon leaves it out.",
            "Take it out of that variable and restart the daemon.",
        )


def _sensors(facts: Facts) -> Iterator[Silence]:
    if not facts.sensors:
        yield Silence(
            "No automation sensor of its location has it in its target.",
            "Define one with platform_shared.automation.automation_sensor.",
        )
    for sensor in facts.sensors:
        if not sensor.running:
            yield Silence(
                f"The sensor {sensor.name} of {sensor.location} is stopped.",
                "Start it on its page under Automation, or give it default_status=RUNNING.",
            )
        elif sensor.error:
            yield Silence(
                f"The last look of the sensor {sensor.name} failed: {sensor.error}",
                "Nothing is requested until a look gets through.",
            )


def _daemon(facts: Facts) -> Iterator[Silence]:
    if facts.automation_heartbeat is None:
        yield Silence("The daemon has never run on this instance.", "Start it: `make dev`, or dagster-daemon.")
    elif facts.now - facts.automation_heartbeat > SILENT_AFTER:
        yield Silence(
            f"The daemon is silent since {facts.automation_heartbeat:%Y-%m-%d %H:%M:%S} UTC.",
            "Start it: `make dev`, or dagster-daemon.",
        )


def without_record(facts: Facts) -> Silence:
    """Why a condition that is looked at has no record."""
    if not any(sensor.looked for sensor in facts.sensors):
        names = " and ".join(sensor.name for sensor in facts.sensors)
        return Silence(
            f"The sensor {names} has not looked yet.", "Wait for its first look, a few seconds.", total=False
        )
    return Silence(
        f"The sensor looks, and nothing has changed in {RECORDS_ARE_KEPT_DAYS} days: older records are deleted.",
        "A change of an input, or of the code, will be the next record.",
        total=False,
    )


def similar(asset: Path, known: Sequence[str]) -> list[str]:
    """The names of assets that are most like this one, at most five."""
    import difflib

    name = "/".join(asset)
    by_last = {each: each.rsplit("/", 1)[-1] for each in known}
    whole = difflib.get_close_matches(name, known, n=5, cutoff=0.75)
    last = [each for each, short in by_last.items() if difflib.SequenceMatcher(None, asset[-1], short).ratio() >= 0.75]
    return list(dict.fromkeys([*whole, *sorted(last)]))[:5]
