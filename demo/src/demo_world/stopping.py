"""A wait that SIGTERM and SIGINT end."""

import contextlib
import os
import select
import signal


class StopSignal:
    """Asked to stop by SIGTERM or SIGINT, from its creation on. For the main thread of a process."""

    def __init__(self) -> None:
        # A pipe keeps the request, and select() sees it however close to the wait the signal comes. An Event would
        # not do: its set() in a signal handler can wait for a lock that the interrupted code holds.
        self._asked, self._ask = os.pipe()
        os.set_blocking(self._ask, False)
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)

    def wait(self, seconds: float | None) -> bool:
        """Wait that long, for ever with None, or until asked to stop; true if asked. Any number of threads may wait."""
        return bool(select.select([self._asked], [], [], seconds)[0])

    def _on_signal(self, *_: object) -> None:
        with contextlib.suppress(BlockingIOError):  # full of earlier requests
            os.write(self._ask, b"\0")
