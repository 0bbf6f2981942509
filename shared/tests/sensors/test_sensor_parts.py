"""Every event in order, changes that gather, and a place in each asset: what sensors are made of."""

from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from platform_shared.sensors import (
    Gathered,
    Places,
    Threshold,
    look_at_each,
    materializations_after,
    newest_materializations,
)

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
GATE = Threshold(amount=10, max_wait=timedelta(minutes=5))
ORDERS, USERS = dg.AssetKey("orders"), dg.AssetKey("users")


@given(st.lists(st.sampled_from([ORDERS, USERS]), max_size=12), st.integers(1, 5))
def test_pages_give_every_event_once_in_order(events, limit):
    with dg.DagsterInstance.ephemeral() as instance:
        for number, key in enumerate(events):
            instance.report_runless_asset_event(dg.AssetMaterialization(key, metadata={"number": number}))
        seen, after = [], None
        while page := materializations_after(instance, ORDERS, after, limit):
            assert len(page) <= limit
            seen += [record.asset_materialization.metadata["number"].value for record in page]
            after = page[-1].storage_id
        assert seen == [number for number, key in enumerate(events) if key == ORDERS]


@pytest.mark.parametrize(
    ("amounts", "minutes", "is_open"),
    [([], 60, False), ([9], 4, False), ([9], 5, True), ([4, 6], 0, True), ([0], 5, True), ([10], 0, True)],
)
def test_the_gate_opens_when_it_is_enough_or_has_waited(amounts, minutes, is_open):
    gathered = Gathered()
    for number, amount in enumerate(amounts):
        gathered = gathered.add(number, amount, NOW + timedelta(minutes=number))
    why = gathered.why_closed(GATE, NOW + timedelta(minutes=minutes))
    assert (why is None) == is_open


def test_the_wait_begins_with_the_first_change_and_ends_with_the_gate():
    gathered = Gathered().add(1, 3, NOW).add(2, 3, NOW + timedelta(minutes=4))
    assert gathered.since == NOW
    assert gathered.why_closed(GATE, NOW + timedelta(minutes=4)) == "6 of 10; waits 0:01:00 more at most."
    assert gathered.emptied() == Gathered(after=2)
    assert gathered.emptied().why_closed(GATE, NOW + timedelta(days=1)) == "Nothing new."


@given(st.lists(st.tuples(st.integers(0, 20), st.booleans()), max_size=20))
def test_whatever_comes_nothing_waits_for_longer_than_it_may(changes):
    """A change a minute, and a look after each: what was gathered is never older than the wait."""
    gathered, now = Gathered(), NOW
    for record, (amount, comes) in enumerate(changes):
        now += timedelta(minutes=1)
        gathered = gathered.add(record, amount, now) if comes else gathered
        if gathered.why_closed(GATE, now) is None:
            gathered = gathered.emptied()
        assert gathered.since is None or now - gathered.since < GATE.max_wait
        assert gathered.amount < GATE.amount


@pytest.mark.parametrize("gathered", [Gathered(), Gathered(7), Gathered(7, 3, NOW)])
def test_what_was_gathered_survives_in_the_cursor(gathered):
    assert Gathered.of(gathered.cursor()) == gathered
    assert Gathered.of(None) == Gathered()


LOOKS = st.lists(st.dictionaries(st.sampled_from("ab"), st.integers(1, 3)), max_size=15)


@given(LOOKS)
def test_a_join_uses_each_record_once_and_waits_for_all(looks):
    newest, places, used = {"a": None, "b": None}, Places(), {"a": 0, "b": 0}
    for steps in looks:
        for name, step in steps.items():
            newest[name] = (newest[name] or 0) + step
        places = Places.of(places.cursor())
        is_complete = not places.unchanged(newest)
        assert is_complete == all((newest[name] or 0) > used[name] for name in "ab")
        if is_complete:
            places = places.after(places.changed(newest))
            used = dict(newest)


@given(LOOKS, st.data())
def test_each_asset_keeps_its_own_place_until_it_is_dealt_with(looks, data):
    """Whatever changes and whatever cannot be looked at: no change is forgotten, none is dealt with twice."""
    newest, places = {"a": None, "b": None}, Places()
    open_changes, dealt = {"a": 0, "b": 0}, {"a": [], "b": []}
    for steps in looks:
        for name, step in steps.items():
            newest[name] = (newest[name] or 0) + step
            open_changes[name] += 1
        places = Places.of(places.cursor())
        changed = places.changed(newest)
        assert {*changed} == {name for name, number in open_changes.items() if number}
        assert places.unchanged(newest) == sorted({*"ab"} - {*changed})
        away = data.draw(st.sets(st.sampled_from("ab")))
        done = {name: record for name, record in changed.items() if name not in away}
        places = places.after(done)
        for name, record in done.items():
            dealt[name].append(record)
            open_changes[name] = 0
    for records in dealt.values():
        assert records == sorted({*records})


def raising(error):
    def look():
        raise error

    return look


def test_what_cannot_be_looked_at_holds_up_no_other():
    away = ConnectionError("the shop is away")
    seen, failed = look_at_each({"a": raising(away), "b": lambda: 7, "c": lambda: None})
    assert (seen, failed) == ({"b": 7, "c": None}, {"a": away})
    assert away.__notes__ == ["at the look at a"]
    assert look_at_each({}) == ({}, {})


def test_a_look_at_which_all_fail_fails():
    with pytest.raises(ExceptionGroup, match="No look succeeded: a, b") as caught:
        look_at_each({"a": raising(OSError("1")), "b": raising(OSError("2"))})
    assert [str(error) for error in caught.value.exceptions] == ["1", "2"]


def test_the_newest_record_of_each_is_there_or_none():
    with dg.DagsterInstance.ephemeral() as instance:
        for _ in range(2):
            instance.report_runless_asset_event(dg.AssetMaterialization(ORDERS))
        found = newest_materializations(instance, [ORDERS, USERS])
        (last,) = materializations_after(instance, ORDERS, None)[-1:]
        assert found == {"orders": last.storage_id, "users": None}
