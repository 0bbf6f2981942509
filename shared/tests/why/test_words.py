"""Facts to words, without a daemon: each kind of part, and each thing that keeps a condition from being looked at."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from platform_shared.why.facts import (
    Check,
    Evaluation,
    Facts,
    FailedRun,
    Instigator,
    Parent,
    Part,
    Said,
    Who,
    ancestors,
    failed_run,
    failed_run_of,
)
from platform_shared.why.reasons import holding_up, silences, similar
from platform_shared.why.words import Report, lines, report, unknown

NOW = datetime(2026, 3, 4, 15, 0, tzinfo=UTC)
ASSET, INPUT = ("marts", "takings"), ("raw", "tills")
SENSOR = Instigator("sensor", "finance_automation_sensor", "finance", True, NOW - timedelta(seconds=4), None)
FACTS = Facts(
    asset=ASSET,
    now=NOW,
    who=Who(ASSET, ("team:finance",), "finance"),
    known=("marts/takings", "marts/daily_sales", "raw/daily_sale"),
    location_errors={},
    condition="on_input_change",
    sensors=(SENSOR,),
    automation_heartbeat=NOW - timedelta(seconds=20),
    parents=(Parent(Who(INPUT, ("team:shops",), "shops"), None, ()),),
)


def part(text: str, said: Said, *children: Part, operator: str = "identity", **attributes: Any) -> Part:
    true, asked = {Said.YES: (1, 1), Said.NO: (0, 1), Said.NOT_ASKED: (0, 0), Said.SOME: (1, 2)}[said]
    known: dict[str, Any] = {"id": text, "label": None, "asset": ASSET, "check": None, "partitioned": False}
    known |= {"true": true, "asked": asked, "children": children, "said": said}
    return Part(text=text, operator=operator, **(known | attributes))


def of_input(said: Said, leaf: Part, check: str | None = None) -> Part:
    """The question of a leaf, put to the input or to its check."""
    return part("raw/tills", said, replace(leaf, asset=INPUT, check=check))


def any_input(said: Said, leaf: Part) -> Part:
    return part("ANY_DEPS_MATCH", said, of_input(said, leaf), operator="or")


def no(part_: Part) -> Part:
    flipped = {Said.YES: Said.NO, Said.NO: Said.YES}.get(part_.said, part_.said)
    return part(f"NOT ({part_.text})", flipped, part_, operator="not")


def all_of(*parts: Part, said: Said = Said.NO, **attributes: Any) -> Part:
    return part("AND", said, *parts, operator="and", **attributes)


def told(condition: Part, facts: Facts = FACTS, requested: int = 0, ago: timedelta = timedelta(hours=3)) -> Report:
    return report(replace(facts, evaluations=(Evaluation("7", NOW - ago, requested, (), condition),)), depth=3)


WANTED = part("wanted", Said.YES, label="wanted", operator="or")
BUILDING = all_of(no(any_input(Said.YES, part("run_in_progress", Said.YES))))


@pytest.mark.parametrize(
    ("condition", "waits"),
    [
        (all_of(WANTED, no(any_input(Said.YES, part("missing", Said.YES)))), "raw/tills has never been built"),
        (BUILDING, "a run builds raw/tills now"),
        (all_of(any_input(Said.NO, part("x", Said.NO))), "not: x (raw/tills)"),
        (
            all_of(part("OR", Said.NO, part("x", Said.NO), operator="or", label="wanted")),
            "nothing under `wanted` is true",
        ),
        (all_of(of_input(Said.NO, part("newly_updated", Said.NO))), "raw/tills has not changed"),
        (all_of(no(part("newly_requested", Said.YES))), "marts/takings was requested in the look before"),
        (all_of(part("odd", Said.NO, label="the moon is full")), "not: the moon is full"),
        (
            all_of(of_input(Said.NO, part("odd", Said.NO, label="the moon is full"))),
            "not: the moon is full (raw/tills)",
        ),
        (all_of(no(part("odd", Said.YES))), "odd"),
        (
            all_of(of_input(Said.NO, part("check_passed", Said.NO), check="sums_up")),
            "the check sums_up of raw/tills has not passed",
        ),
        (all_of(part("SINCE", Said.NO, part("a", Said.NO), part("b", Said.YES), label="changed")), "not: changed"),
    ],
)
def test_what_held_it_up_in_words(condition: Part, waits: str) -> None:
    assert [wait.what for wait in told(condition).waits] == [waits]


def test_a_part_that_was_not_asked_is_no_reason() -> None:
    second = part("second", Said.NOT_ASKED, part("third", Said.NOT_ASKED))
    condition = all_of(part("first", Said.NO), second)
    assert [reason.part.text for reason in holding_up(condition)] == ["first"]
    text = "\n".join(lines(told(condition), NOW))
    assert "no          first" in text
    assert "not asked   second" in text
    assert "third" not in text


def test_a_part_that_only_some_partitions_pass_is_a_reason_where_none_is_a_plain_no() -> None:
    some = part("ready", Said.SOME, label="ready", partitioned=True)
    assert [reason.part.text for reason in holding_up(all_of(WANTED, some, said=Said.SOME))] == ["ready"]
    assert [reason.part.text for reason in holding_up(all_of(some, part("not", Said.NO)))] == ["not"]


def test_what_is_beside_the_point_is_named_only_if_it_stands_alone() -> None:
    unrequested = no(part("will_be_requested", Said.NO))
    both = any_input(Said.YES, all_of(part("missing", Said.YES, asset=INPUT), unrequested, said=Said.YES, asset=INPUT))
    assert [reason.part.text for reason in holding_up(all_of(no(both)))] == ["missing"]
    assert [reason.part.text for reason in holding_up(all_of(part("will_be_requested", Said.NO)))] == [
        "will_be_requested"
    ]


def test_a_condition_that_was_true_is_held_up_by_nothing() -> None:
    assert holding_up(all_of(WANTED, said=Said.YES)) == []
    assert holding_up(part("OR", Said.YES, part("x", Said.NO), operator="or", label="wanted")) == []


def test_the_age_of_the_record_and_that_nothing_changed_since() -> None:
    text = "\n".join(lines(told(all_of(part("odd", Said.NO))), NOW))
    assert "The last look was 4 seconds ago; nothing has changed since the record of 12:00:00 UTC." in text
    assert "2026-03-04 12:00:00 UTC (3 hours ago)  did not request it: not: odd" in text
    fresh = told(all_of(part("odd", Said.NO)), ago=timedelta(seconds=1))
    assert "The last look was 4 seconds ago." in fresh.notes


def test_a_failed_blocking_check_is_told_though_the_condition_does_not_ask_for_it() -> None:
    check = Check("sums_up", "EXECUTION_FAILED", "0123456789", NOW, "two tills\nare out")
    passed = Check("is_whole", "SUCCEEDED", "0123456789", NOW)
    parent = replace(FACTS.parents[0], checks=(passed, check))
    (wait,) = told(all_of(part("x", Said.YES), said=Said.YES), replace(FACTS, upstream=(parent,)), requested=1).waits
    assert wait.what == "the blocking check sums_up of raw/tills failed"
    assert wait.owners == ("team:shops",)
    assert wait.details == ("execution failed in run 01234567 at 2026-03-04 15:00:00 UTC", "two tills")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"condition": None}, "has no automation condition, and no sensor or schedule asks for it"),
        (
            {"condition": None, "others": (replace(SENSOR, name="tills_sensor", error="no till"),)},
            "The sensor tills_sensor asks for it (last tick 4 seconds ago, which failed: no till).",
        ),
        (
            {"condition": None, "others": (replace(SENSOR, kind="schedule", running=False),)},
            "The schedule finance_automation_sensor asks for it (it is stopped).",
        ),
        ({"condition": None, "materializable": False}, "made outside Dagster"),
        ({"skipped": True}, "DAGSTER_SKIP_DECLARATIVE_AUTOMATION_KEYS"),
        ({"location_errors": {"finance": "SyntaxError: x\nmore"}}, "Location finance does not load: SyntaxError: x M"),
        ({"sensors": ()}, "No automation sensor of its location"),
        ({"sensors": (replace(SENSOR, running=False),)}, "is stopped"),
        ({"sensors": (replace(SENSOR, error="no route to host"),)}, "failed: no route to host"),
        ({"automation_heartbeat": None}, "The daemon has never run"),
        ({"automation_heartbeat": NOW - timedelta(minutes=4)}, "The daemon is silent since 2026-03-04 14:56:00 UTC"),
        ({"sensors": (replace(SENSOR, looked=None),)}, "has not looked yet"),
        ({}, "nothing has changed in 30 days"),
    ],
)
def test_no_evaluation_because(change: Mapping[str, Any], said: str) -> None:
    without = report(replace(FACTS, **change), depth=3)
    assert without.verdict == "No evaluation yet, because:"
    assert said in without.hindrances[0]


def test_an_asset_that_is_looked_at_is_hindered_by_nothing() -> None:
    assert silences(FACTS) == []
    assert told(all_of(part("odd", Said.NO))).hindrances == ()


def test_an_error_of_another_location_hinders_nothing() -> None:
    assert silences(replace(FACTS, location_errors={"shops": "x"})) == []


def test_a_name_that_is_not_known_is_answered_with_similar_ones() -> None:
    assert similar(("marts", "takngs"), FACTS.known) == ["marts/takings"]
    assert similar(("daily_sales",), FACTS.known) == ["raw/daily_sale", "marts/daily_sales"]
    assert similar(("nothing", "like", "it"), FACTS.known) == []
    lost = replace(FACTS, who=None, location_errors={"shops": "NameError: x"})
    assert unknown(lost, []) == (
        "No loaded location defines marts/takings. Location shops does not load, and may define it: NameError: x"
    )


def test_the_tries_of_a_failed_run() -> None:
    tags = {"dagster/max_retries": "2", "dagster/retry_number": "2"}
    run = {
        "runId": "0123456789",
        "endTime": NOW.timestamp(),
        "creationTime": 0,
        "tags": [{"key": key, "value": value} for key, value in tags.items()],
        "eventConnection": {
            "events": [
                {"__typename": "RunStartEvent"},
                {
                    "__typename": "ExecutionStepFailureEvent",
                    "error": {"message": "outer", "causes": [{"message": "a\nb"}]},
                },
                {"__typename": "RunFailureEvent", "message": "Steps failed", "error": None},
            ]
        },
    }
    assert failed_run(run) == FailedRun("0123456789", NOW, "a", 3, 3, False)
    assert (
        failed_run({**run, "eventConnection": {"events": run["eventConnection"]["events"][2:]}}).error == "Steps failed"
    )  # type: ignore[index]
    dbt = "The command failed.\n\nErrors parsed from dbt logs:\n\nFailure in test unique_id\nfurther"
    failure = {"__typename": "ExecutionStepFailureEvent", "error": {"message": dbt, "causes": []}}
    assert failed_run({**run, "eventConnection": {"events": [failure]}}).error == "Failure in test unique_id"
    assert failed_run({**run, "tags": [{"key": "dagster/will_retry", "value": "true"}]}).will_retry


@pytest.mark.parametrize(
    ("status", "built_by", "failed"), [("FAILURE", "b", "a"), ("FAILURE", "a", None), ("SUCCESS", "b", None)]
)
def test_a_run_that_failed_after_it_had_built_the_asset_is_no_failure_of_it(
    status: str, built_by: str, failed: str | None
) -> None:
    node = {"assetMaterializations": [{"runId": built_by}]}
    assert failed_run_of(node, {"runId": "a", "status": status}) == failed
    assert failed_run_of(node, None) is None


def test_what_fails_further_up_is_named_with_its_owner() -> None:
    check = Check("sums_up", "FAILED", None, NOW)
    far = Parent(Who(("landing", "tills"), ("team:shops",), "shops"), None, (check,), failed_run="0123456789")
    waits = told(all_of(part("odd", Said.NO)), replace(FACTS, upstream=(FACTS.parents[0], far))).waits
    assert [wait.what for wait in waits] == [
        "not: odd",
        "further up, the blocking check sums_up of landing/tills failed",
        "further up, the last run of landing/tills failed (run 01234567)",
    ]
    assert {wait.owners for wait in waits[1:]} == {("team:shops",)}


def test_all_that_an_asset_comes_from_once_each_and_the_nearest_first() -> None:
    edges = {"a": ["b", "c"], "b": ["d"], "c": ["d", "a"], "d": []}
    nodes = [{"assetKey": {"path": [k]}, "dependencyKeys": [{"path": [v]} for v in vs]} for k, vs in edges.items()]
    assert ancestors(("a",), {"assetNodes": nodes}) == [("b",), ("c",), ("d",)]
    assert ancestors(("d",), {"assetNodes": nodes}) == []


def test_freshness_stands_in_the_notes() -> None:
    facts = replace(FACTS, policy="built at least every 50 hours", freshness="DEGRADED")
    assert "Freshness: too old; it is to be built at least every 50 hours." in told(all_of(), facts).notes
