"""Seconds from a file in the landing zone to the mart that has it, the platform's settings beside Dagster's defaults.

Two real daemons at the same time on the same machine, each with a code server and a Postgres of its own, over the same
location (`automation_world.py`); every file lands in both in the same instant. One has the sensors, conditions,
executor and instance of the platform. The other has what Dagster has where nothing is said: sensors every 30 seconds,
the default automation sensor (but running), `eager()`, the multiprocess executor, and an instance that names only its
storage.
"""

import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from platform_shared.instance_home import environment_of, prepare_home
from platform_shared.postgres import URL_VARIABLE, postgres, stop_embedded
from platform_shared.settings import Home

ROOT = Path(__file__).parents[1]
PAIRS = 12
"""Landing folders, each with a raw table and a mart."""
PAUSE_SECONDS = 20.0
"""On average; a run start is two to four seconds of CPU, and each file makes four."""
PATIENCE_SECONDS = 240.0
BARE_INSTANCE = """\
storage: {custom: {module: platform_shared.instance, class: PlatformPostgresStorage, config: {}}}
telemetry: {enabled: false}
"""


class World:
    """The location under one of the settings, with its folder."""

    def __init__(self, settings: str, folder: Path) -> None:
        self.settings, self.folder = settings, folder
        self.landed: dict[int, float] = {}
        self.home = Home(folder / "platform")

    @contextmanager
    def running(self) -> Iterator[None]:
        """Its daemon is up, until the context ends."""
        prepare_home(self.home, ROOT)
        if self.settings != "platform":
            (self.home.dagster / "dagster.yaml").write_text(BARE_INSTANCE)
        for pair in range(PAIRS):
            (self.folder / f"landing_{pair}").mkdir()
        told = {"BENCH_SETTINGS": self.settings, "BENCH_FOLDER": str(self.folder), "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "dagster._daemon", "run", "-m", "benchmarks.automation_world"]
        postgres(self.home)
        try:
            with (self.folder / "daemon.log").open("wb") as log:
                process = subprocess.Popen(
                    command,
                    cwd=self.folder,
                    env={**os.environ, **environment_of(self.home), **told},
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
                try:
                    yield
                finally:
                    process.terminate()
                    process.wait(120)
                    # Runs that are still starting would start the database again.
                    with suppress(ProcessLookupError):
                        os.killpg(process.pid, signal.SIGKILL)
        finally:
            stop_embedded(self.home)

    def drop(self, number: int) -> None:
        self.landed[number] = time.time()
        (self.folder / f"landing_{number % PAIRS}" / str(number)).touch()

    def seconds(self) -> dict[int, float]:
        """From landing to mart, by file, of those that are there by now."""
        found: dict[int, float] = {}
        for pair in range(PAIRS):
            mart = self.folder / f"mart_{pair}"
            for line in mart.read_text().splitlines() if mart.exists() else ():
                has, at = line.split()
                for number, landed in self.landed.items():
                    if number % PAIRS == pair and number <= int(has):
                        found.setdefault(number, float(at) - landed)
        return found

    def wait(self) -> bool:
        """Until all that has landed is in the marts; False if it is not in time."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while len(self.seconds()) < len(self.landed):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.5)
        return True


def latency(drops: int) -> None:
    """Measures and prints it, for this number of files."""
    print("\n## From landing to mart\n")
    os.environ.pop(URL_VARIABLE, None)
    with tempfile.TemporaryDirectory(prefix="platform-bench-") as folder, ExitStack() as stack:
        worlds = [World(settings, Path(folder).resolve() / settings) for settings in ("platform", "defaults")]
        for world in worlds:
            world.folder.mkdir()
            stack.enter_context(world.running())
        for world in worlds:
            # The first looks are over then: eager() does not ask for what was there before them.
            world.drop(PAIRS)
            if not world.wait():
                raise RuntimeError(
                    f"{world.settings} did not start: {(world.folder / 'daemon.log').read_text()[-2000:]}"
                )
            world.landed.clear()
        pauses = random.Random(0)
        for number in range(PAIRS + 1, PAIRS + 1 + drops):
            for world in worlds:
                world.drop(number)
            time.sleep(PAUSE_SECONDS * pauses.uniform(0.5, 1.5))
        print("| settings | files | p50 s | p95 s | not in the mart after 4 minutes |")
        print("|---|--:|--:|--:|--:|")
        medians = []
        for world in worlds:
            world.wait()
            took = sorted(world.seconds().values())
            medians.append(statistics.median(took))
            p95 = took[round(0.95 * (len(took) - 1))]
            print(f"| {world.settings} | {drops} | {medians[-1]:.1f} | {p95:.1f} | {drops - len(took)} |", flush=True)
        print(f"\np50: {medians[0] / medians[1]:.2f} of the defaults'; the aim is 0.25")
