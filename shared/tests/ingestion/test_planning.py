"""What a sensor asks for, as a function of the ledger and the limits."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platform_shared.ingestion.planning import Batch, Gate, Limits, Plan, plan
from platform_shared.ledger import Outcome, Unit, UnitState

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
LONG_AGO = NOW - timedelta(hours=1)
SOON = NOW + timedelta(minutes=5)
LIMITS = Limits(objects_per_batch=100, bytes_per_batch=1000, batches_in_flight=2, attempts=3)


def waits(
    name: str,
    version: int = 1,
    *,
    size: int = 10,
    attempts: int = 0,
    reason: str | None = None,
    seen: datetime = LONG_AGO,
    changed: datetime = LONG_AGO,
) -> Unit:
    """A version that waits for a batch."""
    return Unit(name, str(version), UnitState.DISCOVERED, size, seen, attempts, reason=reason, changed_at=changed)


def in_flight(name: str, version: int = 1, batch: str = "earlier", until: datetime = SOON, **more: Any) -> Unit:
    unit = waits(name, version, **{"attempts": 1, **more})
    return replace(unit, state=UnitState.REQUESTED, batch_id=batch, lease_expires_at=until)


def planned(
    units: Sequence[Unit],
    limits: Limits = LIMITS,
    unchanged: dict[tuple[str, str], str] | None = None,
    *,
    unmarked: set[str] | None = None,
    gate: Gate | None = None,
) -> Plan:
    return plan("orders", units, unchanged or {}, unmarked or set(), limits, gate or Gate(), NOW)


def names(batch: Batch) -> list[str]:
    return [name for name, _ in batch.lease.units]


def key(unit: Unit) -> tuple[str, str]:
    return unit.object_id, unit.version


def waiting(result: Plan) -> int:
    return result.settling + result.pausing + result.gathering + result.queued + result.held


def test_new_objects_share_a_batch() -> None:
    units = [waits("a"), waits("b")]
    (batch,) = planned(units).batches
    assert batch.lease.units == tuple(map(key, units))
    assert (batch.attempt, batch.lease.feed, batch.lease.expires_at) == (1, "orders", NOW + LIMITS.lease)


def test_nothing_open_means_nothing_to_do() -> None:
    assert planned([]) == Plan()


def test_a_batch_is_bounded_by_objects_and_the_rest_waits() -> None:
    result = planned([waits(f"{number:03}") for number in range(250)])
    assert [len(batch.lease.units) for batch in result.batches] == [100, 100]
    assert (result.queued, waiting(result)) == (50, 50)


def test_a_batch_is_bounded_by_bytes_but_takes_one_object_of_any_size() -> None:
    units = [waits("a", size=600), waits("b", size=600), waits("c", size=5000)]
    result = planned(units, replace(LIMITS, batches_in_flight=3))
    assert [names(batch) for batch in result.batches] == [["a"], ["b"], ["c"]]


def test_the_oldest_go_first() -> None:
    units = [waits("a", seen=NOW), waits("b"), waits("c", seen=LONG_AGO - timedelta(hours=1))]
    result = planned(units, replace(LIMITS, objects_per_batch=1))
    assert [names(batch) for batch in result.batches] == [["c"], ["b"]]


def test_batches_in_flight_take_their_slots() -> None:
    result = planned([in_flight("a", batch="1"), in_flight("b", batch="2"), waits("c")])
    assert result.batches == ()
    assert (result.in_flight, result.queued) == (2, 1)


def test_a_lease_that_ran_out_frees_its_slot_and_its_object() -> None:
    (batch,) = planned([in_flight("a", until=NOW)], replace(LIMITS, batches_in_flight=1)).batches
    assert (names(batch), batch.attempt) == (["a"], 2)


def test_an_object_that_is_being_written_waits() -> None:
    result = planned([waits("a", changed=NOW - timedelta(seconds=1), seen=NOW)])
    assert result == Plan(settling=1)


def test_an_object_whose_clock_is_ahead_is_taken_when_it_was_seen_unchanged_for_long_enough() -> None:
    ahead = NOW + timedelta(hours=3)
    assert planned([waits("a", changed=ahead, seen=NOW - timedelta(seconds=1))]).settling == 1
    assert len(planned([waits("a", changed=ahead, seen=NOW - LIMITS.settle)]).batches) == 1


def test_an_object_without_its_marker_waits_however_old_it_is() -> None:
    result = planned([waits("a"), waits("b")], unmarked={"a"})
    assert [names(batch) for batch in result.batches] == [["b"]]
    assert result.settling == 1


def test_only_the_version_seen_last_is_asked_for() -> None:
    result = planned([waits("a", 2, seen=LONG_AGO), waits("a", 1, seen=NOW)])
    assert [(outcome.version, outcome.state, outcome.reason) for outcome in result.ended] == [
        ("2", UnitState.SUPERSEDED, "a newer version is there")
    ]
    assert [batch.lease.units for batch in result.batches] == [(("a", "1"),)]


def test_a_new_version_waits_until_the_old_one_is_done() -> None:
    result = planned([in_flight("a", 1), waits("a", 2, seen=NOW)])
    assert (result.batches, result.ended, result.pausing) == ((), (), 1)


def test_known_bytes_end_without_a_batch() -> None:
    unit = waits("a")
    result = planned([unit], unchanged={key(unit): "hash"})
    assert result.batches == ()
    assert result.ended == (
        Outcome(*key(unit), UnitState.UNCHANGED, "hash", reason="the same bytes as the loaded version"),
    )


def test_a_failed_object_waits_for_its_pause() -> None:
    failed = waits("a", attempts=1, reason="disk full")
    result = planned([replace(failed, retry_at=NOW + timedelta(seconds=1)), waits("b")])
    assert [names(batch) for batch in result.batches] == [["b"]]
    assert (result.pausing, waiting(result)) == (1, 1)
    assert [names(batch) for batch in planned([replace(failed, retry_at=NOW)]).batches] == [["a"]]


def test_used_up_tries_end_in_quarantine_with_the_last_reason() -> None:
    result = planned([waits("a", attempts=3, reason="disk full"), in_flight("b", until=NOW, attempts=3)])
    assert [(outcome.state, outcome.reason) for outcome in result.ended] == [
        (UnitState.QUARANTINED, "a: 3 tries failed; the last one: disk full"),
        (UnitState.QUARANTINED, "b: 3 tries failed; the last one: the run ended without a word, its lease ran out"),
    ]


def test_later_tries_go_in_ever_smaller_batches_of_their_own() -> None:
    units = [waits(f"{number:03}", attempts=1 + number % 2) for number in range(40)]
    result = planned(units, replace(LIMITS, batches_in_flight=100))
    sizes = Counter((batch.attempt, len(batch.lease.units)) for batch in result.batches)
    assert sizes == {(2, 10): 2, (3, 1): 20}


@pytest.mark.parametrize("slots", [1, 2, 3])
def test_neither_new_objects_nor_retries_starve_the_others(slots: int) -> None:
    """A run takes ten seconds, new objects keep coming, and whatever is tried again fails again."""
    limits = replace(LIMITS, batches_in_flight=slots, objects_per_batch=10)
    units = {key(u): u for u in [waits(f"again {n:04}", attempts=1) for n in range(500)]}
    ends: dict[str, datetime] = {}
    now, started = NOW, Counter[int]()
    for look in range(200):
        now += timedelta(seconds=5)
        for batch_id in [batch_id for batch_id, end in ends.items() if end <= now]:
            del ends[batch_id]
            for k, unit in list(units.items()):
                if unit.batch_id == batch_id and unit.attempts == 1:
                    del units[k]
                elif unit.batch_id == batch_id:
                    units[k] = replace(unit, state=UnitState.DISCOVERED, attempts=1, batch_id=None, lease_holder=None)
        for number in range(2):
            unit = waits(f"new {look:03} {number}", seen=now)
            units[key(unit)] = unit
        for batch in plan("orders", list(units.values()), {}, set(), limits, Gate(), now).batches:
            started[batch.attempt] += 1
            # Their ends fall at different looks.
            ends[batch.lease.batch_id] = now + timedelta(seconds=5 * (1 + started.total() % 3))
            for k in batch.lease.units:
                units[k] = replace(
                    units[k],
                    state=UnitState.REQUESTED,
                    attempts=batch.attempt,
                    batch_id=batch.lease.batch_id,
                    lease_holder="run",
                    lease_expires_at=now + timedelta(hours=1),
                )
    assert started[2] > 20
    assert started[1] > 20
    oldest_new = min(u.first_seen_at for u in units.values() if u.object_id.startswith("new"))
    assert now - oldest_new < timedelta(minutes=3)


def test_few_objects_wait_for_more_but_not_for_ever() -> None:
    gate = Gate(least_objects=3, longest_wait=timedelta(minutes=10))
    fresh = [waits(name, seen=NOW - timedelta(minutes=9)) for name in "ab"]
    assert planned(fresh, gate=gate) == Plan(gathering=2)
    assert len(planned([*fresh, waits("c", seen=NOW)], gate=gate).batches) == 1
    overdue = [waits("a", seen=NOW - timedelta(minutes=10)), waits("b", seen=NOW)]
    assert [names(batch) for batch in planned(overdue, gate=gate).batches] == [["a", "b"]]


def test_small_objects_wait_for_bytes() -> None:
    gate = Gate(least_bytes=100, longest_wait=timedelta(hours=2))
    assert planned([waits("a", size=99)], gate=gate).gathering == 1
    assert len(planned([waits("a", size=99), waits("b", size=1)], gate=gate).batches) == 1


def test_a_retry_does_not_wait_for_more() -> None:
    gate = Gate(least_objects=3, longest_wait=timedelta(hours=2))
    result = planned([waits("a", attempts=1), waits("b")], gate=gate)
    assert [names(batch) for batch in result.batches] == [["a"]]
    assert result.gathering == 1


def test_while_runs_fail_for_no_object_s_fault_nothing_is_asked_for_in_a_pause_and_then_one_batch() -> None:
    failed = [replace(waits(name), outages=4, retry_at=NOW + timedelta(minutes=3)) for name in "ab"]
    fresh = [waits(f"{number}") for number in range(300)]
    result = planned([*failed, *fresh])
    assert (result.batches, result.held, result.pausing) == ((), 300, 2)
    assert result.held_until == NOW + timedelta(minutes=3)

    over = [replace(unit, retry_at=NOW) for unit in failed]
    (batch,) = planned([*over, *fresh]).batches
    assert (batch.attempt, batch.failures) == (1, 4)
    assert planned([*over, *fresh, in_flight("c")]).batches == ()
    assert {batch.failures for batch in planned(fresh).batches} == {0}


def test_failures_of_either_kind_are_counted_for_who_is_told_of_them() -> None:
    (batch,) = planned([waits("a", attempts=2)]).batches
    assert batch.failures == 2
    (batch,) = planned([replace(waits("a", attempts=1), outages=5, retry_at=NOW)]).batches
    assert (batch.attempt, batch.failures) == (2, 5)


def test_an_object_that_is_rewritten_all_the_time_waits_since_its_first_version() -> None:
    gate = Gate(least_objects=3, longest_wait=timedelta(minutes=10))
    rewritten = replace(waits("a", seen=NOW - timedelta(minutes=1)), waiting_since=NOW - timedelta(minutes=11))
    assert [names(batch) for batch in planned([rewritten], gate=gate).batches] == [["a"]]


def test_ids_of_batches_differ() -> None:
    units = [waits(f"{number}") for number in range(20)]
    result = planned(units, replace(LIMITS, objects_per_batch=1, batches_in_flight=20))
    assert len({batch.lease.batch_id for batch in result.batches}) == 20


limits_of_any_size = st.builds(
    Limits,
    objects_per_batch=st.integers(1, 5),
    bytes_per_batch=st.integers(1, 60),
    batches_in_flight=st.integers(1, 3),
    attempts=st.integers(1, 3),
)


@st.composite
def situations(draw: st.DrawFn) -> tuple[list[Unit], dict[tuple[str, str], str]]:
    """Up to three versions of each object are open, one of them may be in flight; the newest may be known bytes."""
    units, unchanged = [], {}
    for name in draw(st.lists(st.sampled_from("abcdefghij"), unique=True)):
        versions = draw(st.lists(st.integers(1, 3), unique=True, min_size=1))
        flying = draw(st.sampled_from([None, *versions]))
        for version in versions:
            facts: dict[str, Any] = {
                "size": draw(st.integers(0, 40)),
                "changed": draw(st.sampled_from([LONG_AGO, NOW - timedelta(seconds=1)])),
                "seen": draw(st.sampled_from([LONG_AGO, NOW])),
                "attempts": draw(st.integers(0, 3)),
            }
            if version == flying:
                facts["attempts"] = max(1, facts["attempts"])
                units.append(in_flight(name, version, draw(st.sampled_from(["one", "two"])), SOON, **facts))
            elif draw(st.booleans()):
                units.append(in_flight(name, version, f"expired {name}{version}", NOW, **facts))
            else:
                again = draw(st.sampled_from([None, NOW, SOON]))
                outages = draw(st.sampled_from([0, 0, 2])) if again else 0
                units.append(replace(waits(name, version, **facts), retry_at=again, outages=outages))
            if draw(st.integers(0, 4)) == 0:
                unchanged[key(units[-1])] = "hash"
    return units, unchanged


@given(situations(), limits_of_any_size)
def test_any_plan_keeps_the_rules(situation: tuple[list[Unit], dict[tuple[str, str], str]], limits: Limits) -> None:
    units, unchanged = situation
    result = planned(units, limits, unchanged)
    by_key = {key(unit): unit for unit in units}
    flying = {k for k, u in by_key.items() if u.lease_expires_at is not None and u.lease_expires_at > NOW}
    asked = [k for batch in result.batches for k in batch.lease.units]
    ended = [(outcome.object_id, outcome.version) for outcome in result.ended]

    # What a batch has is left to it, and no object has two versions in flight.
    assert not flying & {*asked, *ended}
    assert max(Counter(name for name, _ in [*flying, *asked]).values(), default=0) <= 1

    # Batches are bounded, in number and each of them.
    batches_before = {by_key[k].batch_id for k in flying}
    assert not result.batches or len(batches_before) + len(result.batches) <= limits.batches_in_flight
    for batch in result.batches:
        sizes = [by_key[k].size_bytes for k in batch.lease.units]
        assert 1 <= len(sizes) <= max(1, limits.objects_per_batch // 10 ** (batch.attempt - 1))
        assert len(sizes) == 1 or sum(sizes) <= limits.bytes_per_batch
        assert {by_key[k].attempts + 1 for k in batch.lease.units} == {batch.attempt}
        assert batch.attempt <= limits.attempts

    # Nothing is lost, and nothing happens twice: each open version is in flight, asked for, ended, or waits.
    assert Counter([*flying, *asked, *ended]) == Counter({*flying, *asked, *ended})
    left = by_key.keys() - flying - {*asked} - {*ended}
    assert waiting(result) == len(left)
    assert result.in_flight == len(flying)

    # Of each object the newest version stays open, unless its bytes are known or its tries used up.
    for name in {unit.object_id for unit in units}:
        newest = max(
            (u for u in units if u.object_id == name), key=lambda u: (u.first_seen_at, u.changed_at, u.version)
        )
        done = key(newest) in unchanged or newest.attempts >= limits.attempts
        assert key(newest) in flying or (key(newest) in ended) == done

    # A slot is left empty only if whatever waits is being written, rests, or has another version in flight; in an
    # outage one is used at most.
    if any(unit.outages for unit in units):
        assert len(result.batches) <= (0 if flying else 1)
        assert not result.held or result.held_until == SOON
    elif len(batches_before) + len(result.batches) < limits.batches_in_flight:
        assert result.queued == 0


@given(st.data(), st.integers(1, 12), limits_of_any_size)
def test_every_object_ends_whatever_its_runs_do(data: st.DataObject, objects: int, limits: Limits) -> None:
    """Plays tick after tick: each batch succeeds, fails, or dies so that its lease has to run out."""
    ledger = {(f"{number:02}", "1"): waits(f"{number:02}") for number in range(objects)}
    now = NOW
    for _ in range(3 * objects * limits.attempts + 3):
        open_units = [u for u in ledger.values() if u.state in (UnitState.DISCOVERED, UnitState.REQUESTED)]
        result = plan("orders", open_units, {}, set(), limits, Gate(), now)
        for outcome in result.ended:
            done = ledger[outcome.object_id, outcome.version]
            ledger[outcome.object_id, outcome.version] = replace(done, state=outcome.state)
        for batch in result.batches:
            fate = data.draw(st.sampled_from(["succeeds", "fails", "dies"]))
            for k in batch.lease.units:
                tried = replace(ledger[k], attempts=batch.attempt, batch_id=batch.lease.batch_id)
                if fate == "succeeds":
                    ledger[k] = replace(tried, state=UnitState.LOADED)
                elif fate == "fails":
                    again = now + limits.pauses[min(batch.attempt, len(limits.pauses)) - 1]
                    ledger[k] = replace(tried, state=UnitState.DISCOVERED, reason="failed", retry_at=again)
                else:
                    ledger[k] = replace(tried, state=UnitState.REQUESTED, lease_expires_at=batch.lease.expires_at)
        now += limits.lease
    assert {unit.state for unit in ledger.values()} <= {UnitState.LOADED, UnitState.QUARANTINED}
    assert all(u.attempts == limits.attempts for u in ledger.values() if u.state is UnitState.QUARANTINED)
