"""The truth table through the platform's processes: what it says tick by tick is what the daemon does.

One session for all: two locations in code servers of their own, a real daemon, runs in processes of their own. In
`upstream` is an input for each condition, in `downstream` the asset with the condition: each input is one of another
location. Each test begins when all is quiet, plays its scenario for all conditions at once, and waits until all is
quiet again, so that a request too many is seen, too.
"""

import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import dagster as dg
import pytest
from automation_scenarios import CONDITIONS, SCENARIOS
from session_world import (
    BREAK,
    CHECK,
    DOWNSTREAM,
    FOLDER_VARIABLE,
    HOLD,
    PROBE,
    SOURCE,
    TRIES,
    UPSTREAM,
    Lane,
    lanes,
    zone_where_it_is_noon,
)

from platform_shared.settings import Home
from platform_shared.testing.processes import Processes

pytestmark = pytest.mark.timeout(900)

SENSORS = [f"{UPSTREAM}_automation_sensor", f"{DOWNSTREAM}_automation_sensor"]
EVERY = list(CONDITIONS)
FOLLOWERS = ["on_input_change", "on_any_input_partition", "on_complete_partition", "on_demand", "eager"]
"""Those that wait for a change of the input; of the others a session can make nothing happen but their first build."""

Outcome = dict[str, list[int]]


def table(scenario: str, names: Iterable[str]) -> Outcome:
    """What the truth table says of these conditions."""
    (row,) = (each for each in SCENARIOS if each.play.__name__ == scenario)
    cells = dict(zip(CONDITIONS, row.expected, strict=True))
    return {name: [int(number) for number in cells[name].split(", ")] for name in names}


class Session:
    """The platform, and what the test makes happen in it; `first` is what was asked for after the start."""

    def __init__(self, processes: Processes, files: Mapping[str, Path], folder: Path, lanes: dict[str, Lane]) -> None:
        self._processes, self._files, self._folder = processes, files, folder
        self._deployed = 0
        self.lanes = lanes
        for lane in lanes.values():
            self.change([lane.name], whole=True)
        processes.start_daemon()
        self.settle()
        self.first = self.asked()
        # What has been built by its condition is there; of `eager` the table's asset was built by hand.
        self.instance.report_runless_asset_event(dg.AssetMaterialization(lanes["eager"].asset))

    @property
    def instance(self) -> dg.DagsterInstance:
        return self._processes.instance

    # --- steps

    def change(self, names: Iterable[str], *, passes: bool = True, whole: bool = False) -> None:
        """An input changes (the newest partition of it, or the `whole`), and its blocking check has seen it."""
        for name in names:
            lane = self.lanes[name]
            for partition in lane.partitions if whole else lane.partitions[-1:]:
                self.instance.report_runless_asset_event(dg.AssetMaterialization(lane.input, partition=partition))
            self.check(name, passes=passes)

    def check(self, name: str, *, passes: bool) -> None:
        result = dg.AssetCheckEvaluation(self.lanes[name].input, CHECK, passed=passes, blocking=True, metadata={})
        self.instance.report_runless_asset_event(result)

    def deploy(self, **values: object) -> None:
        """Edits the location downstream and serves it; the daemon has looked at it when this returns."""
        self._deployed += 1
        edit(self._files[DOWNSTREAM], DEPLOYED=self._deployed, **values)
        seen = self.requests(PROBE)
        self._processes.reload(DOWNSTREAM)
        self._processes.wait_until(lambda: self.requests(PROBE) > seen)

    def hold(self) -> None:
        """Builds that begin from now on wait."""
        (self._folder / HOLD).touch()

    def break_builds(self) -> None:
        (self._folder / BREAK).touch()

    def release(self) -> None:
        """Builds go on, and succeed."""
        for flag in (HOLD, BREAK):
            (self._folder / flag).unlink(missing_ok=True)

    def recover(self) -> None:
        """All is quiet again, also where a test has failed half-way."""
        self.release()
        if self._processes.busy():
            self.settle()

    def look(self) -> None:
        self._processes.look(*SENSORS)

    def settle(self) -> None:
        self._processes.settle(*SENSORS)

    def wait_until(self, condition: Callable[[], object]) -> None:
        self._processes.wait_until(condition)

    # --- what happened

    def asked(self, kind: str = "assets") -> Counter[str]:
        """How often each condition has asked for its asset, or partitions of it, since the start."""
        names = {lane.newer(kind): lane.name for lane in self.lanes.values()}
        targets = [key for tick in self._processes.ticks(SENSORS[1]) for key, _ in tick.targets]
        return Counter(names[key] for key in targets if key in names)

    def requests(self, key: dg.AssetKey) -> int:
        targets = [each for tick in self._processes.ticks(SENSORS[1]) for each, _ in tick.targets]
        return targets.count(key)

    def tries(self) -> Counter[str]:
        """How often the body of each asset has begun."""
        return Counter((self._folder / TRIES).read_text().split())

    def counted(self, names: Iterable[str], *steps: Callable[[], object], kind: str = "assets") -> Outcome:
        """Plays the steps; how often each condition asked in each."""
        found: Outcome = {name: [] for name in names}
        for step in steps:
            before = self.asked(kind)
            step()
            after = self.asked(kind)
            for name, numbers in found.items():
                numbers.append(after[name] - before[name])
        return found

    def until_quiet(self, *happens: Callable[[], object]) -> Callable[[], None]:
        """A step: this happens, and all that comes of it."""

        def step() -> None:
            for each in happens:
                each()
            self.settle()

        return step


