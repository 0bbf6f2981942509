"""`platform backfill` against a real daemon's loops: what it says, starts and refuses."""

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import dagster as dg
import pytest

from platform_shared.backfills import launching
from platform_shared.backfills.launching import Progress
from platform_shared.backfills.planning import plan
from platform_shared.cli.commands import backfill
from platform_shared.cli.main import main
from platform_shared.ingestion.tags import FEED_TAG
from platform_shared.testing.daemon import DaemonHarness
from platform_shared.testing.graphql_server import graphql_server
from platform_shared.webserver import WEBSERVER_VARIABLE, WebserverError
from platform_shared.why.questions import Webserver

DAYS = dg.DailyPartitionsDefinition("2026-03-01")
WEEKS = dg.WeeklyPartitionsDefinition("2026-02-23", day_offset=1)
DEPARTMENTS = dg.StaticPartitionsDefinition(["BAKERY", "DELI"])
BY_DEPARTMENT = dg.MultiPartitionsDefinition({"date": DAYS, "department": DEPARTMENTS})
NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)
BROKEN: set[str] = set()

pytestmark = pytest.mark.filterwarnings("ignore::dagster.BetaWarning")


@dg.asset(key=["marts", "daily"], partitions_def=DAYS, backfill_policy=dg.BackfillPolicy.single_run())
def daily() -> None: ...


@dg.asset(key=["marts", "weekly"], partitions_def=WEEKS)
def weekly(context: dg.AssetExecutionContext) -> None:
    if context.partition_key in BROKEN:
        raise ValueError("the scales are broken")


@dg.asset(key=["marts", "by_department"], partitions_def=BY_DEPARTMENT, backfill_policy=dg.BackfillPolicy.single_run())
def by_department() -> None: ...


@dg.asset(
    key=["marts", "stores"],
    partitions_def=dg.DynamicPartitionsDefinition(name="stores"),
    deps=[dg.AssetDep(daily, partition_mapping=dg.AllPartitionMapping())],
    backfill_policy=dg.BackfillPolicy.single_run(),
)
def stores() -> None: ...


ORDER_LINES = dg.AssetSpec(["raw", "order_lines"], partitions_def=DAYS, tags={FEED_TAG: "order_lines"})


@pytest.fixture
def platform(daemon_harness: Callable[..., DaemonHarness], monkeypatch: pytest.MonkeyPatch) -> Iterator[DaemonHarness]:
    definitions = dg.Definitions([daily, weekly, by_department, stores, ORDER_LINES], executor=dg.in_process_executor)
    harness = daemon_harness({"analytics": definitions}, NOW)
    with graphql_server(harness) as url:
        monkeypatch.setenv(WEBSERVER_VARIABLE, url)
        yield harness


@pytest.fixture
def working(platform: DaemonHarness, monkeypatch: pytest.MonkeyPatch) -> DaemonHarness:
    """The daemon works whenever the command waits."""

    def work(ask: launching.Ask, id_: str, pause: Callable[[], object]) -> int:
        def go_on() -> None:
            platform.tick_backfills()
            platform.execute_runs(may_fail=True)
            platform.tick_retries(may_fail=True)

        return follow(ask, id_, go_on)

    follow = backfill.follow
    monkeypatch.setattr(backfill, "follow", work)
    return platform


def test_it_builds_what_it_announced_and_says_how_far_it_is(
    working: DaemonHarness, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["backfill", "all", "--from", "2026-03-03", "--to", "2026-03-09"]) == 0
    told = capsys.readouterr().out
    assert "marts/daily              7 partitions  2026-03-03 to 2026-03-09  in 1 run\n" in told
    assert "marts/weekly             2 partitions  2026-03-02 to 2026-03-09  in 2 runs\n" in told
    assert "marts/by_department     14 partitions  2026-03-03|BAKERY to 2026-03-09|DELI  in 2 runs\n" in told
    assert "raw/order_lines" not in told
    assert "0 of 23 built" in told
    assert "23 of 23 built; done" in told
    assert working.materialized(dg.AssetKey(["marts", "daily"])) == [f"2026-03-0{day}" for day in range(3, 10)]
    assert sorted(working.materialized(dg.AssetKey(["marts", "weekly"]))) == ["2026-03-02", "2026-03-09"]
    assert {run.tags["dagster/priority"] for run in working.runs()} == {"-10"}


def test_many_assets_are_one_backfill_whatever_their_names(working: DaemonHarness) -> None:
    assets = [
        "marts/daily",
        "marts/weekly",
        "marts/by_department",
        "group:default",
        "marts/by_department",
        "marts/daily",
        "marts/weekly",
    ]
    assert main(["backfill", *assets, "--from", "2026-03-03", "--to", "2026-03-03"]) == 0
    assert len(working.backfills()) == 1


def test_dynamic_partitions_are_built_after_what_they_are_made_of(
    working: DaemonHarness, capsys: pytest.CaptureFixture[str]
) -> None:
    working.instance.add_dynamic_partitions("stores", ["31", "367", "406"])
    assert main(["backfill", "group:default", "--from", "2026-03-03", "--to", "2026-03-04"]) == 0
    told = capsys.readouterr().out
    assert "After it, in a backfill of its own, if you stay: marts/stores" in told
    assert told.splitlines()[-1] == "3 of 3 built; done"
    first, second = reversed(working.backfills())
    assert {*first.asset_selection} == {daily.key, weekly.key, by_department.key}
    assert second.asset_selection == [stores.key]
    assert working.runs()[-1].asset_selection == {stores.key}
    assert sorted(working.materialized(stores.key)) == ["31", "367", "406"]
    assert main(["backfill", "marts/stores", "--from", "367", "--to", "406"]) == 0
    assert sorted(working.materialized(stores.key)) == ["31", "367", "367", "406", "406"]


