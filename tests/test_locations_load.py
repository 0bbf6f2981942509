"""Each location loads in a fresh interpreter without network, servers, secrets or writing, and imports only its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LOCATIONS = sorted(path.parent.name for path in ROOT.glob("projects/*/pyproject.toml"))

# Everything that leaves the process, or a trace on disk, raises while the location loads.
LOAD = """
import importlib, json, os, sys, time

def guard(event, arguments):
    if event in {"socket.connect", "socket.bind", "socket.getaddrinfo", "subprocess.Popen", "os.system"}:
        raise RuntimeError(f"{event} {arguments!r:.200} at load")
    if event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        if str(arguments[0]) != os.devnull:
            raise RuntimeError(f"writes {arguments[0]!r} at load")

sys.addaudithook(guard)
module = importlib.import_module(sys.argv[1])
definitions = getattr(module, sys.argv[2])
definitions().get_repository_def()
print(json.dumps(sorted(name for name in sys.modules if "." not in name)))
"""


def load(
    module: str, attribute: str = "defs", path: Path | None = None, **variables: str
) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1", **variables}
    if path is not None:
        environment["PYTHONPATH"] = str(path)
    command = [sys.executable, "-W", "error::DeprecationWarning:__main__", "-c", LOAD, module, attribute]
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd="/", timeout=120, check=False)


@pytest.mark.parametrize("location", LOCATIONS)
def test_a_location_loads_by_itself(location):
    done = load(f"{location}.definitions")
    assert done.returncode == 0, done.stderr
    modules = set(json.loads(done.stdout))
    heavy = {"pandas", "pyarrow", "numpy", "matplotlib", "sklearn"}
    if location != "ingestion":
        # The only one with feeds in S3; dagster-aws brings Dagster's own storage, and that brings alembic.
        heavy |= {"boto3", "dagster_aws", "alembic"}
    if location != "analytics":
        heavy |= {"dbt", "dagster_dbt"}
    assert not modules & heavy
    assert "Warning" not in done.stderr


def test_dbt_is_not_parsed_under_dg_either():
    # dagster-dbt's own component parses whenever a command of `dg` or `dagster dev` loads it.
    done = load("analytics.definitions", DAGSTER_IS_DEV_CLI="1")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("import socket\nsocket.create_connection(('127.0.0.1', 9))", "socket.getaddrinfo"),
        ("open('written', 'w').write('x')", "writes 'written'"),
        ("import subprocess, sys\nsubprocess.run([sys.executable, '-c', ''])", "subprocess.Popen"),
    ],
)
def test_the_guard_sees_a_location_that_does_more_than_load(tmp_path, body, said):
    (tmp_path / "greedy.py").write_text(f"def defs():\n    {body.replace(chr(10), chr(10) + '    ')}\n")
    done = load("greedy", path=tmp_path)
    assert done.returncode != 0
    assert said in done.stderr


def test_pandas_and_pyarrow_are_not_in_the_environment():
    code = "import importlib.util as u; print([n for n in ('pandas', 'pyarrow') if u.find_spec(n)])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ, check=True)
    assert done.stdout.strip() == "[]"
