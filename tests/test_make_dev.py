"""`make dev` as a person meets it: one page, edits that are served, and an end that leaves nothing behind.

It runs on a workspace of two tiny locations made here, with a home and a Postgres of its own: edits touch nothing else.
"""

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
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import dagster as dg
import psutil
import pytest

from platform_shared.dev.world import provided_by
from platform_shared.postgres import embedded_is_running, stop_embedded
from platform_shared.settings import Home
from platform_shared.webserver import WEBSERVER_VARIABLE, ask

REPOSITORY = Path(__file__).parents[1]
PLATFORM = Path(sys.executable).with_name("platform")
PATIENCE_SECONDS = 60.0
MARKER = "MAKE_DEV_TEST"
FOLDER_OF_RUNS = "MAKE_DEV_TEST_FOLDER"

LOCATIONS = "{workspaceOrError{...on Workspace{locationEntries{name locationOrLoadError{__typename}}}}}"
ASSETS = "{assetNodes{assetKey{path}}}"
LAUNCH = """mutation($job: String!) {launchRun(executionParams: {runConfigData: {}, selector: {
    repositoryLocationName: "alpha", repositoryName: "__repository__", jobName: $job}}) {
    ...on LaunchRunSuccess{run{runId}} ...on PythonError{message}}}"""
RUN_STATUS = "query($run: ID!) {runOrError(runId: $run) {...on Run{status}}}"

DEFINITIONS = """
import os
import pathlib
import time

import dagster as dg
from library import NAME


@dg.asset(key=["{location}", NAME])
def thing() -> None: ...


@dg.op
def wait() -> None:
    folder = pathlib.Path(os.environ["MAKE_DEV_TEST_FOLDER"])
    (folder / "begun").touch()
    while not (folder / "may-end").exists():
        time.sleep(0.05)


@dg.job(executor_def=dg.in_process_executor)
def waiting_job():
    wait()


@dg.job(executor_def=dg.multiprocess_executor)
def waiting_in_a_step_job():
    wait()


defs = dg.Definitions(assets=[thing], jobs=[waiting_job, waiting_in_a_step_job])
"""

ONE_MORE_ASSET = """

@dg.asset(key=["alpha", "{name}"])
def one_more() -> None: ...


defs = dg.Definitions.merge(defs, dg.Definitions(assets=[one_more]))
"""

PART_OF_THE_DEMO_WORLD = """
import sys
import time

print("{says}", *sys.argv[1:], flush=True)
while True:
    time.sleep(1)
"""
S3_VARIABLES = ("PLATFORM_S3_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION")

T = TypeVar("T")


def until(what: Callable[[], T]) -> T:
    """The first true value of `what`. A server that is not there yet, or not any more, counts as not yet."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        with suppress(OSError, psutil.Error):
            if value := what():
                return value
        assert time.monotonic() < deadline, f"not within {PATIENCE_SECONDS:.0f} s"
        time.sleep(0.1)


class Workspace:
    """Two locations, the library that both import, a demo world; and the folder of the platform's state."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.home = Home(root / "home")
        self._write("workspace.yaml", "")
        self._write("pyproject.toml", "")
        self._write("shared/src/library/__init__.py", 'NAME = "thing"\n')
        self._write("demo/demo_world/__init__.py", "")
        self._write(
            "demo/demo_world/__main__.py", PART_OF_THE_DEMO_WORLD.replace("{says}", "the demo world plays with")
        )
        self._write("demo/demo_world/object_store.py", PART_OF_THE_DEMO_WORLD.replace("{says}", "S3 serves with"))
        for name in ("alpha", "beta"):
            self._write(f"projects/{name}/pyproject.toml", f'[tool.dg.project]\nroot_module = "{name}"\n')
            self._write(f"projects/{name}/src/{name}/__init__.py", "")
            self._write(f"projects/{name}/src/{name}/definitions.py", DEFINITIONS.replace("{location}", name))
        prepare(self.home)
        # What Dagster's commands read in the current folder must not lead them to another home.
        self._write(".env", "DAGSTER_HOME=/nowhere\n")

    @property
    def alpha(self) -> Path:
        return self.root / "projects/alpha/src/alpha/definitions.py"

    @property
    def library(self) -> Path:
        return self.root / "shared/src/library/__init__.py"

    @property
    def python_path(self) -> str:
        folders = ("projects/alpha/src", "projects/beta/src", "shared/src", "demo")
        return os.pathsep.join(str(self.root / folder) for folder in folders)

    def _write(self, path: str, text: str) -> None:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)


