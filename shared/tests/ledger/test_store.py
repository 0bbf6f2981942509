"""Leases, fences and ends of units."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta

import pytest

from platform_shared.ledger import Lease, LeaseLostError, Ledger, Message, Outbox, Outcome, Unit, UnitState
from platform_shared.postgres import postgres
from platform_shared.settings import Home

FEED = "orders"
NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
TTL = timedelta(minutes=10)
A, B = ("a.csv", "1"), ("b.csv", "1")


@pytest.fixture
def ledger(platform_home: Home) -> Iterator[Ledger]:
    ledger = Ledger(postgres(platform_home))
    yield ledger
    ledger.close()


def seen(ledger: Ledger, *units: tuple[str, str], at: datetime = NOW) -> int:
    return ledger.record_seen(FEED, [(*unit, 10) for unit in units], at)


def lease(batch: str, *units: tuple[str, str], at: datetime = NOW) -> Lease:
    return Lease(FEED, batch, at + TTL, units)


def unit(ledger: Ledger, key: tuple[str, str]) -> Unit:
    (found,) = [each for each in ledger.units(FEED) if (each.object_id, each.version) == key]
    return found


def load(ledger: Ledger, key: tuple[str, str], content: str, *, at: datetime = NOW) -> None:
    """A whole life of a unit: seen, leased, taken, loaded."""
    seen(ledger, key, at=at)
    batch = f"batch of {key[0]} {key[1]}"
    ledger.lease([lease(batch, key, at=at)], at)
    ledger.take(FEED, batch, "run", at, TTL)
    ledger.note_days(FEED, batch, {key[0]: ["2026-03-01"]}, at)
    ledger.finish(FEED, batch, [Outcome(*key, UnitState.LOADED, content, row_count=1)], at)


def test_a_version_is_new_once(ledger: Ledger) -> None:
    assert seen(ledger, A, B) == 2
    assert seen(ledger, A, B) == 0
    assert ledger.known(FEED) == {A, B}
    assert ledger.known("another feed") == set()


def test_many_versions_are_recorded_in_one_go(ledger: Ledger) -> None:
    assert seen(ledger, *((f"{number}.csv", "1") for number in range(2500))) == 2500


def test_two_sensors_at_once_lease_a_unit_once(ledger: Ledger, platform_home: Home) -> None:
    keys = [(f"{number}.csv", "1") for number in range(30)]
    seen(ledger, *keys)
    other = Ledger(postgres(platform_home))
    with ThreadPoolExecutor(2) as sensors:
        for number, key in enumerate(keys):
            mine = sensors.submit(ledger.lease, [lease(f"mine {number}", key)], NOW)
            theirs = sensors.submit(other.lease, [lease(f"theirs {number}", key)], NOW)
            assert len(mine.result()) + len(theirs.result()) == 1
    other.close()
    assert {each.state for each in ledger.units(FEED)} == {UnitState.REQUESTED}


def test_a_lease_grants_only_what_is_free(ledger: Ledger) -> None:
    seen(ledger, A, B)
    ledger.lease([lease("first", A)], NOW)
    assert ledger.lease([lease("second", A, B), lease("third", B)], NOW) == [lease("second", B)]


def test_a_lease_that_ran_out_is_free_again(ledger: Ledger) -> None:
    seen(ledger, A)
    ledger.lease([lease("first", A)], NOW)
    assert ledger.lease([lease("second", A)], NOW + TTL - timedelta(seconds=1)) == []
    assert ledger.lease([lease("second", A)], NOW + TTL) == [lease("second", A)]
    assert unit(ledger, A).batch_id == "second"


def test_waiting_in_the_queue_is_no_try_and_taking_a_batch_is_one(ledger: Ledger) -> None:
    seen(ledger, A)
    for number in range(5):
        ledger.lease([lease(f"batch {number}", A, at=NOW + number * TTL)], NOW + number * TTL)
    assert unit(ledger, A).attempts == 0
    ledger.take(FEED, "batch 4", "run", NOW + 4 * TTL, TTL)
    ledger.take(FEED, "batch 4", "run", NOW + 4 * TTL, TTL)
    assert unit(ledger, A).attempts == 1


def test_a_lease_can_be_prolonged_by_who_has_it(ledger: Ledger) -> None:
    seen(ledger, A)
    ledger.lease([lease("batch", A)], NOW)
    assert ledger.prolong(FEED, "batch", NOW + 3 * TTL) == 1
    assert ledger.lease([lease("second", A)], NOW + TTL) == []
    assert ledger.prolong(FEED, "second", NOW + 3 * TTL) == 0


def test_a_failed_try_waits_longer_each_time(ledger: Ledger) -> None:
    seen(ledger, A)
    pauses = [timedelta(seconds=30), timedelta(minutes=5)]
    waits = []
    for number in range(3):
        ledger.lease([lease(f"batch {number}", A)], NOW)
        ledger.take(FEED, f"batch {number}", "run", NOW, TTL)
        ledger.give_back(FEED, f"batch {number}", "the disk is full", NOW, pauses)
        waits.append(unit(ledger, A).retry_at)
    assert waits == [NOW + pauses[0], NOW + pauses[1], NOW + pauses[1]]
    assert unit(ledger, A).attempts == 3


def test_a_run_that_fails_before_it_takes_its_units_counts_as_a_try(ledger: Ledger) -> None:
    seen(ledger, A)
    ledger.lease([lease("batch", A)], NOW)
    ledger.give_back(FEED, "batch", "the code does not load", NOW)
    assert unit(ledger, A).attempts == 1


def test_state_and_message_come_together_or_not_at_all(ledger: Ledger, platform_home: Home) -> None:
    seen(ledger, A, B)
    ledger.lease([lease("batch", B)], NOW)
    told = [Outcome(*key, UnitState.QUARANTINED, message=Message(key[0], "o", "s", "b")) for key in (A, B)]
    assert [each.object_id for each in ledger.close_units(FEED, told, NOW)] == [A[0]]
    outbox = Outbox(postgres(platform_home))
    assert [each.key for each in outbox.undelivered()] == [A[0]]
    outbox.close()


def test_a_batch_is_taken_by_one_run(ledger: Ledger) -> None:
    seen(ledger, A)
    ledger.lease([lease("batch", A)], NOW)
    assert [each.object_id for each in ledger.take(FEED, "batch", "run 1", NOW, TTL)] == ["a.csv"]
    assert ledger.take(FEED, "batch", "run 2", NOW, TTL) == []
    assert len(ledger.take(FEED, "batch", "run 1", NOW, TTL)) == 1


def test_taking_a_batch_prolongs_its_lease(ledger: Ledger) -> None:
    seen(ledger, A)
    ledger.lease([lease("batch", A)], NOW)
    later = NOW + TTL - timedelta(seconds=1)
    ledger.take(FEED, "batch", "run", later, TTL)
    assert unit(ledger, A).lease_expires_at == later + TTL


def test_the_fence_stops_a_run_that_lost_a_unit(ledger: Ledger) -> None:
    seen(ledger, A, B)
    ledger.lease([lease("old", A, B)], NOW)
    ledger.take(FEED, "old", "run 1", NOW, TTL)
    ledger.assert_held(FEED, "old", "run 1", [A, B])
    ledger.lease([lease("new", B, at=NOW + TTL)], NOW + TTL)
    with pytest.raises(LeaseLostError, match="batch old holds 1 of its 2 units"):
        ledger.assert_held(FEED, "old", "run 1", [A, B])
    with pytest.raises(LeaseLostError):
        ledger.assert_held(FEED, "old", "run 2", [A])


def test_a_run_that_lost_its_units_cannot_end_them(ledger: Ledger) -> None:
    seen(ledger, A)
    ledger.lease([lease("old", A)], NOW)
    ledger.lease([lease("new", A, at=NOW + TTL)], NOW + TTL)
    ledger.finish(FEED, "old", [Outcome(*A, UnitState.LOADED, "hash")], NOW + TTL)
    assert ledger.give_back(FEED, "old", "too late", NOW) == 0
    assert (unit(ledger, A).state, unit(ledger, A).batch_id) == (UnitState.REQUESTED, "new")


def test_a_unit_that_is_given_back_keeps_its_attempts_and_the_reason(ledger: Ledger) -> None:
    seen(ledger, A, B)
    ledger.lease([lease("batch", A, B)], NOW)
    ledger.take(FEED, "batch", "run", NOW, TTL)
    ledger.finish(FEED, "batch", [Outcome(*A, UnitState.LOADED, "hash", 3)], NOW)
    assert ledger.give_back(FEED, "batch", "the disk is full", NOW) == 1
    back = unit(ledger, B)
    assert (back.state, back.attempts, back.reason) == (UnitState.DISCOVERED, 1, "the disk is full")
    assert unit(ledger, A).state is UnitState.LOADED


def test_a_sensor_ends_only_units_that_no_batch_has(ledger: Ledger) -> None:
    seen(ledger, A, B)
    ledger.lease([lease("batch", A)], NOW)
    gone = [Outcome(*key, UnitState.SUPERSEDED, reason="gone") for key in (A, B)]
    assert ledger.close_units(FEED, gone, NOW) == [gone[1]]
    assert unit(ledger, A).state is UnitState.REQUESTED


def test_a_version_that_comes_back_is_discovered_again(ledger: Ledger) -> None:
    seen(ledger, A)
    ledger.close_units(FEED, [Outcome(*A, UnitState.SUPERSEDED, reason="the file is gone")], NOW)
    assert ledger.known(FEED) == set()
    assert seen(ledger, A) == 1
    assert unit(ledger, A).state is UnitState.DISCOVERED


def test_the_loaded_bytes_are_those_of_the_newest_load(ledger: Ledger) -> None:
    load(ledger, ("a.csv", "1"), "old")
    load(ledger, ("a.csv", "2"), "new", at=NOW + TTL)
    load(ledger, B, "other")
    assert ledger.loaded_hashes(FEED, ["a.csv", "c.csv"]) == {"a.csv": "new"}


def test_the_loaded_bytes_are_unknown_after_a_version_that_may_have_been_committed(ledger: Ledger) -> None:
    load(ledger, ("a.csv", "1"), "old")
    later = NOW + TTL
    seen(ledger, ("a.csv", "2"), at=later)
    ledger.lease([lease("dies", ("a.csv", "2"), at=later)], later)
    assert ledger.loaded_hashes(FEED, ["a.csv"]) == {"a.csv": "old"}
    ledger.note_days(FEED, "dies", {"a.csv": ["2026-03-02"]}, NOW)
    assert ledger.loaded_hashes(FEED, ["a.csv"]) == {}
    ledger.close_units(FEED, [Outcome("a.csv", "2", UnitState.SUPERSEDED)], later + TTL)
    assert ledger.loaded_hashes(FEED, ["a.csv"]) == {}
    load(ledger, ("a.csv", "3"), "newest", at=later + 2 * TTL)
    assert ledger.loaded_hashes(FEED, ["a.csv"]) == {"a.csv": "newest"}


def test_the_days_of_an_object_are_those_of_all_its_versions(ledger: Ledger) -> None:
    load(ledger, ("a.csv", "1"), "old")
    seen(ledger, ("a.csv", "2"))
    ledger.lease([lease("batch", ("a.csv", "2"))], NOW)
    ledger.note_days(FEED, "batch", {"a.csv": ["2026-03-03", "2026-03-02"]}, NOW)
    assert ledger.days(FEED, ["a.csv"]) == ["2026-03-01", "2026-03-02", "2026-03-03"]
    assert ledger.days(FEED, ["b.csv"]) == []


@pytest.mark.parametrize("good", [UnitState.LOADED, UnitState.UNCHANGED])
def test_a_good_version_takes_the_object_out_of_quarantine(ledger: Ledger, good: UnitState) -> None:
    load(ledger, ("a.csv", "0"), "first")
    seen(ledger, A)
    bad = Outcome(*A, UnitState.QUARANTINED, reason="line 3")
    ledger.close_units(FEED, [bad], NOW + TTL)
    assert [each.reason for each in ledger.quarantined(FEED)] == ["line 3"]
    seen(ledger, ("a.csv", "2"))
    ledger.close_units(FEED, [Outcome("a.csv", "2", good, "hash")], NOW + 2 * TTL)
    assert ledger.quarantined(FEED) == []


def test_counts_are_by_feed_and_state(ledger: Ledger) -> None:
    load(ledger, A, "hash")
    seen(ledger, B)
    assert ledger.counts() == {FEED: {"loaded": 1, "discovered": 1}}


def test_a_day_is_empty_until_rows_come_and_never_again(ledger: Ledger) -> None:
    first, second = date(2026, 3, 1), date(2026, 2, 28)
    ledger.note_empty_days(FEED, [second, first], NOW)
    ledger.note_empty_days(FEED, [second], NOW + TTL)
    assert ledger.feed_days(FEED).empty == {first, second}
    load(ledger, A, "bytes", at=NOW + TTL)
    ledger.note_empty_days(FEED, [first], NOW + 2 * TTL)
    days = ledger.feed_days(FEED)
    assert (days.delivered, days.empty) == ({first: NOW + TTL}, {second})
    assert ledger.feed_days("another feed").delivered == {}
