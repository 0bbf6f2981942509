"""Seconds, CPU, processes and memory until the web page shows all code locations: `make dev` against `dagster dev`.

Both start the same workspace on the same, already used state, in turn, so that both are measured under the same load.
The physical limit beside them: the same imports and loads in bare processes, all at once, with nothing around them.

Run it with `make bench`.
"""

import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
LOCATIONS = sorted(path.parent.name for path in ROOT.glob("projects/*/pyproject.toml"))
ROUNDS = 3
QUERY = json.dumps({"query": "{ workspaceOrError { ... on Workspace { locationEntries { name loadStatus } } } }"})
SECONDS_TO_START = 180


@dataclass(frozen=True)
class Measured:
    """Wall seconds to the first page with all locations, CPU seconds by then, processes and resident megabytes then."""

    seconds: float
    cpu: float
    processes: int
    megabytes: float


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="platform-bench-") as folder:
        home = Path(folder)
        environment = {
            **os.environ,
            "PLATFORM_HOME": str(home),
            "DAGSTER_HOME": str(home / "dagster"),
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        }
        (home / "dagster").mkdir()
        shutil.copy(ROOT / "deploy/instance/local.yaml", home / "dagster/dagster.yaml")
        try:
            measure(ours, environment)
            results: dict[str, list[Measured]] = {"make dev": [], "dagster dev": [], "bare processes": []}
            for _ in range(ROUNDS):
                results["make dev"].append(measure(ours, environment))
                results["dagster dev"].append(measure(theirs, environment))
                results["bare processes"].append(bare(environment))
        finally:
            subprocess.run([str(BIN / "platform"), "down"], env=environment, cwd=ROOT, check=True)
    print(f"median of {ROUNDS} rounds in turn, {len(LOCATIONS)} code locations, without the demo world")
    print(f"{'':16}{'first page, s':>14}{'CPU, s':>8}{'processes':>11}{'memory, MB':>12}")
    for name, runs in results.items():
        columns = [statistics.median(getattr(run, what) for run in runs) for what in ("seconds", "cpu")]
        rest = [statistics.median(getattr(run, what) for run in runs) for what in ("processes", "megabytes")]
        print(f"{name:16}{columns[0]:>14.1f}{columns[1]:>8.1f}{rest[0]:>11.0f}{rest[1]:>12.0f}")


def ours(port: int) -> list[str]:
    return [str(BIN / "platform"), "dev", "--no-demo", "--port", str(port)]


def theirs(port: int) -> list[str]:
    return [str(BIN / "dagster"), "dev", "-w", str(ROOT / "workspace.yaml"), "-h", "127.0.0.1", "-p", str(port)]


def measure(command, environment: dict[str, str]) -> Measured:  # type: ignore[no-untyped-def]
    port = free_port()
    began = time.monotonic()
    # Not in the root: Dagster lets the .env of the folder that it starts in overrule its environment.
    folder = ROOT if command is ours else Path(environment["PLATFORM_HOME"])
    process = start(command(port), environment, folder)
    try:
        while not page_is_complete(port):
            if process.poll() is not None or time.monotonic() - began > SECONDS_TO_START:
                raise RuntimeError(f"{command(port)} did not start")
            time.sleep(0.05)
        seconds = time.monotonic() - began
        family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        times = [member.cpu_times() for member in family]
        cpu = sum(t.user + t.system for t in times)
        memory = sum(member.memory_info().rss for member in family) / 1e6
        return Measured(seconds, cpu, len(family), memory)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(120)


def bare(environment: dict[str, str]) -> Measured:
    # As lean as a process can be: hardly any garbage collection, and no tidying up at the end.
    code = "import gc, importlib, os, sys; gc.disable(); m = importlib.import_module(sys.argv[1]); {work}; os._exit(0)"
    load = code.format(work="m.defs().get_repository_def()")
    commands: list[Sequence[str]] = [[sys.executable, "-c", load, f"{name}.definitions"] for name in LOCATIONS]
    commands.append([sys.executable, "-c", code.format(work="pass"), "dagster_webserver.app"])
    began = time.monotonic()
    before = os.times()
    processes = [start(command, environment) for command in commands]
    for process in processes:
        process.wait(120)
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Measured(time.monotonic() - began, cpu, len(commands), float("nan"))


def start(command: Sequence[str], environment: dict[str, str], folder: Path = ROOT) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def page_is_complete(port: int) -> bool:
    """Whether the page answers and every location is loaded. `/` leads to the page under its random path."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as page:
            base = page.geturl().rstrip("/")
        request = urllib.request.Request(f"{base}/graphql", QUERY.encode(), {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            entries = json.load(answer)["data"]["workspaceOrError"]["locationEntries"]
    except (urllib.error.URLError, ConnectionError, TimeoutError, KeyError):
        return False
    return sorted(e["name"] for e in entries if e["loadStatus"] == "LOADED") == LOCATIONS


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
