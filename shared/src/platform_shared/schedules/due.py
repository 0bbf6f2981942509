"""Which partitions are due: missing, or older than an input. Pure."""

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
