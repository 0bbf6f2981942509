"""Dagster's own commands work as they stand after `make setup`, with nothing started before."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parents[1]
BIN = ROOT / ".venv/bin"
LOCATIONS = sorted(path.parent.name for path in ROOT.glob("projects/*/pyproject.toml"))
QUERY = json.dumps({"query": "{ workspaceOrError { ... on Workspace { locationEntries { name loadStatus } } } }"})


@pytest.fixture(scope="module")
def environment():
    """As after `source .venv/bin/activate`: nothing says where the platform is but the .env files."""
    kept = {name: os.environ[name] for name in ("HOME", "LANG", "TMPDIR") if name in os.environ}
    return {**kept, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "VIRTUAL_ENV": str(ROOT / ".venv")}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory, environment):
    """A copy of what is tracked, set up; it shares the environment with the repository."""
    copy = tmp_path_factory.mktemp("clone") / "repository"
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True)
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, copy / name)
    (copy / ".venv").symlink_to(ROOT / ".venv")
    command(copy, environment, "platform", "setup")
    yield copy
    command(copy, environment, "platform", "down")


def command(folder, environment, *arguments):
    done = subprocess.run(arguments, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{arguments}: {done.stdout}\n{done.stderr}"
    return done.stdout


def test_dg_knows_the_projects(checkout, environment):
    listed = command(checkout, environment, "dg", "list", "projects").split()
    assert listed == [f"projects/{name}" for name in LOCATIONS]


def test_dg_checks_the_workspace(checkout, environment):
    command(checkout, environment, "dg", "check", "defs")


@pytest.mark.parametrize("location", LOCATIONS)
def test_dg_lists_the_definitions_of_a_project(checkout, environment, location):
    project = checkout / "projects" / location
    definitions = json.loads(command(project, environment, "dg", "list", "defs", "--json"))
    assert definitions["assets"] or definitions["sensors"]


def test_dg_scaffolds_an_asset_in_a_project(checkout, environment):
    project = checkout / "projects/batch"
    command(project, environment, "dg", "scaffold", "defs", "dagster.asset", "scaffolded.py")
    made = project / "src/batch/defs/scaffolded.py"
    assert "@dg.asset" in made.read_text()
    made.unlink()


def test_dg_launch_runs_on_the_instance_of_the_platform(checkout, environment):
    marts = """
from platform_shared.contracts import DAILY_SALES, HOUSEHOLD_SPEND
from platform_shared.warehouse import TableName, Warehouse, create_table
warehouse = Warehouse.of()
with warehouse.connect() as connection:
    for contract in (DAILY_SALES, HOUSEHOLD_SPEND):
        create_table(warehouse, connection, TableName(contract.schema, contract.table), contract.types)
"""
    home = {"PLATFORM_HOME": str(checkout / ".platform")}
    command(checkout, {**environment, **home}, sys.executable, "-c", marts)
    project = checkout / "projects/batch"
    command(project, environment, "dg", "launch", "--assets", 'key:"reports/sales_report"')
    assert "reports/sales_report" in command(checkout, environment, "platform", "status")
    assert "No sales are loaded yet" in (checkout / ".platform/reports/sales_report.html").read_text()


@pytest.mark.parametrize("tool", [("dagster", "dev", "-w", "workspace.yaml"), ("dg", "dev")], ids=lambda tool: tool[0])
def test_a_bare_dev_server_serves_all_locations_and_leaves_nothing(checkout, environment, tool):
    command(checkout, environment, "platform", "down")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-c", DEFAULT_SIGNALS, str(BIN / tool[0]), *tool[1:], "-p", str(port)],
        cwd=checkout,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 180
    while loaded(port) != LOCATIONS:
        assert server.poll() is None, server.communicate()[0]
        assert time.monotonic() < deadline, "the locations did not load"
        time.sleep(0.3)
    family = psutil.Process(server.pid).children(recursive=True)
    server.send_signal(signal.SIGINT)
    printed = server.communicate(timeout=120)[0]
    assert server.returncode == 0, printed
    _, left = psutil.wait_procs([process for process in family if "postgres" not in name_of(process)], timeout=30)
    assert left == []


# A shell starts jobs in the background with SIGINT ignored, and children inherit that.
DEFAULT_SIGNALS = (
    "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])"
)


def name_of(process):
    try:
        return process.name()
    except psutil.NoSuchProcess:
        return ""


def loaded(port):
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/graphql", QUERY.encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            entries = json.load(answer)["data"]["workspaceOrError"]["locationEntries"]
    except (urllib.error.URLError, ConnectionError, TimeoutError, KeyError, ValueError):
        return []
    return sorted(entry["name"] for entry in entries if entry["loadStatus"] == "LOADED")
