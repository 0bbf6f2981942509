"""The ledger: what became of every version of every source object, and which messages still have to be sent.

It lives in a schema of its own beside Dagster's storage and remembers what run keys and cursors forget (docs/adr/0004).
"""

from platform_shared.ledger.feeds import FeedDays, Feeds, Look
from platform_shared.ledger.messages import Message
from platform_shared.ledger.outbox import Outbox
from platform_shared.ledger.store import (
    Lease,
    LeaseLostError,
    Ledger,
    MessageOf,
    Outage,
    Outcome,
    Seen,
    Totals,
    Unit,
    UnitState,
)

__all__ = [
    "FeedDays",
    "Feeds",
    "Lease",
    "LeaseLostError",
    "Ledger",
    "Look",
    "Message",
    "MessageOf",
    "Outage",
    "Outbox",
    "Outcome",
    "Seen",
    "Totals",
    "Unit",
    "UnitState",
]
