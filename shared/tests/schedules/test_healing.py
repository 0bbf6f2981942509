"""Any set of missing, running, failed, stale and waiting partitions: what is asked for next, and what comes of it."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platform_shared.schedules.due import Slot, State, rows
from platform_shared.schedules.healing import Limits, Memory, Tried, plan, plan_once

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
NOTHING = Memory()

records = st.none() | st.integers(1, 9)


def in_order(slot, most=30):
    """Partitions in their order, each any of these."""
    return st.lists(slot, max_size=most).map(lambda found: [replace(s, key=f"{n:03}") for n, s in enumerate(found)])


slots = in_order(st.builds(Slot, st.just(""), records, records, st.sampled_from(State), st.booleans()))
mostly_due = in_order(
    st.builds(
        Slot,
        st.just(""),
        st.sampled_from([None, None, None, 2]),
        st.sampled_from([1, 3, 3, None]),
        st.sampled_from([State.IDLE, State.IDLE, State.FAILED]),
        st.sampled_from([False, False, False, True]),
    ),
    20,
)
limits = st.builds(Limits, st.integers(1, 7), st.integers(0, 3))


def ask(slots, in_flight=0, memory=NOTHING, limits=Limits(), now=NOW):  # noqa: B008
    return plan(slots, in_flight=in_flight, memory=memory, limits=limits, now=now)


@pytest.mark.parametrize(
    ("slot", "due"),
    [
        (Slot("a"), True),
        (Slot("a", built=5), False),
        (Slot("a", inputs=None), False),
        (Slot("a", built=5, inputs=None), False),
        (Slot("a", built=5, inputs=6), True),
        (Slot("a", built=6, inputs=5), False),
    ],
)
def test_due_is_what_is_missing_or_older_than_its_inputs_if_they_are_there(slot, due):
    assert slot.is_due is due


@given(slots, st.integers(0, 3), limits)
def test_any_plan_keeps_the_rules(slots, in_flight, limits):
    asked = ask(slots, in_flight, limits=limits).runs
    by_key = {slot.key: (place, slot) for place, slot in enumerate(slots)}
    keys = [key for run in asked for key in run]
    assert keys == sorted({*keys}), "oldest first, none twice"
    assert len(asked) <= max(0, limits.in_flight - in_flight)
    for run in asked:
        places = [by_key[key][0] for key in run]
        assert places == list(range(places[0], places[0] + len(run))), "neighbours"
        assert len(run) <= limits.per_run
        for _, slot in (by_key[key] for key in run):
            assert slot.is_due
            assert not slot.reserved
            assert slot.state is not State.ACTIVE
        assert len({by_key[key][1].state for key in run}) == 1, "what failed spoils no other"


@given(slots, limits)
def test_with_room_for_all_nothing_is_left_out(slots, limits):
    room = Limits(limits.per_run, 99)
    asked = {key for run in ask(slots, limits=room).runs for key in run}
    assert asked == {s.key for s in slots if s.is_due and not s.reserved and s.state is not State.ACTIVE}


tries = st.builds(
    Tried,
    st.sampled_from([3, 3, 1]),
    st.sampled_from([1, 1, 3]),
    st.sampled_from([9, 60, 3_000]).map(lambda minutes: NOW - timedelta(minutes=minutes)),
    st.sampled_from([2, 2, 5]),
)
# Few kinds of tries, so that neighbours were often tried together.
kinds = st.lists(tries, min_size=1, max_size=2)
memories = st.builds(
    Memory,
    kinds.flatmap(lambda kinds: st.lists(st.sampled_from([None, *kinds]), min_size=20, max_size=20)).map(
        lambda found: {f"{n:03}": tried for n, tried in enumerate(found) if tried}
    ),
    st.none() | st.sampled_from([4, 5]).map(lambda minutes: NOW - timedelta(minutes=minutes)),
)
room = st.builds(Limits, st.integers(1, 7), st.sampled_from([0, 2, 99, 99]))


@given(mostly_due, st.integers(0, 1), room, memories)
def test_whatever_is_remembered_nothing_is_asked_for_too_early_and_nothing_is_left_out(
    slots, in_flight, limits, memory
):
    found = ask(slots, in_flight, memory, limits)
    by_key = {slot.key: slot for slot in slots}
    due = {s.key for s in slots if s.is_due and not s.reserved}
    before = {key: tried for key, tried in memory.tried.items() if key in due and tried.inputs == by_key[key].inputs}
    idle = {key for key in due if by_key[key].state is not State.ACTIVE}
    early = {key for key in idle if key in before and limits.again(before[key]) > NOW}
    rests = memory.asked is not None and memory.asked + limits.rest > NOW
    assert [key for key, _ in found.waiting] == sorted(early)
    assert not (rests and found.runs)
    for run in found.runs:
        for key in run:
            tried = before.pop(key, None)
            assert key in idle - early
            assert len(run) <= (max(1, tried.together // 2) if tried else limits.per_run)
            assert found.memory.tried[key] == Tried(
                by_key[key].inputs, (tried.times if tried else 0) + 1, NOW, len(run)
            )
    asked = {key for run in found.runs for key in run}
    assert {key: tried for key, tried in found.memory.tried.items() if key not in asked} == before
    if not rests and len(found.runs) < limits.in_flight - in_flight:
        assert asked == idle - early


@given(slots, limits)
def test_any_other_instigator_asks_once_for_what_is_due_and_spans_nothing_else(slots, limits):
    places = {slot.key: place for place, slot in enumerate(slots)}
    runs = plan_once(slots, limits)
    due = [s.key for s in slots if s.is_due and not s.reserved and s.state is State.IDLE]
    assert [key for run in runs for key in run] == due
    for run in runs:
        assert [places[key] for key in run] == list(range(places[run[0]], places[run[0]] + len(run))), "neighbours"
        assert 1 <= len(run) <= limits.per_run


@given(mostly_due, limits, st.data())
def test_all_that_can_be_built_is_built_once_and_nothing_is_given_up(slots, limits, data):
    """Look after look, runs in between: some partitions fail always, some once, some kill the run that they are in,
    and the first runs are canceled or find no warehouse."""
    fails = {s.key: data.draw(st.sampled_from([0, 0, 0, 0, 1, "fails", "kills"]), label=s.key) for s in slots}
    lost = data.draw(st.lists(st.sampled_from([State.IDLE, State.FAILED]), max_size=3), label="first runs")
    limits = Limits(limits.per_run, 1 + limits.in_flight)
    due = [s.key for s in slots if s.is_due and not s.reserved]
    good = [key for key in due if fails[key] in (0, 1)]
    hopeless = {*due} - {*good}
    places = {slot.key: place for place, slot in enumerate(slots)}
    now, memory, tries, built, looks = NOW, NOTHING, Counter(), [], 0
    while sorted(built) != good or any(tries[key] < 6 for key in hopeless):
        found = ask(slots, memory=memory, limits=limits, now=now)
        memory, looks, now = found.memory, looks + 1, now + timedelta(hours=2)
        assert looks < 100 + 20 * len(slots), "what can be built waits for ever, or what fails is given up"
        for run in found.runs:
            killed = lost.pop() if lost else State.FAILED if any(fails[key] == "kills" for key in run) else None
            for key in run:
                tries[key] += 1
                slot, fine = slots[places[key]], fails[key] in (0, 1) and tries[key] > fails[key] and killed is None
                built += [key] if fine else []
                state = State.IDLE if fine else killed or State.FAILED
                slots[places[key]] = Slot(key, 10 if fine else slot.built, slot.inputs, state)
    assert tries.keys() == {*due}
    assert all(times <= 9 + (now - NOW) / timedelta(days=1) for times in tries.values()), "a run a day at most"


def test_four_days_that_were_missed_are_one_run_oldest_first_and_today_is_left_alone():
    days = [Slot(f"d{n}", built=1, inputs=1) for n in range(3)]
    days += [Slot(f"d{n}") for n in range(3, 7)] + [Slot("d7", reserved=True)]
    assert ask(days).runs == (("d3", "d4", "d5", "d6"),)
    assert ask(days, in_flight=1).runs == ()


def test_a_hole_divides_runs_and_so_does_their_bound():
    days = [Slot("a"), Slot("b"), Slot("c", built=1), Slot("d"), Slot("e", state=State.ACTIVE), Slot("f")]
    assert ask(days, limits=Limits(in_flight=9)).runs == (("a", "b"), ("d",), ("f",))
    assert ask(days, limits=Limits(per_run=1, in_flight=2)).runs == (("a",), ("b",))
    failed = [Slot("a"), Slot("b", state=State.FAILED), Slot("c")]
    assert ask(failed, limits=Limits(in_flight=9)).runs == (("a",), ("b",), ("c",))
    waits = Memory({"b": Tried(0, 1, NOW, 1)})
    assert ask(failed, memory=waits, limits=Limits(in_flight=9)).runs == (("a",), ("c",))


def test_tries_are_apart_further_each_time_and_come_once_a_day_for_ever():
    broken, limits = [Slot("a", inputs=7, state=State.FAILED)], Limits(rest=timedelta(0))
    now, memory, asked = NOW, NOTHING, []
    for minute in range(0, 7 * 1440, 5):
        now = NOW + timedelta(minutes=minute)
        found = ask(broken, memory=memory, limits=limits, now=now)
        memory = found.memory
        asked += [minute] * len(found.runs)
    assert asked[:5] == [0, 10, 30, 70, 150]
    assert [later - earlier for earlier, later in pairwise(asked)][-4:] == [1440] * 4
    assert found.waiting == (("a", NOW + timedelta(minutes=asked[-1] + 1440)),)
    changed = ask([Slot("a", inputs=8, state=State.FAILED)], memory=memory, limits=limits, now=now)
    assert (changed.runs, changed.waiting) == ((("a",),), ())
    assert changed.memory.tried["a"] == Tried(8, 1, now, 1)


def test_years_of_tries_are_no_error():
    waits = Memory({"a": Tried(7, 5_000, NOW, 1)})
    broken = [Slot("a", inputs=7, state=State.FAILED)]
    assert ask(broken, memory=waits, now=NOW + timedelta(hours=23)).runs == ()
    assert ask(broken, memory=waits, now=NOW + timedelta(hours=24)).runs == (("a",),)


@pytest.mark.parametrize("state", [State.FAILED, State.IDLE], ids=["failed", "canceled"])
def test_what_a_run_took_with_it_is_tried_again_in_halves_until_each_is_alone(state):
    limits, now, memory, sizes = Limits(in_flight=99), NOW, NOTHING, []
    days = [Slot(f"d{n}") for n in range(8)]
    for _ in range(5):
        found = ask(days, memory=memory, limits=limits, now=now)
        sizes.append([len(run) for run in found.runs])
        assert ask(days, memory=found.memory, limits=limits, now=now + timedelta(minutes=9)).runs == ()
        memory, now = found.memory, now + timedelta(days=1)
        days = [Slot(day.key, state=state) for day in days]
    assert sizes == [[8], [4, 4], [2] * 4, [1] * 8, [1] * 8]


def test_what_failed_elsewhere_is_tried_together_and_by_itself():
    days = [Slot("a"), Slot("b", state=State.FAILED), Slot("c", state=State.FAILED), Slot("d")]
    assert ask(days, limits=Limits(in_flight=9)).runs == (("a",), ("b", "c"), ("d",))


def test_what_was_tried_least_comes_first():
    days = [Slot("a", state=State.FAILED), Slot("b"), Slot("c", state=State.FAILED)]
    tried = Memory({"a": Tried(0, 2, NOW, 1), "c": Tried(0, 1, NOW, 1)})
    found = ask(days, memory=tried, limits=Limits(in_flight=9), now=NOW + timedelta(days=2))
    assert found.runs == (("b",), ("c",), ("a",))


def test_another_instigator_asks_for_all_that_is_due_and_spans_nothing_that_failed():
    days = [Slot("a"), Slot("b"), Slot("c", state=State.FAILED), Slot("d"), Slot("e", state=State.ACTIVE), Slot("f")]
    assert plan_once(days, Limits()) == (("a", "b"), ("d",), ("f",))


def test_one_that_waits_for_its_next_try_holds_up_none():
    days = [Slot("a", inputs=7, state=State.FAILED), Slot("b")]
    waits = Memory({"a": Tried(7, 1, NOW, 1)})
    assert ask(days, memory=waits).runs == (("b",),)


def test_inputs_that_trickle_cost_a_run_in_a_while():
    first = ask([Slot("a")])
    changed = [Slot("a", built=1, inputs=2)]
    soon, later = NOW + timedelta(minutes=4), NOW + timedelta(minutes=5)
    assert ask(changed, memory=first.memory, now=soon).runs == ()
    assert ask(changed, memory=ask(changed, memory=first.memory, now=soon).memory, now=later).runs == (("a",),)


def test_a_backlog_does_not_rest():
    days, limits = [Slot("a"), Slot("b")], Limits(per_run=1)
    first = ask(days, limits=limits)
    assert ask([Slot("a", built=1), Slot("b")], memory=first.memory, limits=limits).runs == (("b",),)


def test_what_was_remembered_of_a_partition_that_is_done_is_forgotten():
    done = [Slot("a", built=8, inputs=7)]
    assert ask(done, memory=Memory({"a": Tried(7, 1, NOW, 1)})).memory.tried == {}


@given(slots)
def test_a_row_is_due_if_one_of_its_partitions_is_and_all_can_be_built(slots):
    found = rows(slots, lambda key: key[:2])
    assert [key for _, members in found.values() for key in members] == [slot.key for slot in slots]
    by_key = {slot.key: slot for slot in slots}
    for row, members in found.values():
        parts = [by_key[key] for key in members]
        if all(part.inputs is not None for part in parts):
            assert row.is_due == any(part.is_due for part in parts)
        else:
            assert not row.is_due
        assert (row.state is State.ACTIVE) == any(part.state is State.ACTIVE for part in parts)
        assert row.reserved == any(part.reserved for part in parts)
