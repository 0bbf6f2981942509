"""What to ask for when partitions are due that no schedule asks for any more. Pure: no clock, no Dagster."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice

from platform_shared.schedules.due import Slot, State


@dataclass(frozen=True)
class Limits:
    """`per_run` partitions at most stand in one run, and `in_flight` healing runs of a series are under way at once.
    After the last gap is asked for, the next look that may ask comes `rest` later: inputs that trickle cost a run in
    that time, and not one each.

    A partition whose build failed is asked for `retries` times more, alone, `pause` after the first of these and twice
    as long after each next one; then it waits for a change of its inputs, or for a person.
    """

    per_run: int = 100
    in_flight: int = 1
    rest: timedelta = timedelta(minutes=5)
    retries: int = 2
    pause: timedelta = timedelta(minutes=10)


@dataclass(frozen=True)
class Retried:
    """What was done about a failed partition, as long as its inputs are at this record."""

    inputs: int
    times: int
    last: datetime


@dataclass(frozen=True)
class Memory:
    """What a look leaves for the next one: failed partitions that were tried again, and when a look asked for all that
    was due. To lose it costs some retries, and no partition."""

    retried: Mapping[str, Retried] = field(default_factory=dict)
    asked: datetime | None = None


@dataclass(frozen=True)
class Plan:
    """What is asked for, oldest first: the partitions of one run each. `memory` is for the next look."""

    runs: tuple[tuple[str, ...], ...]
    memory: Memory
    due: int
    given_up: tuple[str, ...]


def plan(slots: Sequence[Slot], *, in_flight: int, memory: Memory, limits: Limits, now: datetime) -> Plan:
    """What to ask for, of partitions in their order, while `in_flight` healing runs are under way.

    Nothing that is active or reserved is asked for. What failed is asked for alone, so that it spoils no other, and
    what waits for its pause holds up none.
    """
    due = [slot for slot in slots if slot.is_due and not slot.reserved]
    old = memory.retried
    kept = {s.key: old[s.key] for s in due if s.key in old and old[s.key].inputs == s.inputs}
    given_up = tuple(
        s.key for s in due if s.state is State.FAILED and s.key in kept and kept[s.key].times >= limits.retries
    )
    if memory.asked is not None and now < memory.asked + limits.rest:
        return Plan((), Memory(kept, memory.asked), len(due), given_up)
    groups = list(_groups(slots, limits, lambda failed: _may_be_retried(kept.get(failed.key), limits, now)))
    asked = groups[: max(0, limits.in_flight - in_flight)]
    for slot in (slot for group in asked for slot in group if slot.state is State.FAILED):
        assert slot.inputs is not None
        times = kept[slot.key].times if slot.key in kept else 0
        kept[slot.key] = Retried(slot.inputs, times + 1, now)
    all_asked = now if asked and len(asked) == len(groups) else None
    runs = tuple(tuple(slot.key for slot in group) for group in asked)
    return Plan(runs, Memory(kept, all_asked), len(due), given_up)


def plan_once(slots: Sequence[Slot], limits: Limits) -> tuple[tuple[str, ...], ...]:
    """The oldest partitions that are due, for an instigator that leaves those that failed to the healing."""
    groups = islice(_groups(slots, limits, lambda failed: False), limits.in_flight)
    return tuple(tuple(slot.key for slot in group) for group in groups)


def _groups(slots: Sequence[Slot], limits: Limits, may_be_retried: Callable[[Slot], bool]) -> Iterator[list[Slot]]:
    """Runs that could be asked for: neighbours that never failed together, a failed one alone."""
    together: list[Slot] = []
    for slot in slots:
        asked = slot.is_due and not slot.reserved and slot.state is not State.ACTIVE
        alone = asked and slot.state is State.FAILED
        if together and (not asked or alone or len(together) == limits.per_run):
            yield together
            together = []
        if alone:
            if may_be_retried(slot):
                yield [slot]
        elif asked:
            together.append(slot)
    if together:
        yield together


def _may_be_retried(retried: Retried | None, limits: Limits, now: datetime) -> bool:
    if retried is None:
        return limits.retries > 0
    return retried.times < limits.retries and now >= retried.last + limits.pause * 2 ** (retried.times - 1)
