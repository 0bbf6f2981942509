"""What a backfill does to the queue, under the instance's own settings: how many runs it is, how many go on at once,
and who comes next."""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import dagster as dg
import pytest

from platform_shared.backfills import launching
from platform_shared.backfills.planning import plan
from platform_shared.testing.daemon import DaemonHarness
from platform_shared.testing.graphql_server import graphql_server
from platform_shared.why.questions import Webserver

DAYS = dg.DailyPartitionsDefinition("2025-01-01")
NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
YEAR = [*DAYS.get_partition_keys(current_time=NOW)[:364]]
AT_ONCE = 2
"""Runs of backfills: deploy/instance/local.yaml."""
BUILT: list[list[str]] = []

pytestmark = pytest.mark.filterwarnings("ignore::dagster.BetaWarning")


def daily(name: str, policy: dg.BackfillPolicy) -> dg.AssetsDefinition:
    @dg.asset(name=name, partitions_def=DAYS, backfill_policy=policy)
    def built(context: dg.AssetExecutionContext) -> None:
        BUILT.append(list(context.partition_keys))

    return built


ASSETS = [
    daily("at_once", dg.BackfillPolicy.single_run()),
    daily("by_thirty", dg.BackfillPolicy.multi_run(30)),
    daily("one_by_one", dg.BackfillPolicy.multi_run(1)),
]


@dg.asset
def todays_report() -> None: ...


@pytest.fixture
def daemon(daemon_harness: Callable[..., DaemonHarness], monkeypatch: pytest.MonkeyPatch) -> DaemonHarness:
    monkeypatch.setattr(f"{__name__}.BUILT", [])
    definitions = dg.Definitions([*ASSETS, todays_report], executor=dg.in_process_executor)
    return daemon_harness({"batch": definitions}, NOW)


@pytest.fixture
def webserver(daemon: DaemonHarness) -> Iterator[Webserver]:
    with graphql_server(daemon) as url:
        yield Webserver(url)


def make_backfill(webserver: Webserver, asset: str, days: list[str]) -> str:
    """What `make backfill` asks for."""
    return launching.launch(webserver, plan(launching.assets(webserver), [asset], days[0], days[-1]), asset)


def of_backfill(daemon: DaemonHarness, ids: list[str]) -> list[bool]:
    return ["dagster/backfill" in run.tags for run in daemon.runs() if run.run_id in ids]


@pytest.mark.parametrize(("asset", "sizes"), [("at_once", [364]), ("by_thirty", [30] * 12 + [4])])
def test_a_year_is_as_many_runs_as_its_policy_says_and_each_day_is_in_one(
    daemon: DaemonHarness, webserver: Webserver, asset: str, sizes: list[int]
) -> None:
    make_backfill(webserver, asset, YEAR)
    daemon.tick_backfills()
    assert len(daemon.runs()) == len(sizes)
    daemon.execute_runs()
    assert sorted(map(len, BUILT), reverse=True) == sizes
    assert sorted(day for run in BUILT for day in run) == YEAR
    assert Counter(daemon.materialized(dg.AssetKey(asset))) == Counter(YEAR)
    (backfill,) = daemon.tick_backfills()
    assert backfill.status.value == "COMPLETED_SUCCESS"


def test_two_runs_of_backfills_go_on_at_once_however_many_there_are(
    daemon: DaemonHarness, webserver: Webserver
) -> None:
    make_backfill(webserver, "one_by_one", YEAR[:10])
    make_backfill(webserver, "by_thirty", YEAR[:90])
    daemon.tick_backfills()
    assert len(daemon.runs(dg.DagsterRunStatus.QUEUED)) == 13
    for _ in range(13):
        held = daemon.dequeue()
        assert len(held) <= AT_ONCE
        assert len(daemon.dequeue()) == len(held), "another look takes no more"
        daemon.execute(held[0])
    assert len(BUILT) == 13
    assert daemon.dequeue() == []


def test_todays_run_starts_next_while_a_backfill_fills_the_queue(daemon: DaemonHarness, webserver: Webserver) -> None:
    make_backfill(webserver, "one_by_one", YEAR[:20])
    daemon.tick_backfills()
    backfilling = daemon.dequeue()
    assert of_backfill(daemon, backfilling) == [True] * AT_ONCE
    today = daemon.launch(todays_report.key)
    assert set(daemon.dequeue()) == {*backfilling, today}, "it takes a place that the backfill may not have"


def test_todays_run_is_next_also_if_all_places_are_taken(daemon: DaemonHarness, webserver: Webserver) -> None:
    make_backfill(webserver, "one_by_one", YEAR[:20])
    daemon.tick_backfills()
    (first, _) = daemon.dequeue()
    # One location has three places of the four.
    daemon.launch(todays_report.key, tags={"platform/location": "batch"})
    daemon.launch(todays_report.key)
    assert len(daemon.dequeue()) == 4
    today = daemon.launch(todays_report.key)
    assert len(daemon.dequeue()) == 4
    daemon.execute(first)
    held = daemon.dequeue()
    assert today in held
    assert of_backfill(daemon, held).count(True) == 1, "the place of the backfill's run is today's now"