def edit(file: Path, **values: object) -> None:
    """Gives constants of a module other values."""
    text = file.read_text()
    for name, value in values.items():
        text, found = re.subn(rf"^{name} = .*$", f"{name} = {value!r}", text, flags=re.MULTILINE)
        assert found == 1
    file.write_text(text)


@pytest.fixture(scope="module")
def platform(module_home: Home, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    folder, here = tmp_path_factory.mktemp("session"), Path(__file__).parent
    zone = zone_where_it_is_noon()
    files = {name: folder / name / "location.py" for name in (UPSTREAM, DOWNSTREAM)}
    for name, file in files.items():
        file.parent.mkdir()
        shutil.copyfile(here / f"session_{name}.py", file)
        edit(file, ZONE=zone)
    variables = {
        FOLDER_VARIABLE: str(folder),
        "PYTHONPATH": str(here),
        "DAGSTER_EVENT_LOG_CONSUMER_DAEMON_INTERVAL_SECONDS": "1",
    }
    with Processes(module_home, files, variables) as processes:
        yield Session(processes, files, folder, lanes(zone))


@pytest.fixture
def session(platform: Session) -> Iterator[Session]:
    yield platform
    platform.recover()


def test_a_cold_start(session: Session) -> None:
    assert {name: [session.first[name]] for name in EVERY} == table("cold_start", EVERY)


def test_a_new_asset_in_a_running_platform(session: Session) -> None:
    appears = session.until_quiet(lambda: session.deploy(NEWCOMERS=True))
    assert session.counted(EVERY, appears, kind="newcomers") == table("new_asset", EVERY)


def test_a_code_change(session: Session) -> None:
    changes = session.until_quiet(lambda: session.deploy(CODE="2"))
    assert session.counted(EVERY, changes) == table("code_change", EVERY)


def test_a_reload_of_the_location(session: Session) -> None:
    reloads = session.until_quiet(session.deploy)
    changes_and_reloads = session.until_quiet(lambda: session.change(EVERY), session.deploy)
    assert session.counted(EVERY, reloads, changes_and_reloads) == table("reload", EVERY)


def test_an_update_while_the_asset_is_built(session: Session) -> None:
    def is_being_built() -> None:
        before = session.tries()
        session.change(FOLLOWERS)
        session.look()
        session.wait_until(lambda: session.tries() != before)

    def changes_thrice() -> None:
        for _ in range(3):
            session.change(FOLLOWERS)
            session.look()

    session.hold()
    assert session.counted(FOLLOWERS, is_being_built) == {name: [1] for name in FOLLOWERS}
    steps = (changes_thrice, session.until_quiet(session.release))
    assert session.counted(FOLLOWERS, *steps) == table("changes_while_built", FOLLOWERS)


def test_a_failure(session: Session) -> None:
    before = session.tries()
    session.break_builds()
    fails = session.until_quiet(lambda: session.change(FOLLOWERS))
    assert session.counted(FOLLOWERS, fails) == {name: cell[:1] for name, cell in table("broken", FOLLOWERS).items()}
    # One request, and the retries that the sensor's tag grants: the week of the table passes without another one.
    assert session.tries() - before == Counter(dict.fromkeys(FOLLOWERS, 3))
    session.release()
    repaired = session.until_quiet(lambda: session.change(FOLLOWERS))
    assert session.counted(FOLLOWERS, repaired) == {name: cell[1:] for name, cell in table("broken", FOLLOWERS).items()}
    assert session.tries() - before == Counter(dict.fromkeys(FOLLOWERS, 4))


def test_a_blocking_check_of_another_location(session: Session) -> None:
    red = session.until_quiet(lambda: session.change(FOLLOWERS, passes=False))
    green = session.until_quiet(lambda: [session.check(name, passes=True) for name in FOLLOWERS])
    assert session.counted(FOLLOWERS, red, green) == table("blocking_check", FOLLOWERS)


def test_a_parent_that_another_location_builds(session: Session) -> None:
    by_its_condition = [name for name in EVERY if session.lanes[name].of_input is None]

    def is_observed() -> None:
        for lane in session.lanes.values():
            session.instance.report_runless_asset_event(dg.AssetObservation(lane.input))

    def is_built() -> None:
        session.instance.report_runless_asset_event(dg.AssetMaterialization(SOURCE))
        session.change(set(EVERY) - set(by_its_condition))

    played = session.counted(EVERY, session.until_quiet(is_observed), session.until_quiet(is_built))
    assert played == table("observed", EVERY)
    for name in by_its_condition:
        newest = session.instance.get_latest_materialization_event(session.lanes[name].input)
        run = session.instance.get_run_by_id(newest.run_id) if newest else None
        assert run is not None
        assert run.tags["platform/location"] == UPSTREAM
