"""Dagster's own commands work as they stand after `make setup`, with nothing started before."""

import gzip
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
from datetime import date
from decimal import Decimal
from pathlib import Path

import psutil
import pytest
import yaml

from platform_shared.warehouse import Warehouse

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


def of_the_copy(checkout, environment):
    """The environment's packages are the repository's; with this, a location's is the copy's."""
    return {**environment, "PYTHONPATH": str(checkout / "projects/ingestion/src")}


@pytest.fixture
def scaffolded(checkout, environment):
    """The new feed `prices` as `dg` writes it; it is gone after the test."""
    project = checkout / "projects/ingestion"
    command(project, environment, "dg", "scaffold", "defs", "platform_shared.components.FileFeedComponent", "prices")
    folder = project / "src/ingestion/defs/prices"
    yield folder / "defs.yaml"
    shutil.rmtree(folder)


def test_dg_lists_the_components_of_the_platform(checkout, environment):
    listed = json.loads(command(checkout / "projects/ingestion", environment, "dg", "list", "components", "--json"))
    ours = {each["key"] for each in listed["items"] if each["key"].startswith("platform_shared.")}
    kinds = ("FileFeed", "S3Feed", "PlatformDbtProject")
    assert ours == {f"platform_shared.components.{kind}Component" for kind in kinds}


def test_scaffolded_feeds_load_as_they_stand(checkout, environment, scaffolded):
    project = checkout / "projects/ingestion"
    s3 = ("platform_shared.components.S3FeedComponent", "Offers-EU", "--bucket", "shop", "--object-format", "parquet")
    command(project, environment, "dg", "scaffold", "defs", *s3)
    command(project, environment, "dg", "check", "yaml")
    listed = json.loads(command(project, of_the_copy(checkout, environment), "dg", "list", "defs", "--json"))
    shutil.rmtree(project / "src/ingestion/defs/Offers-EU")
    keys = {asset["asset_key"] for asset in listed["assets"]}
    assert {"landing/prices", "raw/prices", "landing/offers_eu", "raw/offers_eu"} <= keys
    assert {"prices_landing_sensor", "offers_eu_landing_sensor"} <= {sensor["name"] for sensor in listed["sensors"]}
    assert scaffolded.read_text().startswith(
        "# Files that are delivered into landing/prices/ become rows of raw.prices."
    )
    assert list(yaml.safe_load(scaffolded.read_text())["attributes"]) == ["feed", "format", "table"]


@pytest.mark.parametrize(
    ("tool", "before", "after", "said"),
    [
        ("yaml", "format: csv", "formt: csv", ["defs/prices/defs.yaml:6", "formt", "'format' is a required property"]),
        ("defs", "feed: prices", "feed: '{{ prizes }}'", ["defs/prices/defs.yaml:5", "attributes.feed", "'prizes'"]),
        ("defs", "format: csv", "format: csv\n  poll_seconds: 0", ["prices[0]", "poll_seconds is 0. Use a whole"]),
    ],
    ids=["a misspelt field", "a misspelt variable", "no pause"],
)
def test_a_mistake_in_yaml_is_told_with_its_place(checkout, environment, scaffolded, tool, before, after, said):
    scaffolded.write_text(scaffolded.read_text().replace(before, after))
    project = checkout / "projects/ingestion"
    done = subprocess.run(["dg", "check", tool], cwd=project, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert [words for words in said if words not in done.stdout + done.stderr] == []


PRICES = """
type: platform_shared.components.FileFeedComponent
attributes:
  feed: prices
  format: csv
  pattern: "*.csv.gz"
  marker: .done
  new_columns: add_column
  table:
    owner: ingestion
    description: Shelf prices by store.
    columns:
      - {name: sku, type: BIGINT, required: true}
      - {name: price, type: "DECIMAL(10,3)"}
      - {name: valid_from, type: DATE}
      - {name: on_offer, type: BOOLEAN}
"""
ONE_LOOK = """
from datetime import UTC, datetime, timedelta
from platform_shared.settings import platform_home
from platform_shared.testing.daemon import DaemonHarness
in_an_hour = datetime.now(UTC) + timedelta(hours=1)
with DaemonHarness({"ingestion": "ingestion.definitions"}, platform_home(), in_an_hour) as daemon:
    (tick,) = daemon.tick_sensors("prices_landing_sensor")
    print(tick.skip_reason, [run.status.value for run in daemon.execute_runs()])
"""


def test_a_new_feed_is_ten_lines_of_yaml(checkout, environment, scaffolded, platform_home):
    scaffolded.write_text(PRICES.lstrip())
    command(checkout / "projects/ingestion", environment, "dg", "check", "yaml")
    here = {name: os.environ[name] for name in ("PLATFORM_HOME", "DAGSTER_HOME", "PLATFORM_POSTGRES_URL")}
    there = {**of_the_copy(checkout, environment), **here}
    delivered = platform_home.landing / "prices/7.csv.gz"
    delivered.parent.mkdir(parents=True)
    lines = "sku,price,valid_from,on_offer,currency\n1,2.995,2025-03-03,true,EUR\n2,,2025-03-04,false,\n"
    delivered.write_bytes(gzip.compress(lines.encode()))

    assert "1 still being written []" in command(checkout, there, sys.executable, "-c", ONE_LOOK)
    delivered.with_name("7.csv.gz.done").touch()
    assert "None ['SUCCESS']" in command(checkout, there, sys.executable, "-c", ONE_LOOK)
    with Warehouse.of(platform_home).connect(read_only=True) as connection:
        rows = connection.execute(
            "SELECT sku, price, valid_from, on_offer, currency, _source_object FROM lake.raw.prices ORDER BY sku"
        ).fetchall()
    assert rows == [
        (1, Decimal("2.995"), date(2025, 3, 3), True, "EUR", "7.csv.gz"),
        (2, None, date(2025, 3, 4), False, None, "7.csv.gz"),
    ]


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
