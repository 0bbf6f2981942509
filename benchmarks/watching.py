"""What this process costs, and what another one costs with all that it starts."""

import os
import resource
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil


class Watch:
    """Wall seconds, and CPU seconds of this process and all its threads: the neighbours' load is not in those."""

    def __init__(self) -> None:
        self._began = time.monotonic(), time.process_time()

    def read(self) -> dict[str, float]:
        return {"seconds": time.monotonic() - self._began[0], "cpu": time.process_time() - self._began[1]}


def peak_megabytes() -> float:
    """Linux counts the peak of the parent into the `ru_maxrss` of a child, but not into this."""
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
        return int(line.split()[1]) / 1e3
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


class Watched:
    """A process (but not this one) and its descendants, looked at three times a second."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._cpu: dict[int, float] = {}
        self.megabytes = 0.0
        """The peak of their resident memory."""

    @property
    def cpu(self) -> float:
        """Seconds of all that were seen; the last third of a second of each may be missing."""
        return sum(self._cpu.values())

    def look(self) -> None:
        total = 0
        process = psutil.Process(self._pid)
        itself = [process] if self._pid != os.getpid() else []
        for member in itself + process.children(recursive=True):
            try:
                total += member.memory_info().rss
                times = member.cpu_times()
            except psutil.NoSuchProcess:
                continue
            self._cpu[member.pid] = times.user + times.system
        self.megabytes = max(self.megabytes, total / 1e6)


@contextmanager
def watched(pid: int) -> Iterator[Watched]:
    ended = threading.Event()
    family = Watched(pid)

    def watch() -> None:
        while not ended.wait(0.3):
            family.look()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield family
    finally:
        ended.set()
        watcher.join()
