"""What to ask for when partitions are due that no schedule asks for any more. Pure: no clock, no Dagster."""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby

from platform_shared.schedules.due import Slot, State


@dataclass(frozen=True)
class Limits:
    """`per_run` partitions at most stand in one run, and `in_flight` healing runs of a series are under way at once.
    After the last gap is asked for, the next look that may ask comes `rest` later: inputs that trickle cost a run in
    that time, and not one each.

    What was asked for in vain is asked for again `pause` later, twice as long after each further try, `longest_pause`
    at most, and never given up. Each time half as many stand in one run, until each is alone: what kills its run is
    soon by itself, and the others are there.
    """

    per_run: int = 100
    in_flight: int = 1
    rest: timedelta = timedelta(minutes=5)
    pause: timedelta = timedelta(minutes=10)
    longest_pause: timedelta = timedelta(days=1)

    def again(self, tried: "Tried") -> datetime:
        """When a partition that was asked for in vain may be asked for again."""
        doublings = min(tried.times - 1, 20)  # years of tries would be no timedelta any more
        return tried.last + min(self.pause * (1 << doublings), self.longest_pause)


@dataclass(frozen=True)
class Tried:
    """That a partition was asked for, with its inputs at this record: how often, when last, and with how many
    partitions in one run. If it is still due when that run is over, the run failed, was canceled or died."""

    inputs: int
    times: int
    last: datetime
    together: int


@dataclass(frozen=True)
class Memory:
    """What a look leaves for the next one: partitions that were asked for and are still due, and when a look asked for
    all that was due. To lose it costs some tries, and no partition."""

    tried: Mapping[str, Tried] = field(default_factory=dict)
    asked: datetime | None = None


@dataclass(frozen=True)
class Plan:
    """What is asked for: the partitions of one run each. `memory` is for the next look, `due` counts what is due, and
    `waiting` tells of what was asked for in vain when it is asked for again, oldest partition first."""

    runs: tuple[tuple[str, ...], ...]
    memory: Memory
    due: int
    waiting: tuple[tuple[str, datetime], ...]


def plan(slots: Sequence[Slot], *, in_flight: int, memory: Memory, limits: Limits, now: datetime) -> Plan:
    """What to ask for, of partitions in their order, while `in_flight` healing runs are under way.

    Nothing that is active or reserved is asked for. What was tried least comes first and the oldest of that, so that
    what fails again and again holds up none.
    """
    due = [slot for slot in slots if slot.is_due and not slot.reserved]
    old = memory.tried
    tried = {s.key: old[s.key] for s in due if s.key in old and old[s.key].inputs == s.inputs}
    idle = {slot.key for slot in due if slot.state is not State.ACTIVE}
    waiting = {key: limits.again(each) for key, each in tried.items() if key in idle and now < limits.again(each)}
    told = tuple(waiting.items())
    if memory.asked is not None and now < memory.asked + limits.rest:
        return Plan((), Memory(tried, memory.asked), len(due), told)

    def alike(slot: Slot) -> Hashable:
        """What may stand in one run: what was tried in one, what failed elsewhere, and what was never tried."""
        if slot.key not in idle or slot.key in waiting:
            return None
        before = tried.get(slot.key)
        return (before.times, before.last, before.together) if before else (0, slot.state)

    def most(slot: Slot) -> int:
        return max(1, tried[slot.key].together // 2) if slot.key in tried else limits.per_run

    def times(slot: Slot) -> int:
        return tried[slot.key].times if slot.key in tried else 0

    groups = sorted(_groups(slots, alike, lambda slot: min(most(slot), limits.per_run)), key=lambda g: times(g[0]))
    asked = groups[: max(0, limits.in_flight - in_flight)]
    remembered = dict(tried)
    for group in asked:
        for slot in group:
            assert slot.inputs is not None
            remembered[slot.key] = Tried(slot.inputs, times(slot) + 1, now, len(group))
    all_asked = now if asked and len(asked) == len(groups) else None
    return Plan(_keys(asked), Memory(remembered, all_asked), len(due), told)


def plan_once(slots: Sequence[Slot], limits: Limits) -> tuple[tuple[str, ...], ...]:
    """Runs for all partitions that are due, oldest first, for an instigator that leaves those that failed to the
    healing: a run spans none of them, so these belong among `slots`. `limits.in_flight` is the caller's to keep."""

    def alike(slot: Slot) -> Hashable:
        return True if slot.is_due and not slot.reserved and slot.state is State.IDLE else None

    return _keys(_groups(slots, alike, lambda slot: limits.per_run))


def _groups(
    slots: Sequence[Slot], alike: Callable[[Slot], Hashable], most: Callable[[Slot], int]
) -> Iterator[list[Slot]]:
    """Neighbours that are alike, as many as may stand in one run; None is for what is not asked for."""
    for kind, neighbours in groupby(slots, alike):
        members = list(neighbours)
        if kind is not None:
            size = most(members[0])
            yield from (members[first : first + size] for first in range(0, len(members), size))


def _keys(groups: Iterable[list[Slot]]) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(slot.key for slot in group) for group in groups)
