"""What is said of assets whose conditions the real daemon has looked at."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import dagster as dg
import pytest

from platform_shared.cli.main import main
from platform_shared.tags import LOCATION_TAG
from platform_shared.testing.graphql_server import graphql_server
from platform_shared.webserver import WEBSERVER_VARIABLE

TILLS, WEATHER, TAKINGS = (
    dg.AssetKey(["raw", "tills"]),
    dg.AssetKey(["raw", "weather"]),
    dg.AssetKey(["marts", "takings"]),
)
DAYS = dg.DailyPartitionsDefinition("2026-03-01")
AC = dg.AutomationCondition
WANTED = (
    AC.any_deps_match(AC.newly_updated()).since(AC.newly_requested()).with_label("a parent changed")
    | (AC.missing().newly_true().since(AC.newly_requested()) & AC.missing()).with_label("missing")
).with_label("wanted")
CHECKED = ~AC.any_deps_match(~AC.all_checks_match(AC.check_passed(), blocking_only=True) & ~AC.will_be_requested())
READY = (~AC.any_deps_missing() & ~AC.any_deps_in_progress() & CHECKED).with_label("inputs ready")
FREE = (~AC.in_progress() & ~AC.newly_requested()).with_label("not being built already")
CONDITION = (WANTED & READY & FREE).with_label("when wanted")
"""A condition of the kind that locations use, written here so that its labels are this test's."""

SOUND = {"sums_up": True, "takings": True}


@dg.asset(key=TILLS, owners=["team:shops"], check_specs=[dg.AssetCheckSpec("sums_up", asset=TILLS, blocking=True)])
def tills() -> Iterator[Any]:
    yield dg.MaterializeResult()
    yield dg.AssetCheckResult(passed=SOUND["sums_up"], description="two tills are out by 3.10", check_name="sums_up")


@dg.asset(key=TAKINGS, deps=[TILLS, WEATHER], owners=["team:finance"], automation_condition=CONDITION)
def takings() -> None:
    if not SOUND["takings"]:
        raise ValueError("the ledger is locked\nby the auditor")


@dg.asset(deps=[dg.AssetDep("rain")], partitions_def=DAYS, automation_condition=CONDITION)
def daily() -> None: ...


@dg.asset(key=["marts", "by_hand"], deps=[TAKINGS])
def by_hand() -> None: ...


finance_automation_sensor = dg.AutomationConditionSensorDefinition(
    "finance_automation_sensor",
    target=dg.AssetSelection.all(),
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=5,
)
nightly_schedule = dg.ScheduleDefinition("nightly_schedule", target=[by_hand], cron_schedule="0 3 * * *")