def test_what_is_made_of_what_failed_is_not_started(
    working: DaemonHarness, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{__name__}.BROKEN", {"2026-03-02"})
    working.instance.add_dynamic_partitions("stores", ["31"])
    assert main(["backfill", "all", "--from", "2026-03-03", "--to", "2026-03-03"]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "Not started: marts/stores"
    assert len(working.backfills()) == 1


def test_what_failed_is_counted_and_is_the_exit_code(
    working: DaemonHarness, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{__name__}.BROKEN", {"2026-03-02"})
    assert main(["backfill", "marts/weekly", "--from", "2026-03-02", "--to", "2026-03-15"]) == 1
    last = capsys.readouterr().out.splitlines()[-1]
    assert "1 of 2 built; 1 of marts/weekly failed (`platform why marts/weekly` says why)" in last
    assert "completed failed" in last
    assert [run.status.value for run in working.runs()].count("FAILURE") == 3


def test_a_preview_starts_nothing(platform: DaemonHarness, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["backfill", "marts/daily", "--from", "2026-03-03", "--to", "2026-03-04", "--preview"]) == 0
    assert "2 partitions  2026-03-03 to 2026-03-04  in 1 run" in capsys.readouterr().out
    assert platform.backfills() == []


def test_a_second_one_of_the_same_asset_is_refused_while_the_first_is_at_work(
    platform: DaemonHarness, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = os.environ[WEBSERVER_VARIABLE]
    ask = Webserver(url)
    parts = plan(launching.assets(ask), ["marts/daily"], "2026-03-03", "2026-03-04")
    # As the web page launches one.
    monkeypatch.setattr(launching, "_PRIORITY", {"key": "user", "value": "ann"})
    id_ = launching.launch(ask, parts, "by hand")
    monkeypatch.undo()
    monkeypatch.setenv(WEBSERVER_VARIABLE, url)
    assert main(["backfill", "all", "--from", "2026-03-05", "--to", "2026-03-06"]) == 1
    assert f"Backfill {id_} is at work on marts/daily" in capsys.readouterr().err
    assert main(["backfill", "marts/weekly", "--from", "2026-03-02", "--to", "2026-03-02", "--preview"]) == 0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["marts/dayly", "--from", "2026-03-03", "--to", "2026-03-03"], "Did you mean marts/daily"),
        (["marts/daily", "--from", "2026-04-03", "--to", "2026-04-04"], "it has 2026-03-01 to 2026-03-19"),
        (["raw/order_lines", "--from", "2026-03-03", "--to", "2026-03-03"], "platform replay --feed order_lines"),
    ],
)
def test_a_bad_range_is_refused_before_anything_starts(
    platform: DaemonHarness, capsys: pytest.CaptureFixture[str], arguments: list[str], told: str
) -> None:
    assert main(["backfill", *arguments]) == 1
    assert told in capsys.readouterr().err
    assert platform.backfills() == []


def test_without_a_daemon_it_says_what_to_start(
    platform_home: object, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(WEBSERVER_VARIABLE, raising=False)
    assert main(["backfill", "marts/daily", "--from", "2026-03-03", "--to", "2026-03-03"]) == 1
    assert "make dev" in capsys.readouterr().err


def state(**changed: object) -> Progress:
    known = {"status": "REQUESTED", "targeted": 7, "built": 2, "under_way": 0, "failed": {}, "queued": 0}
    return Progress(**{**known, "daemon_seen_at": 1000.0, **changed})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("progress", "told"),
    [
        (state(under_way=3, queued=2), "2 of 7 built; 3 under way; 2 runs wait in the queue"),
        (state(daemon_seen_at=800.0), "2 of 7 built; no daemon works on backfills"),
        (state(daemon_seen_at=None), "no daemon works on backfills: is `make dev` (or dagster-daemon) running?"),
        (state(status="CANCELED"), "2 of 7 built; canceled"),
    ],
)
def test_it_says_what_it_waits_for(progress: Progress, told: str) -> None:
    assert told in backfill.how_far(progress, 1001.0)


def test_a_webserver_that_is_restarted_ends_nothing(
    platform: DaemonHarness, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter(
        [WebserverError("gone"), state(), WebserverError("gone"), state(status="COMPLETED_SUCCESS", built=7)]
    )

    def progress(ask: launching.Ask, id_: str) -> Progress:
        answer = next(answers)
        if isinstance(answer, WebserverError):
            raise answer
        return answer

    monkeypatch.setattr(launching, "progress", progress)
    assert backfill.follow(lambda *_: {}, "abc", pause=lambda: None) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "7 of 7 built; done"


def test_a_webserver_that_stays_away_is_told_and_the_backfill_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def progress(ask: launching.Ask, id_: str) -> Progress:
        raise WebserverError("No answer.")

    monkeypatch.setattr(launching, "progress", progress)
    with pytest.raises(WebserverError, match="Backfill abc goes on without it"):
        backfill.follow(lambda *_: {}, "abc", pause=lambda: None)
