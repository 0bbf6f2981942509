"""Segments between their schedules: what a look asks for, from a place in each asset, and nothing twice."""

import json
from datetime import timedelta

import dagster as dg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch.defs import household_segments as defs
from batch.defs.segment_refresh import REST
from batch.household_segments import score, train
from batch.segment_refresh import Route, has_drifted, plan
from platform_shared.contracts import HOUSEHOLD_SPEND
from platform_shared.sensors import Places
from platform_shared.testing.daemon import DaemonError

MODEL, SEGMENTS = defs.household_segment_model.key, defs.household_segments.key
SENSOR = "household_segments_refresh_sensor"
ROUTES = {"model": Route.SCORE, "households": Route.RETRAIN}


@pytest.mark.parametrize(
    ("learned_from", "households", "drifted"),
    [(1000, 1249, False), (1000, 1250, True), (1000, 750, True), (1000, 751, False), (0, 1, True), (1000, 0, False)],
)
def test_a_quarter_more_or_fewer_households_are_others(learned_from, households, drifted):
    assert has_drifted(learned_from, households) == drifted


CHANGES = st.dictionaries(st.sampled_from([*ROUTES]), st.booleans())


@given(st.lists(st.tuples(CHANGES, st.sets(st.sampled_from([*ROUTES]))), max_size=12))
def test_any_changes_are_answered_once_with_the_greatest_route_of_a_look(looks):
    """Each look: what changes, with whether that calls for a run, and what cannot be looked at."""
    newest, places = {"model": None, "households": None}, Places()
    waiting = {}
    for record, (changes, away) in enumerate(looks, start=1):
        waiting |= changes
        newest |= dict.fromkeys(changes, record)
        places = Places.of(places.cursor())
        assert places.changed(newest).keys() == waiting.keys()
        calls = {name: waiting[name] for name in places.changed(newest) if name not in away}
        found = plan(places, newest, calls, ROUTES)
        called = {name for name, calling in calls.items() if calling}
        expected = Route.RETRAIN if "households" in called else Route.SCORE if called else None
        assert found.route == expected
        places = found.places
        waiting = {name: calling for name, calling in waiting.items() if name in away}


def look(shop, **options):
    (tick,) = shop.daemon.tick_sensors(SENSOR, **options)
    return tick


def asked(tick):
    return {key for key, _ in tick.targets}


def newest(shop, key):
    return shop.daemon.materializations(key)[-1]


@pytest.fixture
def few(shop):
    """A platform whose model has learned from the first three hundred households."""
    shop.change("CREATE TABLE lake.marts.later AS FROM lake.marts.household_spend WHERE household_id > 300")
    shop.change("DELETE FROM lake.marts.household_spend WHERE household_id > 300")
    shop.arrives(HOUSEHOLD_SPEND)
    assert "come by themselves" in look(shop).skip_reason
    for key in (MODEL, SEGMENTS):
        shop.daemon.launch(key)
        shop.daemon.execute_runs()
    assert "Nothing calls for a run" in look(shop).skip_reason
    return shop


def more_come(shop, share=1):
    shop.change(f"INSERT INTO lake.marts.household_spend FROM lake.marts.later WHERE household_id % {share} = 0")
    shop.arrives(HOUSEHOLD_SPEND)


def test_many_more_households_train_the_model_and_are_told_once(few, monkeypatch):
    def training(*arguments):
        few.daemon.advance(timedelta(seconds=1))
        return train(*arguments)

    monkeypatch.setattr(defs, "train", training)
    more_come(few)
    assert HOUSEHOLD_SPEND.key.to_user_string() in look(few).skip_reason, "the model is left alone for a while"
    few.daemon.advance(REST)
    tick = look(few)
    assert asked(tick) == {MODEL, SEGMENTS}
    assert look(few).skip_reason == "Nothing new."
    few.daemon.execute_runs()
    assert "Nothing calls for a run" in look(few).skip_reason
    few.daemon.advance(2 * REST)
    assert look(few).skip_reason == "Nothing new."
    assert len(few.daemon.materialized(MODEL)) == len(few.daemon.materialized(SEGMENTS)) == 2
    learned = newest(few, MODEL).asset_materialization.metadata["households"].value
    assert newest(few, SEGMENTS).asset_materialization.metadata["dagster/row_count"].value == learned > 1_000


def test_a_few_more_households_are_left_to_the_schedules(few):
    more_come(few, share=100)
    few.daemon.advance(REST)
    assert "Nothing calls for a run" in look(few).skip_reason
    assert look(few).skip_reason == "Nothing new."


def test_a_model_that_a_person_trains_tells_the_segments(few):
    few.daemon.launch(MODEL)
    few.daemon.execute_runs()
    tick = look(few)
    assert asked(tick) == {SEGMENTS}
    (run,) = few.daemon.execute_runs()
    assert run.run_config["ops"].keys() == {"reports__household_segments"}
    assert "Nothing" in look(few).skip_reason
    assert (len(few.daemon.materialized(MODEL)), len(few.daemon.materialized(SEGMENTS))) == (2, 2)


def test_segments_that_were_told_by_the_model_before_are_told_again(few, monkeypatch):
    """A run has read its model when another one comes, and ends after that."""

    def scoring(*arguments):
        few.daemon.advance(timedelta(seconds=1))
        few.daemon.report(MODEL)
        return score(*arguments)

    monkeypatch.setattr(defs, "score", scoring)
    few.daemon.launch(SEGMENTS)
    few.daemon.execute_runs()
    monkeypatch.undo()
    assert newest(few, SEGMENTS).storage_id > newest(few, MODEL).storage_id
    assert asked(look(few)) == {SEGMENTS}


def test_a_table_that_is_away_holds_up_no_other(few):
    """The households cannot be read: a new model is served all the same, and they keep their place."""
    few.daemon.advance(REST)
    few.change("ALTER TABLE lake.marts.household_spend RENAME TO elsewhere")
    few.arrives(HOUSEHOLD_SPEND)
    before = json.loads(few.daemon.ticks(SENSOR)[-1].cursor)
    with pytest.raises(DaemonError, match="No look succeeded: marts/household_spend"):
        look(few)
    few.daemon.report(MODEL)
    few.daemon.advance(REST)
    tick = look(few)
    assert asked(tick) == {SEGMENTS}
    after = json.loads(tick.cursor)
    assert [name for name in after if after[name] != before[name]] == [MODEL.to_user_string()]
    few.change("ALTER TABLE lake.marts.elsewhere RENAME TO household_spend")


def test_training_that_fails_is_not_asked_for_all_the_time(few):
    more_come(few)
    few.daemon.advance(REST)
    (run_id,) = look(few).run_ids
    run = few.daemon.instance.get_run_by_id(run_id)
    few.daemon.instance.report_run_failed(run)
    few.arrives(HOUSEHOLD_SPEND)
    assert look(few).run_ids == ()
    few.daemon.advance(REST)
    assert asked(look(few)) == {MODEL, SEGMENTS}


@pytest.mark.parametrize("first", ["schedule", "sensor"])
def test_the_schedule_and_the_sensor_ask_for_no_run_while_the_other_has_one(few, first):
    more_come(few)
    few.daemon.advance(timedelta(hours=2, seconds=1))  # noon in New York
    ask = [lambda: few.daemon.tick_schedules("household_segments_four_hourly_schedule")[0], lambda: look(few)]
    before, after = [each() for each in (ask if first == "schedule" else reversed(ask))]
    assert before.run_ids
    assert "waiting already (skip)" in after.skip_reason
    assert len(few.daemon.runs(dg.DagsterRunStatus.QUEUED)) == 1
