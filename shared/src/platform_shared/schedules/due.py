"""Which partitions are due: missing, or older than an input. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

NOTHING_TO_WAIT_FOR = 0
"""`inputs` of a partition that reads no asset: it is due while it is missing."""


class State(StrEnum):
    """What became of the newest attempt at a partition."""

    IDLE = "idle"
    """None, or it ended well."""
    ACTIVE = "active"
    """A run or backfill that is queued or under way is to build it."""
    FAILED = "failed"


@dataclass(frozen=True)
class Slot:
    """One partition. `built` is the record of its newest materialization, `inputs` the newest record of all that it
    reads; None where something is not there. `reserved`: the schedule's own tick is to build it first."""

    key: str
    built: int | None = None
    inputs: int | None = NOTHING_TO_WAIT_FOR
    state: State = State.IDLE
    reserved: bool = False

    @property
    def is_due(self) -> bool:
        """Whether it can be built, and was not since its inputs changed last."""
        return self.inputs is not None and (self.built is None or self.built < self.inputs)


def rows(slots: Sequence[Slot], row_of: Callable[[str], str]) -> dict[str, tuple[Slot, list[str]]]:
    """Partitions of two dimensions by their rows: each row as one slot, with its partitions. Pure.

    A range of two dimensions is a box, so that only whole rows can be asked for together. A row is due if one of its
    partitions is and all of them can be built.
    """
    found: dict[str, list[Slot]] = {}
    for slot in slots:
        found.setdefault(row_of(slot.key), []).append(slot)
    return {row: (_together(row, members), [slot.key for slot in members]) for row, members in found.items()}


def _together(row: str, members: Sequence[Slot]) -> Slot:
    inputs = [slot.inputs for slot in members if slot.inputs is not None]
    newest = max(inputs) if len(inputs) == len(members) else None
    states = {slot.state for slot in members}
    return Slot(
        row,
        None if any(slot.is_due for slot in members) else newest,
        newest,
        next((state for state in (State.ACTIVE, State.FAILED) if state in states), State.IDLE),
        any(slot.reserved for slot in members),
    )
