"""Loads locations, each in a process of its own, and returns their snapshots."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from pydantic import ValidationError

from platform_shared.workspace.model import Snapshot, from_json
from platform_shared.workspace.projects import Project

AT_ONCE = 2
TIMEOUT_SECONDS = 180

PASSED_ON = frozenset(
    {
        "HOME",
        "LANG",
        "LC_ALL",
        "LC_CTYPE",
        "PATH",
        "PLATFORM_ENVIRONMENT",
        "PYTHONDONTWRITEBYTECODE",
        "PYTHONPATH",
        "PYTHONPYCACHEPREFIX",
        "TMPDIR",
    }
)
"""All that a location is given to load with: no secret, no address, no state (DAGSTER_HOME, PLATFORM_HOME)."""


def load_snapshots(root: Path, projects: Sequence[Project]) -> list[Snapshot]:
    """The snapshots of all projects, in their order; a location that does not load has its `load_error` set."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(lambda project: load_snapshot(root, project), projects))


def load_snapshot(root: Path, project: Project) -> Snapshot:
    """One project's snapshot; `seconds` is the wall time of the whole process."""
    started = time.monotonic()
    loaded = _load(root, project)
    return replace(loaded, seconds=round(time.monotonic() - started, 1))


def interpreter(root: Path, project: Project) -> Path:
    """The project's own Python if it has an environment of its own, else the one that runs this.

    A `.venv` that leads to the root's environment (`make setup` links it) is not one of its own.
    """
    environment = project.path / ".venv"
    shared = {(root / ".venv").resolve(), Path(sys.prefix).resolve()}
    python = environment / "bin" / "python"
    return python if python.is_file() and environment.resolve() not in shared else Path(sys.executable)


def load_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment of a load: a few variables of ours, and a fixed hash seed so that snapshots repeat."""
    return {"PYTHONHASHSEED": "0"} | {key: value for key, value in environ.items() if key in PASSED_ON}


def _load(root: Path, project: Project) -> Snapshot:
    python = str(interpreter(root, project))
    # -P: the root's folders (docs, tests, …) are not importable, as in a deployed image.
    command = [python, "-P", "-m", "platform_shared.workspace.snapshot", project.definitions_module]
    try:
        process = subprocess.run(
            [*command, "--location", project.location_name],
            cwd=root,
            env=load_environment(os.environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
        )
        return from_json(process.stdout)
    except subprocess.TimeoutExpired:
        error = f"It did not load within {TIMEOUT_SECONDS} s."
    except ValidationError:
        error = f"Its process ({python}) ended with exit code {process.returncode} and no snapshot:\n{process.stderr}"
    return Snapshot(project.location_name, load_error=error)