@pytest.fixture
def why(open_why: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Any:
    for name in SOUND:
        monkeypatch.setitem(SOUND, name, True)
    shops = dg.Definitions(
        assets=[tills, dg.AssetSpec(WEATHER, owners=["met@example.com"]), dg.AssetSpec("rain", partitions_def=DAYS)],
        executor=dg.in_process_executor,
    )
    finance = dg.Definitions(
        assets=[takings, daily, by_hand],
        sensors=[finance_automation_sensor],
        schedules=[nightly_schedule],
        executor=dg.in_process_executor,
    )
    found = open_why(shops=shops, finance=finance)
    found.beat()
    return found


def test_a_parent_that_was_never_built_is_named_with_its_owner(why: Any) -> None:
    why.harness.report(TILLS)
    why.harness.tick_automation()
    told = why.report("marts/takings")
    assert told.verdict == "It was not requested. It waits for:"
    (wait,) = told.waits
    assert wait.what == "raw/weather has never been built"
    assert (wait.owners, wait.location) == (("met@example.com",), "shops")
    assert told.hindrances == ()
    said = {line.text: line.said for line in told.looks[0].parts}
    # A part behind the first no was not asked, which is no answer.
    assert (said["inputs ready"], said["not being built already"], said["missing"]) == ("no", "not asked", "yes")


def test_a_failed_blocking_check_of_another_location_is_named_with_its_owner(why: Any) -> None:
    SOUND["sums_up"] = False
    why.harness.report(WEATHER)
    why.harness.launch(TILLS)
    why.harness.execute_runs(may_fail=True)
    why.harness.tick_automation()
    (wait,) = why.report("marts/takings").waits
    assert wait.what == "the check sums_up of raw/tills has not passed"
    assert (wait.owners, wait.location) == (("team:shops",), "shops")
    assert "failed in run" in wait.details[0]
    assert wait.details[1] == "two tills are out by 3.10"
    assert "Its own blocking check sums_up failed" in why.text("raw/tills")
    text = why.text("marts/by_hand")
    assert "  - further up, the blocking check sums_up of raw/tills failed  (owner team:shops, location shops)" in text
    SOUND["sums_up"] = True
    why.harness.launch(TILLS)
    why.harness.execute_runs()
    why.harness.tick_automation()
    told = why.report("marts/takings")
    assert told.verdict.startswith("Its newest recorded evaluation requested it (run ")
    assert told.waits == ()
    assert any(note.startswith("Being built now: run") for note in told.notes)


def test_a_run_that_builds_a_parent_is_named(why: Any) -> None:
    why.harness.report(WEATHER)
    why.harness.report(TILLS)
    run_id = why.harness.launch(TILLS)
    why.harness.tick_automation()
    (wait,) = why.report("marts/takings").waits
    assert wait.what == "a run builds raw/tills now"
    assert wait.details == (f"run {run_id[:8]} (queued)",)


def test_a_failed_run_is_told_with_its_error_and_the_tries_that_are_left(why: Any) -> None:
    SOUND["takings"] = False
    why.harness.report(WEATHER)
    why.harness.launch(TAKINGS, tags={LOCATION_TAG: "finance", "dagster/max_retries": "1"})
    why.harness.execute_runs(may_fail=True)
    (note,) = (note for note in why.report("marts/takings").notes if "failed" in note)
    assert "ValueError: the ledger is locked (the instance tries again (1 of 2 tries used))" in note
    assert why.harness.tick_retries()
    (again,) = (note for note in why.report("marts/takings").notes if "failed" in note)
    assert again == note, "while it is tried again"
    why.harness.execute_runs(may_fail=True)
    (note,) = (note for note in why.report("marts/takings").notes if "failed" in note)
    assert "all 2 tries are used up" in note


def test_what_succeeded_and_is_run_again_has_not_failed(why: Any) -> None:
    why.harness.report(WEATHER)
    run = why.harness.launch(TAKINGS, tags={LOCATION_TAG: "finance"})
    why.harness.execute_runs()
    for parent in (run, "a-run-that-was-deleted"):
        why.harness.launch(TAKINGS, tags={LOCATION_TAG: "finance", "dagster/parent_run_id": parent})
        told = why.report("marts/takings").notes
        assert any(note.startswith("Being built now") for note in told)
        assert not any("failed" in note for note in told)


def test_partitions_are_named_and_one_of_them_can_be_asked_about(why: Any) -> None:
    why.harness.tick_automation()
    (wait,) = why.report("daily").waits
    assert wait.what == "rain has never been built for 2026-03-01, 2026-03-02, 2026-03-03"
    why.harness.report(dg.AssetKey("rain"), "2026-03-02")
    why.harness.tick_automation()
    assert why.report("daily").verdict.startswith("Its newest recorded evaluation requested it")
    assert why.report("daily", "2026-03-02").looks[0].outcome == "requested it"
    told = why.report("daily", "2026-03-03")
    assert [wait.what for wait in told.waits] == ["rain has never been built for 2026-03-03"]
    assert [look.outcome for look in told.looks] == ["did not request it"] * 2


def test_nothing_new_is_told_as_such(why: Any) -> None:
    why.harness.report(WEATHER)
    why.harness.launch(TILLS)
    why.harness.execute_runs()
    why.harness.tick_automation()
    why.harness.execute_runs()
    why.harness.tick_automation()
    why.harness.tick_automation()
    told = why.report("marts/takings")
    assert told.verdict == "It was not requested, because nothing asks for it:"
    (wait,) = told.waits
    assert "no: missing" in wait.details


def test_what_keeps_a_condition_from_being_evaluated(why: Any) -> None:
    def hindrance(asset: str) -> str:
        told = why.report(asset)
        assert told.verdict == "No evaluation yet, because:"
        return str(told.hindrances[0])

    assert "finance_automation_sensor has not looked yet" in hindrance("marts/takings")
    assert "no automation condition. The schedule nightly_schedule asks" in hindrance("marts/by_hand")
    assert "made outside Dagster" in hindrance("raw/weather")
    why.skip = ("marts/takings",)
    assert "DAGSTER_SKIP_DECLARATIVE_AUTOMATION_KEYS names it" in hindrance("marts/takings")
    why.skip = ()
    why.harness.stop("finance_automation_sensor")
    assert "sensor finance_automation_sensor of finance is stopped" in hindrance("marts/takings")
    why.harness.start("finance_automation_sensor")
    why.harness.advance(timedelta(minutes=10))
    assert "The daemon is silent since 2026-03-04 15:00:0" in hindrance("marts/takings")


def test_a_record_is_not_taken_for_the_present_while_the_sensor_is_stopped(why: Any) -> None:
    why.harness.tick_automation()
    why.harness.stop("finance_automation_sensor")
    text = why.text("marts/takings")
    assert text.index("Nothing is evaluated now") < text.index("is stopped") < text.index("It waits for")


def test_without_a_sensor_for_it(open_why: Callable[..., Any]) -> None:
    sensor = dg.AutomationConditionSensorDefinition("other_sensor", target=[by_hand])
    why = open_why(finance=dg.Definitions(assets=[takings, by_hand], sensors=[sensor]))
    why.beat()
    # Dagster adds a sensor for what no other one looks at; it is stopped.
    assert "default_automation_condition_sensor of finance is stopped" in why.text("marts/takings")


def test_the_command_asks_the_webserver(why: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    why.harness.tick_automation()
    with graphql_server(why.harness) as url:
        monkeypatch.setenv(WEBSERVER_VARIABLE, url)
        assert main(["why", "marts/takings"]) == 0
        printed = capsys.readouterr().out
        assert printed.startswith("marts/takings  (owner team:finance, location finance)\n")
        assert "  - raw/weather has never been built  (owner met@example.com, location shops)" in printed
        assert main(["why", "daily", "--partition", "2026-03-02", "--last", "1", "--format", "json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert told["waits"][0]["what"] == "rain has never been built for 2026-03-02"
        assert told["looks"][0]["parts"][0] == {"depth": 0, "said": "no", "text": "when wanted"}
        assert main(["why", "marts/taking"]) == 1
        assert "Did you mean marts/takings?" in capsys.readouterr().err
        assert main(["why", "marts/takings", "--partition", "2026-03-02"]) == 1
        assert "has no partitions" in capsys.readouterr().err
    assert main(["why", "marts/takings"]) == 1
    assert "gave no answer (ConnectionError)" in capsys.readouterr().err
