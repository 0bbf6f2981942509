"""Events of the event log that are to be seen at once, without the storage that does it."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

_this = threading.local()


@contextmanager
def written_together() -> Iterator[None]:
    """What this thread writes to the platform's event log meanwhile is to be seen at once, at the end, or not at all if
    that is an error.

    Whoever else writes waits: for up to a thousand events, and nothing slow in between. With another storage than the
    platform's each event is seen when it is written. Raises RuntimeError within another such block.
    """
    if transactions_of_this_thread() is not None:
        raise RuntimeError("written_together() does not nest: what is inside would not be seen with the rest.")
    with ExitStack() as transactions:
        _this.transactions = transactions
        try:
            yield
        finally:
            _this.transactions = None


def transactions_of_this_thread() -> ExitStack | None:
    """Where a storage leaves its transaction open; None if each event is a transaction."""
    return getattr(_this, "transactions", None)