def prepare(home: Home) -> None:
    """What `make setup` does to a home."""
    home.dagster.mkdir(parents=True)
    shutil.copy(REPOSITORY / "deploy/instance/local.yaml", home.dagster / "dagster.yaml")


class MakeDev:
    """A `make dev` under way, in a process group of its own as in a terminal."""

    def __init__(self, workspace: Workspace, folder: Path, *flags: str, **variables: str) -> None:
        self.port = free_port()
        self.folder = folder
        self._marker = uuid.uuid4().hex
        self._output = folder / "output.txt"
        arguments = [str(PLATFORM), "dev", "--port", str(self.port), *flags]
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                arguments,
                cwd=workspace.root,
                env=environment(workspace) | {MARKER: self._marker, FOLDER_OF_RUNS: str(folder)} | variables,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                # As a script does to what it starts with `&`.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
            )

    @property
    def output(self) -> str:
        return self._output.read_text()

    def says(self, *texts: str) -> bool:
        """Waits until it has said all of it."""
        return until(lambda: all(text in self.output for text in texts))

    def ready(self) -> "MakeDev":
        until(lambda: "Ready after" in self.output or self.process.poll() is not None)
        assert self.process.poll() is None, self.output
        return self

    def page(self, path: str = "/") -> str:
        """Where a request ends up."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as response:
            return str(response.url).rstrip("/")

    def query(self, query: str, **variables: str) -> Any:
        request = urllib.request.Request(
            f"{self.page()}/graphql",
            data=json.dumps({"query": query, "variables": variables}).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as response:
            return json.load(response)["data"]

    def locations(self) -> dict[str, str]:
        entries = self.query(LOCATIONS)["workspaceOrError"]["locationEntries"]
        return {entry["name"]: entry["locationOrLoadError"]["__typename"] for entry in entries}

    def assets(self) -> set[str]:
        return {"/".join(node["assetKey"]["path"]) for node in self.query(ASSETS)["assetNodes"]}

    def launch(self, job: str) -> str:
        """Starts a run of alpha that waits, and returns its id once it does."""
        run = str(self.query(LAUNCH, job=job)["launchRun"]["run"]["runId"])
        until((self.folder / "begun").exists)
        return run

    def run_status(self, run: str) -> str:
        return str(self.query(RUN_STATUS, run=run)["runOrError"]["status"])

    def processes(self) -> list[psutil.Process]:
        """All that it started and that is still there, itself included; Postgres apart, which outlives it by design."""
        return [process for process in psutil.process_iter() if self._is_ours(process)]

    def child(self, word: str) -> psutil.Process:
        """The child of the supervisor with this word on its command line, once there is only one."""

        def found() -> list[psutil.Process]:
            children = psutil.Process(self.process.pid).children()
            matching = [child for child in children if word in child.cmdline()]
            return matching if len(matching) == 1 else []

        return until(found)[0]

    def told_of_s3(self, word: str) -> dict[str, str]:
        """What this child finds in its environment."""
        environ = self.child(word).environ()
        return {name: environ[name] for name in S3_VARIABLES if name in environ}

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_SECONDS)

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            alive = process.status() != psutil.STATUS_ZOMBIE and "postgres" not in process.name()
            return bool(alive and process.environ().get(MARKER) == self._marker)
        except psutil.Error:
            return False


def environment(workspace: Workspace, home: Home | None = None) -> dict[str, str]:
    ours = ("DAGSTER", "PLATFORM", "AWS")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    for name in ("PORT", "DEMO"):
        inherited.pop(name, None)
    return inherited | {"PLATFORM_HOME": str((home or workspace.home).root), "PYTHONPATH": workspace.python_path}


def refused(workspace: Workspace, home: Home, port: int) -> str:
    """What `make dev` says that cannot start."""
    done = subprocess.run(
        [str(PLATFORM), "dev", "--no-demo", "--port", str(port)],
        cwd=workspace.root,
        env=environment(workspace, home),
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    return done.stderr


def gone(dev: MakeDev) -> bool:
    return not dev.processes()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def contents(folder: Path) -> Sequence[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    workspace = Workspace(tmp_path_factory.mktemp("workspace"))
    yield workspace
    stop_embedded(workspace.home)


@pytest.fixture(scope="class")
def dev(workspace: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeDev]:
    running = MakeDev(workspace, tmp_path_factory.mktemp("dev"), "--no-demo")
    try:
        yield running.ready()
    finally:
        code = running.end(signal.SIGTERM)
    assert code == 0
    assert running.processes() == []


@pytest.fixture
def start(workspace: Workspace, tmp_path: Path) -> Iterator[Callable[..., MakeDev]]:
    started = []

    def start(*flags: str, **variables: str) -> MakeDev:
        started.append(MakeDev(workspace, tmp_path, *flags, **variables))
        return started[-1].ready()

    yield start
    for running in started:
        running.process.kill()
        running.process.wait()
        until(partial(gone, running))


class TestServing:
    """One `make dev` for all that leaves it running."""

    def test_the_page_hangs_under_a_path_that_nobody_guesses(self, dev: MakeDev) -> None:
        assert dev.page() in dev.output
        assert len(dev.page().rpartition("/")[2]) >= 16
        with pytest.raises(urllib.error.HTTPError, match="404"):
            dev.page("/graphql")

    def test_all_locations_are_there_with_the_first_page(self, dev: MakeDev) -> None:
        assert dev.locations() == {"alpha": "RepositoryLocation", "beta": "RepositoryLocation"}
        assert dev.assets() == {"alpha/thing", "beta/thing"}

    def test_it_takes_one_process_for_each_part(self, dev: MakeDev) -> None:
        supervisor_locations_daemon_page = 1 + 2 + 1 + 1
        until(lambda: len(dev.processes()) == supervisor_locations_daemon_page)

    def test_without_the_demo_world_nothing_is_said_of_s3(self, dev: MakeDev) -> None:
        assert {word: dev.told_of_s3(word) for word in ("alpha", "daemon")} == {"alpha": {}, "daemon": {}}

    def test_a_taken_port_is_said_with_who_has_it(self, dev: MakeDev, workspace: Workspace, tmp_path: Path) -> None:
        prepare(elsewhere := Home(tmp_path / "home"))
        said = refused(workspace, elsewhere, dev.port)
        assert f"Port {dev.port} is taken by pid {dev.child('webserver').pid}" in said
        assert f"make dev PORT={dev.port + 1}" in said
        assert contents(elsewhere.root) == ["dagster", "dev.lock"]

    def test_a_second_one_on_the_same_home_is_refused(self, dev: MakeDev, workspace: Workspace) -> None:
        said = refused(workspace, workspace.home, free_port())
        assert f"pid {dev.process.pid}, http://127.0.0.1:{dev.port}/" in said

    def test_a_home_that_is_not_set_up_is_said(self, workspace: Workspace, tmp_path: Path) -> None:
        assert "make setup" in refused(workspace, Home(tmp_path), free_port())

    def test_an_edit_is_served(self, dev: MakeDev, workspace: Workspace) -> None:
        good = workspace.alpha.read_text()
        workspace.alpha.write_text(good + ONE_MORE_ASSET.replace("{name}", "edited"))
        until(lambda: "alpha/edited" in dev.assets())
        assert dev.says("✓ alpha reloaded in")
        assert "beta reloaded" not in dev.output

    def test_a_broken_edit_is_said_and_the_old_code_goes_on(self, dev: MakeDev, workspace: Workspace) -> None:
        good = workspace.alpha.read_text()
        before = dev.assets()
        workspace.alpha.write_text(good + "\ndef broken(:\n")
        line = (good + "\ndef broken(:").count("\n") + 1
        place = f"projects/alpha/src/alpha/definitions.py:{line}"
        dev.says(f"✗ alpha not reloaded, the old code goes on: SyntaxError: invalid syntax ({place})")
        assert dev.assets() == before
        assert dev.locations()["alpha"] == "RepositoryLocation"
        workspace.alpha.write_text(good + ONE_MORE_ASSET.replace("{name}", "repaired"))
        until(lambda: "alpha/repaired" in dev.assets())

    def test_an_edit_of_the_library_reaches_all_locations(self, dev: MakeDev, workspace: Workspace) -> None:
        workspace.library.write_text('NAME = "renamed"\n')
        until(lambda: {"alpha/renamed", "beta/renamed"} <= dev.assets())

    def test_a_run_ends_on_the_code_that_it_began_with(self, dev: MakeDev, workspace: Workspace) -> None:
        run = dev.launch("waiting_job")
        workspace.alpha.write_text(workspace.alpha.read_text() + ONE_MORE_ASSET.replace("{name}", "meanwhile"))
        until(lambda: "alpha/meanwhile" in dev.assets())
        assert dev.run_status(run) == "STARTED"
        (dev.folder / "may-end").touch()
        until(lambda: dev.run_status(run) == "SUCCESS")

    @pytest.mark.parametrize("word", ["beta", "daemon", "webserver"])
    def test_what_ends_by_itself_is_started_again(self, dev: MakeDev, word: str) -> None:
        dead = dev.child(word)
        dead.kill()
        dev.says(f"✗ {word} ended by signal 9, restarted")
        until(lambda: dev.child(word).pid != dead.pid)
        until(lambda: "beta/renamed" in dev.assets())

    def test_a_new_project_is_noticed(self, dev: MakeDev, workspace: Workspace) -> None:
        (workspace.root / "projects/gamma").mkdir()
        assert dev.says("projects/gamma is new", "restart `make dev`")


def test_a_location_that_does_not_load_shows_its_error_until_an_edit_repairs_it(
    start: Callable[..., MakeDev], workspace: Workspace
) -> None:
    good = workspace.alpha.read_text()
    workspace.alpha.write_text("import dagster as dg\n\ndefs = dg.Definitions(assets=[nothing])\n")
    dev = start("--no-demo")
    place = "projects/alpha/src/alpha/definitions.py:3"
    assert dev.says(
        "✗ alpha does not load", f"NameError: name 'nothing' is not defined ({place})", "1 of 2 code locations"
    )
    assert dev.locations() == {"alpha": "PythonError", "beta": "RepositoryLocation"}
    workspace.alpha.write_text(good)
    until(lambda: dev.locations()["alpha"] == "RepositoryLocation")


def test_ctrl_c_ends_all_but_postgres(start: Callable[..., MakeDev], workspace: Workspace) -> None:
    dev = start()
    dev.says("the demo world plays with", "S3 serves with")
    os.killpg(dev.process.pid, signal.SIGINT)
    assert dev.process.wait(PATIENCE_SECONDS) == 0
    assert dev.processes() == []
    assert embedded_is_running(workspace.home)


def test_the_demo_world_brings_an_s3_server_which_all_know_and_which_comes_back_where_it_was(
    start: Callable[..., MakeDev], workspace: Workspace
) -> None:
    dev = start()
    dead = dev.child("demo_world.object_store")
    port = dead.cmdline()[-1]
    dev.says(f"S3 serves with --port {port}")
    where = f"--landing {workspace.home.landing} --s3-endpoint http://127.0.0.1:{port}"
    dev.says(f"the demo world plays with {where} --days 14 --today --per-minute 6")
    told = dict(zip(S3_VARIABLES, (f"http://127.0.0.1:{port}", "demo", "demo", "us-east-1"), strict=True))
    for word in ("alpha", "daemon", "webserver", "demo_world"):
        assert dev.told_of_s3(word) == told
    assert told.items() <= provided_by(workspace.home).items()
    assert ask(provided_by(workspace.home)[WEBSERVER_VARIABLE], "{ version }", {}) == {"version": dg.__version__}
    supervisor_locations_daemon_page_demo_s3 = 1 + 2 + 1 + 1 + 1 + 1
    until(lambda: len(dev.processes()) == supervisor_locations_daemon_page_demo_s3)
    dead.kill()
    dev.says("✗ s3 ended by signal 9, restarted")
    until(lambda: dev.child("demo_world.object_store").pid != dead.pid)
    assert dev.child("demo_world.object_store").cmdline()[-2:] == ["--port", port]
    assert dev.end(signal.SIGTERM) == 0
    assert dev.processes() == []


def test_a_person_who_names_an_s3_gets_no_server(start: Callable[..., MakeDev], workspace: Workspace) -> None:
    dev = start(PLATFORM_S3_ENDPOINT_URL="http://s3.example:9000")
    where = f"--landing {workspace.home.landing} --s3-endpoint http://s3.example:9000"
    dev.says(f"the demo world plays with {where} --days 14")
    assert dev.told_of_s3("alpha") == {"PLATFORM_S3_ENDPOINT_URL": "http://s3.example:9000"}
    supervisor_locations_daemon_page_demo = 1 + 2 + 1 + 1 + 1
    until(lambda: len(dev.processes()) == supervisor_locations_daemon_page_demo)


def test_ctrl_c_while_it_starts_ends_what_is_there(workspace: Workspace, tmp_path: Path) -> None:
    dev = MakeDev(workspace, tmp_path)
    dev.says("starting 2 code locations")
    until(lambda: len(dev.processes()) > 1)
    os.killpg(dev.process.pid, signal.SIGINT)
    assert dev.process.wait(PATIENCE_SECONDS) == 0
    assert dev.processes() == []


def test_a_run_that_is_cut_off_says_so(
    start: Callable[..., MakeDev], workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    dev = start("--no-demo", "--grace", "0.5")
    run = dev.launch("waiting_in_a_step_job")
    assert dev.end(signal.SIGTERM) == 0
    assert dev.processes() == []
    assert status_in_storage(workspace, monkeypatch, run) is dg.DagsterRunStatus.FAILURE


def test_a_run_whose_server_died_goes_on_and_is_ended_with_all_else(
    start: Callable[..., MakeDev], workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    dev = start("--no-demo", "--grace", "0.5")
    run = dev.launch("waiting_job")
    dev.child("alpha").kill()
    assert dev.says("✗ alpha ended by signal 9, restarted", "✓ alpha reloaded")
    assert dev.run_status(run) == "STARTED"
    assert dev.end(signal.SIGTERM) == 0
    assert dev.processes() == []
    assert status_in_storage(workspace, monkeypatch, run) is dg.DagsterRunStatus.FAILURE


def test_nothing_outlives_a_killed_supervisor(
    start: Callable[..., MakeDev], workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    dev = start()
    run = dev.launch("waiting_job")
    dev.end(signal.SIGKILL)
    until(lambda: not dev.processes())
    assert embedded_is_running(workspace.home)
    assert status_in_storage(workspace, monkeypatch, run) is dg.DagsterRunStatus.FAILURE


def status_in_storage(workspace: Workspace, monkeypatch: pytest.MonkeyPatch, run: str) -> dg.DagsterRunStatus:
    """The run's status as the next start of the platform finds it."""
    monkeypatch.setenv("PLATFORM_HOME", str(workspace.home.root))
    monkeypatch.setenv("DAGSTER_HOME", str(workspace.home.dagster))
    monkeypatch.delenv("PLATFORM_POSTGRES_URL", raising=False)
    with dg.DagsterInstance.get() as instance:
        found = instance.get_run_by_id(run)
    assert found is not None
    return found.status
