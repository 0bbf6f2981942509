"""Facts about an asset in plain words: a report for people, or as JSON."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from platform_shared.why.facts import Check, Evaluation, Facts, FailedRun, Parent, Part, Path, Said
from platform_shared.why.reasons import Reason, age, holding_up, silences, without_record

_SEVERAL = 5

_BUILDS = {"run_in_progress": "run ", "backfill_in_progress": "backfill "}

_PHRASES = {
    ("missing", True): "{asset} has never been built{partitions}",
    ("missing", False): "{asset} is there already",
    ("run_in_progress", True): "a run builds {asset} now{partitions}",
    ("backfill_in_progress", True): "a backfill builds {asset} now{partitions}",
    ("newly_requested", True): "{asset} was requested in the look before",
    ("will_be_requested", True): "{asset} is requested in the same look",
    ("newly_updated", False): "{asset} has not changed",
    ("newly_updated", True): "{asset} has changed",
    ("code_version_changed", False): "the code of {asset} has not changed",
    ("execution_failed", True): "the last run of {asset} failed{partitions}",
    ("freshness_passed", False): "{asset} is older than its freshness policy allows, or not judged",
    ("freshness_failed", False): "{asset} is as fresh as its policy asks",
    ("check_passed", False): "the check {check} of {asset} has not passed",
    ("check_failed", False): "the check {check} of {asset} has not failed",
    ("check_failed", True): "the check {check} of {asset} failed",
}


@dataclass(frozen=True)
class Wait:
    """One thing that the asset waits for: what, whose it is, and what is known of it beside."""

    what: str
    owners: tuple[str, ...]
    location: str | None
    details: tuple[str, ...] = ()


@dataclass(frozen=True)
class Line:
    """A part of the condition: how deep it stands, what it said, in which words."""

    depth: int
    said: str
    text: str


@dataclass(frozen=True)
class Look:
    """An evaluation in words."""

    at: datetime
    outcome: str
    because: tuple[str, ...]
    run_ids: tuple[str, ...]
    parts: tuple[Line, ...] = ()


@dataclass(frozen=True)
class Report:
    """What `platform why` says."""

    asset: str
    partition: str | None
    owners: tuple[str, ...]
    location: str | None
    condition: str | None
    verdict: str
    hindrances: tuple[str, ...] = ()
    waits: tuple[Wait, ...] = ()
    notes: tuple[str, ...] = ()
    looks: tuple[Look, ...] = ()


def report(facts: Facts, depth: int) -> Report:
    """The facts of an asset that is defined; parts of its condition down to `depth`, the reasons always."""
    who = facts.who
    assert who is not None
    silent = silences(facts)
    newest = facts.evaluations[0] if facts.evaluations else None
    reasons = holding_up(newest.condition) if newest and not _requested(facts, newest) else []
    waits = _waits(facts, reasons)
    if newest is None and not silent:
        silent = [without_record(facts)]
    return Report(
        asset=who.name,
        partition=facts.partition,
        owners=who.owners,
        location=who.location,
        condition=facts.condition,
        verdict=_verdict(facts, newest, reasons, waits, bool(silent)),
        hindrances=tuple(f"{each.what} {each.remedy}" for each in silent),
        waits=tuple(waits),
        notes=tuple(_notes(facts, newest)),
        looks=tuple(_look(facts, each, depth if each is newest else 0) for each in facts.evaluations),
    )


def lines(told: Report, now: datetime) -> Iterator[str]:
    """The report as text."""
    of_partition = f", partition {told.partition}" if told.partition else ""
    yield f"{told.asset}{of_partition}  ({_whose(told.owners, told.location)})"
    if told.looks and told.hindrances:
        yield "Nothing is evaluated now, and what follows is as old as it says:"
        yield from (f"  ! {hindrance}" for hindrance in told.hindrances)
    yield told.verdict
    if not told.looks:
        yield from (f"  ! {hindrance}" for hindrance in told.hindrances)
    for wait in told.waits:
        yield f"  - {wait.what}  ({_whose(wait.owners, wait.location)})"
        for detail in wait.details:
            yield f"      {detail}"
    yield from told.notes
    for number, look in enumerate(told.looks):
        because = f": {'; '.join(look.because)}" if look.because else ""
        if number < 2:
            yield ""
        yield f"{look.at:%Y-%m-%d %H:%M:%S} UTC ({age(now, look.at)} ago)  {look.outcome}{because}"
        if number == 0:
            yield from (f"  {line.said:<10}{'  ' * line.depth}{line.text}" for line in look.parts)


def _verdict(
    facts: Facts, newest: Evaluation | None, reasons: Sequence[Reason], waits: Sequence[Wait], silent: bool
) -> str:
    if newest is None:
        return "No evaluation yet, because:" if silent else "No evaluation yet."
    if _requested(facts, newest):
        what = f" ({', '.join(map(_run_or_backfill, newest.run_ids))})" if newest.run_ids else ""
        return f"Its newest recorded evaluation requested it{what}."
    if waits and all(_is_idle(facts, reason) for reason in reasons):
        return "It was not requested, because nothing asks for it:"
    return "It was not requested. It waits for:" if waits else "It was not requested."


def _run_or_backfill(id_: str) -> str:
    """Evaluations list both; runs have longer ids."""
    return f"{'run' if '-' in id_ else 'backfill'} {id_[:8]}"


def _requested(facts: Facts, evaluation: Evaluation) -> bool:
    """Whether the evaluation requested the asset, or the one partition that is asked about."""
    return bool(evaluation.requested) and (facts.partition is None or evaluation.condition.said is Said.YES)


def _is_idle(facts: Facts, reason: Reason) -> bool:
    """Of several reasons to build it there is none."""
    return reason.part.operator == "or" and not reason.yes and reason.asset == facts.asset


def _waits(facts: Facts, reasons: Sequence[Reason]) -> list[Wait]:
    parents = {parent.who.asset: parent for parent in facts.parents}
    waits = [_wait(facts, reason, parents) for reason in reasons]
    told = {(reason.asset, reason.part.check) for reason in reasons}
    # What a condition does not ask for, or what is further up, shows in no part of it: inputs that never change.
    for each in facts.upstream:
        far = "" if each.who.asset in parents else "further up, "
        for check in each.checks:
            if check.failed and (each.who.asset, check.name) not in told:
                what = f"{far}the blocking check {check.name} of {each.who.name} failed"
                waits.append(Wait(what, each.who.owners, each.who.location, tuple(_check_details(check))))
        if each.failed_run is not None:
            what = f"{far}the last run of {each.who.name} failed (run {each.failed_run[:8]})"
            waits.append(Wait(what, each.who.owners, each.who.location, (f"platform why {each.who.name}",)))
    return waits


def _wait(facts: Facts, reason: Reason, parents: dict[Path, Parent]) -> Wait:
    parent = parents.get(reason.asset)
    who = parent.who if parent else facts.who if reason.asset == facts.asset else None
    details: list[str] = []
    if parent and reason.part.text in _BUILDS:
        details += [each for each in parent.building if each.startswith(_BUILDS[reason.part.text])]
    elif parent and reason.part.text == "missing":
        details += [f"being built: {', '.join(parent.building)}"] if parent.building else []
    if parent and reason.part.check:
        details += [line for c in parent.checks if c.name == reason.part.check for line in _check_details(c)]
    if reason.part.operator == "or" and reason.part.children and not reason.yes:
        details += [f"no: {_text(child)}" for child in reason.part.children]
    return Wait(_phrase(facts, reason), who.owners if who else (), who.location if who else None, tuple(details))


def _phrase(facts: Facts, reason: Reason) -> str:
    part = reason.part
    names = {"asset": "/".join(part.asset), "check": part.check, "partitions": _partitions(part, facts.partition)}
    phrase = _PHRASES.get((part.text, reason.yes))
    if phrase and not (reason.yes and part.label):
        return phrase.format(**names)
    about = f" ({names['asset']})" if part.asset != facts.asset else ""
    if part.operator == "or" and part.children:
        return f"nothing under `{_text(part)}` is true{about}"
    return f"{'' if reason.yes else 'not: '}{_text(part)}{about}"


def _partitions(part: Part, asked: str | None) -> str:
    if not part.partitioned:
        return ""
    named = [asked] if asked in part.partitions else list(part.partitions)
    if named:
        more = len(named) - _SEVERAL
        return f" for {', '.join(named[:_SEVERAL])}{f' and {more} more' if more > 0 else ''}"
    return f" for {part.true} partition{'' if part.true == 1 else 's'}"


def _check_details(check: Check) -> Iterator[str]:
    if check.status is None or check.at is None:
        yield "it has not run on the newest materialization"
    else:
        run = f" in run {check.run_id[:8]}" if check.run_id else ""
        yield f"{check.status.lower().replace('_', ' ')}{run} at {check.at:%Y-%m-%d %H:%M:%S} UTC"
        if check.description:
            yield check.description.splitlines()[0]


def _notes(facts: Facts, newest: Evaluation | None) -> Iterator[str]:
    looked = max((sensor.looked for sensor in facts.sensors if sensor.looked), default=None)
    if newest is not None and looked is not None:
        ago = age(facts.now, looked)
        if looked > newest.at:
            yield f"The last look was {ago} ago; nothing has changed since the record of {newest.at:%H:%M:%S} UTC."
        else:
            yield f"The last look was {ago} ago."
    if facts.building:
        yield f"Being built now: {', '.join(facts.building)}."
    if facts.failed is not None:
        yield _failed(facts.failed)
    for check in facts.checks:
        if check.failed:
            details = ": ".join(_check_details(check))
            yield f"Its own blocking check {check.name} failed, and what depends on it waits: {details}."
    if facts.materialized is None:
        yield "It has never been built."
    else:
        yield f"Last built: {facts.materialized:%Y-%m-%d %H:%M:%S} UTC."
    if facts.policy is not None:
        state = {"HEALTHY": "fresh", "WARNING": "soon too old", "DEGRADED": "too old"}.get(
            facts.freshness or "", "not judged yet"
        )
        yield f"Freshness: {state}; it is to be {facts.policy}."


def _failed(run: FailedRun) -> str:
    if run.will_retry:
        then = f"the instance tries again ({run.tries} of {run.allowed} tries used)"
    else:
        then = (
            f"all {run.allowed} tries are used up; a change of an input asks again" if run.allowed > 1 else "no retry"
        )
    return f"Its last run failed: run {run.run_id[:8]} at {run.at:%Y-%m-%d %H:%M:%S} UTC: {run.error} ({then})."


def _look(facts: Facts, evaluation: Evaluation, depth: int) -> Look:
    if _requested(facts, evaluation):
        several = evaluation.condition.partitioned and facts.partition is None
        count = f"{evaluation.requested} partitions" if several else "it"
        outcome, reasons = f"requested {count}", []
    else:
        outcome, reasons = "did not request it", holding_up(evaluation.condition)[:_SEVERAL]
    because = tuple(_phrase(facts, reason) for reason in reasons)
    tree = tuple(_tree(evaluation.condition, depth, 0)) if depth else ()
    return Look(evaluation.at, outcome, because, evaluation.run_ids, tree)


def _tree(part: Part, deepest: int, depth: int) -> Iterator[Line]:
    said = part.said.value
    if part.said is Said.SOME:
        said = f"{part.true} of {part.asked}"
    elif part.partitioned and part.said is Said.YES and part.true > 1:
        said = f"yes ({part.true})"
    yield Line(depth, said, _text(part))
    if depth + 1 < deepest and part.said is not Said.NOT_ASKED:
        for child in part.children:
            yield from _tree(child, deepest, depth + 1)


def _text(part: Part) -> str:
    if part.label:
        return part.label
    if part.operator == "not" and part.children:
        return f"not: {_text(part.children[0])}"
    return part.text.strip("()") if part.text.count("(") == 1 else part.text


def _whose(owners: Sequence[str], location: str | None) -> str:
    owner = f"owner {', '.join(owners)}" if owners else "no owner"
    return f"{owner}, location {location}" if location else owner


def as_json(told: Report) -> dict[str, Any]:
    """The report as JSON has it; instants are ISO 8601."""
    return asdict(told)


def unknown(facts: Facts, names: Sequence[str]) -> str:
    """What is said of an asset that no loaded location defines."""
    name = "/".join(facts.asset)
    said = [f"No loaded location defines {name}."]
    if names:
        said.append(f"Did you mean {' or '.join(names)}?")
    for location, error in facts.location_errors.items():
        said.append(f"Location {location} does not load, and may define it: {error.splitlines()[0]}")
    return " ".join(said)
