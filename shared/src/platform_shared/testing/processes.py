"""The platform's own processes: a code server a location and the daemon, which a test starts, kills and starts again.

For what a daemon in the test's process (`platform_shared.testing.daemon`) cannot show: code that changes on disk, runs
in processes of their own, what is on record when a process is gone. It costs seconds a step; the clock is the wall's.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import dagster as dg
import psutil
import yaml

from platform_shared.instance_home import environment_of, prepare_home
from platform_shared.settings import Home
from platform_shared.testing.ticks import Tick
from platform_shared.workspace.projects import workspace_root

PATIENCE_SECONDS = 240.0
_UNFINISHED_BACKFILLS = ("REQUESTED", "CANCELING", "FAILING")


class Processes:
    """The platform of `home`, with the settings of deploy/instance/local.yaml: `locations` are Python files by name.

    Use it as a context manager. It serves all locations from the start, each file from its own folder; the daemon
    starts when told. PLATFORM_HOME, DAGSTER_HOME and the database are those of the test's environment, and `variables`
    come on top. What the processes print is in `log`.
    """

    def __init__(self, home: Home, locations: Mapping[str, Path], variables: Mapping[str, str] | None = None) -> None:
        self._home = home
        self._locations = dict(locations)
        self._variables = dict(variables or {})
        self._servers: dict[str, subprocess.Popen[bytes]] = {}
        self._generation = 0
        self._daemon: subprocess.Popen[bytes] | None = None
        self._started: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        prepare_home(self._home, workspace_root(Path(__file__).parent))
        # A socket's path must be short.
        self._folder = Path(tempfile.mkdtemp(prefix="processes-"))
        self._output = self.log.open("ab")
        self._context = dg.DagsterInstance.get()
        self.instance = self._context.__enter__()
        try:
            starting = {name: self._start_server(name) for name in self._locations}
            for name, (server, socket) in starting.items():
                self._take_over(name, server, socket)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        running = [psutil.Process(each.pid) for each in self._started if each.poll() is None]
        # A server's children are the runs that it has started.
        ending = [process for each in running for process in (each, *each.children(recursive=True))]
        for process in ending:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(ending)
        self._context.__exit__(None, None, None)
        self._output.close()
        shutil.rmtree(self._folder)

    @property
    def log(self) -> Path:
        return self._home.root / "processes.log"

    # --- processes

    def reload(self, name: str) -> None:
        """Serves a location's file as it is on disk now, as `make dev` does after an edit: the new server takes the
        place of the old one once it has loaded. The daemon notices by itself, some seconds later."""
        self._take_over(name, *self._start_server(name))

    def start_daemon(self) -> None:
        assert self._daemon is None, "the daemon runs"
        workspace = self._folder / "workspace.yaml"
        servers = [
            {"grpc_server": {"location_name": name, "socket": str(self._socket(name))}} for name in self._locations
        ]
        workspace.write_text(yaml.safe_dump({"load_from": servers}))
        self._daemon = self._start("dagster-daemon", "run", "-w", str(workspace))

    def kill_daemon(self) -> None:
        """By SIGKILL; it must still run."""
        assert self._daemon is not None
        assert self._daemon.poll() is None, f"the daemon has ended by itself: {self._said()}"
        self._daemon.kill()
        self._daemon.wait()
        self._daemon = None

    # --- what happens

    def wait_until(self, condition: Callable[[], object]) -> None:
        """Raises AssertionError with the end of the log if that takes longer than PATIENCE_SECONDS."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            assert time.monotonic() < deadline, self._said()
            time.sleep(0.1)

    def ticks(self, sensor: str) -> list[Tick]:
        """The ended ticks of a sensor, oldest first; none before the daemon has first met it."""
        return [Tick.of("", record) for record in self._records(sensor) if record.status.value != "STARTED"]

    def look(self, *sensors: str) -> None:
        """Waits until each of them has looked: a tick that has begun after this call, and has ended."""
        newest = {
            sensor: max((int(record.tick_id) for record in self._records(sensor)), default=0) for sensor in sensors
        }

        def looked() -> bool:
            return all(
                any(
                    int(each.tick_id) > newest[sensor] and each.status.value != "STARTED"
                    for each in self._records(sensor)
                )
                for sensor in sensors
            )

        self.wait_until(looked)

    def busy(self) -> bool:
        """Whether a run or a backfill is under way or waits, or a failed run is to be tried again."""
        runs = any(not run.is_finished or _is_retried_later(run) for run in self.instance.get_runs())
        return runs or any(each.status.value in _UNFINISHED_BACKFILLS for each in self.instance.get_backfills())

    def settle(self, *sensors: str) -> None:
        """Waits until all has ended and one more look of each sensor asks for nothing."""

        def requests() -> int:
            return sum(len(tick.requests) for sensor in sensors for tick in self.ticks(sensor))

        while True:
            self.wait_until(lambda: not self.busy())
            before = requests()
            self.look(*sensors)
            if requests() == before and not self.busy():
                return

    # --- inside

    def _socket(self, name: str) -> Path:
        return self._folder / name

    def _start_server(self, name: str) -> tuple[subprocess.Popen[bytes], Path]:
        self._generation += 1
        socket, file = self._folder / f"{name}.{self._generation}", self._locations[name]
        options = ["--python-file", str(file), "--working-directory", str(file.parent), "--location-name", name]
        return self._start("dagster", "api", "grpc", "--socket", str(socket), *options), socket

    def _take_over(self, name: str, server: subprocess.Popen[bytes], socket: Path) -> None:
        predecessor, self._servers[name] = self._servers.get(name), server

        def serves() -> bool:
            assert server.poll() is None, self._said()
            return socket.exists()

        self.wait_until(serves)
        os.replace(socket, self._socket(name))
        if predecessor is not None:
            # On this signal it waits for its runs.
            predecessor.send_signal(signal.SIGTERM)

    def _start(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [Path(sys.executable).with_name(program), *arguments],
            # Not in the repository, whose .env names a platform of its own.
            cwd=self._home.root,
            env={**os.environ, **environment_of(self._home), **self._variables},
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
        )
        self._started.append(process)
        return process

    def _records(self, sensor: str) -> list[Any]:
        states = [state for state in self.instance.all_instigator_state() if state.instigator_name == sensor]
        found = [self.instance.get_ticks(state.instigator_origin_id, state.selector_id) for state in states]
        return [record for records in found for record in reversed(records)]

    def _said(self) -> str:
        return f"{self.log} ends with:\n" + "\n".join(self.log.read_text(errors="replace").splitlines()[-40:])


def _is_retried_later(run: dg.DagsterRun) -> bool:
    failed = run.status is dg.DagsterRunStatus.FAILURE
    return failed and run.tags.get("dagster/will_retry") == "true" and "dagster/auto_retry_run_id" not in run.tags
