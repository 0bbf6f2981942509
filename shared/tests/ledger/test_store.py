"""Leases, fences and ends of units."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta

import pytest

from platform_shared.ledger import (
    Lease,
    LeaseLostError,
    Ledger,
    Look,
    Message,
    Outage,
    Outbox,
    Outcome,
    Seen,
    Unit,
    UnitState,
)
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


def seen(ledger: Ledger, *units: tuple[str, str], at: datetime = NOW) -> list[tuple[str, str]]:
    """Lists units; those that were new."""
    new = ledger.record_seen(FEED, [Seen(*unit, 10, NOW) for unit in units], at)
    return [(each.object_id, each.version) for each in new]


def silent(ended: Sequence[Outcome]) -> Message | None:
    return None


def close(ledger: Ledger, *outcomes: Outcome, at: datetime = NOW) -> None:
    ledger.close_units(FEED, outcomes, at, silent)


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
    ledger.finish(FEED, batch, [Outcome(*key, UnitState.LOADED, content, row_count=1)], at, silent)


def test_a_version_is_new_once(ledger: Ledger) -> None:
    assert seen(ledger, A, B) == [A, B]
    assert seen(ledger, A, B) == []
    assert [(each.object_id, each.version) for each in ledger.units(FEED)] == [A, B]
    assert ledger.units("another feed") == []


def test_many_versions_are_recorded_in_one_go(ledger: Ledger) -> None:
    assert len(seen(ledger, *((f"{number}.csv", "1") for number in range(2500)))) == 2500
    assert len(ledger.units(FEED, [UnitState.DISCOVERED], limit=7)) == 7


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


@pytest.mark.parametrize("taken", [True, False])
def test_a_failure_that_is_no_unit_s_is_no_try_and_the_feed_s_next_end_is_its_end(ledger: Ledger, taken: bool) -> None:
    """The lake is away while the run is at work, or the run never came to take its units."""
    seen(ledger, A, B)
    pauses = [timedelta(seconds=30), timedelta(minutes=5)]
    waits = []
    for number in range(3):
        ledger.lease([lease(f"batch {number}", A)], NOW)
        if taken:
            ledger.take(FEED, f"batch {number}", "run", NOW, TTL)
        ledger.give_back(FEED, f"batch {number}", "the lake is away", NOW, pauses, untried=taken)
        waits.append(unit(ledger, A).retry_at)
    assert waits == [NOW + pauses[0], NOW + pauses[1], NOW + pauses[1]]
    assert (unit(ledger, A).attempts, unit(ledger, A).outages) == (0, 3)
    assert ledger.outages() == {FEED: Outage(3, "the lake is away", NOW + pauses[1])}

    # Another object's failure goes on with the count: it is the feed's.
    ledger.lease([lease("other", B)], NOW)
    ledger.give_back(FEED, "other", "the lake is away", NOW, pauses)
    assert unit(ledger, B).outages == 4

    ledger.lease([lease("good", B)], NOW)
    ledger.take(FEED, "good", "run", NOW, TTL)
    ledger.finish(FEED, "good", [Outcome(*B, UnitState.LOADED, row_count=1)], NOW, silent)
    assert (unit(ledger, A).outages, unit(ledger, A).retry_at) == (0, None)
    assert ledger.outages() == {}


def test_a_try_that_failed_after_an_outage_counts(ledger: Ledger) -> None:
    seen(ledger, A)
    for untried in (True, False, True):
        ledger.lease([lease("batch", A)], NOW)
        ledger.take(FEED, "batch", "run", NOW, TTL)
        ledger.give_back(FEED, "batch", "why", NOW, untried=untried)
    assert (unit(ledger, A).attempts, unit(ledger, A).outages) == (1, 2)


def test_a_version_waits_since_the_first_that_nobody_came_to_try(ledger: Ledger) -> None:
    for number in range(3):
        seen(ledger, ("a.csv", f"{number}"), at=NOW + number * TTL)
    (current,) = ledger.units(FEED)
    assert (current.version, current.first_seen_at, current.waiting_since) == ("2", NOW + 2 * TTL, NOW)
    load(ledger, ("a.csv", "2"), "x", at=NOW + 3 * TTL)
    seen(ledger, ("a.csv", "3"), at=NOW + 4 * TTL)
    assert unit(ledger, ("a.csv", "3")).waiting_since == NOW + 4 * TTL


def test_state_and_message_come_together_or_not_at_all(ledger: Ledger, platform_home: Home) -> None:
    seen(ledger, A, B)
    ledger.lease([lease("batch", B)], NOW)
    told = [Outcome(*key, UnitState.QUARANTINED) for key in (A, B)]
    ledger.close_units(FEED, told, NOW, lambda ended: Message(" ".join(o.object_id for o in ended), "o", "s", "b"))
    assert [unit(ledger, key).state for key in (A, B)] == [UnitState.QUARANTINED, UnitState.REQUESTED]
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
    ledger.finish(FEED, "old", [Outcome(*A, UnitState.LOADED, "hash")], NOW + TTL, silent)
    assert ledger.give_back(FEED, "old", "too late", NOW) == 0
    assert (unit(ledger, A).state, unit(ledger, A).batch_id) == (UnitState.REQUESTED, "new")


def test_a_unit_that_is_given_back_keeps_its_attempts_and_the_reason(ledger: Ledger) -> None:
    seen(ledger, A, B)
    ledger.lease([lease("batch", A, B)], NOW)
    ledger.take(FEED, "batch", "run", NOW, TTL)
    ledger.finish(FEED, "batch", [Outcome(*A, UnitState.LOADED, "hash", 3)], NOW, silent)
    assert ledger.give_back(FEED, "batch", "the disk is full", NOW) == 1
    back = unit(ledger, B)
    assert (back.state, back.attempts, back.reason) == (UnitState.DISCOVERED, 1, "the disk is full")
    assert unit(ledger, A).state is UnitState.LOADED


def test_a_sensor_ends_only_units_that_no_batch_has(ledger: Ledger) -> None:
    seen(ledger, A, B)
    ledger.lease([lease("batch", A)], NOW)
    close(ledger, *(Outcome(*key, UnitState.SUPERSEDED, reason="gone") for key in (A, B)))
    assert [unit(ledger, key).state for key in (A, B)] == [UnitState.REQUESTED, UnitState.SUPERSEDED]


def test_a_version_that_comes_back_is_discovered_again(ledger: Ledger) -> None:
    seen(ledger, A)
    epoch = ledger.feeds.open(FEED, "ingestion")
    close(ledger, Outcome(*A, UnitState.SUPERSEDED, reason="gone before it was read", relist=True))
    assert ledger.feeds.open(FEED, "ingestion") != epoch
    assert seen(ledger, A, at=NOW + TTL) == [A]
    assert (unit(ledger, A).state, unit(ledger, A).first_seen_at) == (UnitState.DISCOVERED, NOW + TTL)


@pytest.mark.parametrize("end", [UnitState.LOADED, UnitState.UNCHANGED, UnitState.QUARANTINED])
def test_a_version_that_is_current_again_is_discovered_again(ledger: Ledger, end: UnitState) -> None:
    seen(ledger, A)
    close(ledger, Outcome(*A, end, "old"))
    load(ledger, ("a.csv", "2"), "new", at=NOW + TTL)
    assert seen(ledger, A, at=NOW + 2 * TTL) == [A]
    load(ledger, A, "old", at=NOW + 2 * TTL)
    assert seen(ledger, A, at=NOW + 3 * TTL) == []
    assert ledger.loaded_hashes(FEED, ["a.csv"]) == {"a.csv": "old"}


def test_other_ends_leave_what_sensors_remember(ledger: Ledger) -> None:
    epoch = ledger.feeds.open(FEED, "ingestion")
    load(ledger, A, "hash")
    seen(ledger, B)
    close(ledger, Outcome(*B, UnitState.SUPERSEDED, reason="overwritten before it was read"))
    assert ledger.feeds.open(FEED, "ingestion") == epoch
    assert ledger.feeds.open("another feed", "ingestion") != epoch


def test_the_listed_version_replaces_those_that_wait(ledger: Ledger) -> None:
    grown, tried, flying, committed = (("a.csv", str(n)) for n in range(4))
    for number, key in enumerate([flying, tried, committed, grown]):
        at = NOW + number * TTL
        seen(ledger, key, at=at)
        if key != grown:
            ledger.lease([lease(f"batch {number}", key, at=at + 20 * TTL)], at)
        if key in (tried, committed):
            ledger.take(FEED, f"batch {number}", "run", at, TTL)
        if key == committed:
            ledger.note_days(FEED, f"batch {number}", {"a.csv": ["2026-03-01"]}, at)
        if key in (tried, committed):
            ledger.give_back(FEED, f"batch {number}", "failed", at)
    assert seen(ledger, ("a.csv", "new"), at=NOW + 9 * TTL) == [("a.csv", "new")]
    assert {each.version: each.state for each in ledger.units(FEED)} == {
        flying[1]: UnitState.REQUESTED,
        tried[1]: UnitState.SUPERSEDED,
        committed[1]: UnitState.DISCOVERED,
        "new": UnitState.DISCOVERED,
    }


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
    close(ledger, Outcome("a.csv", "2", UnitState.SUPERSEDED), at=later + TTL)
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
    close(ledger, Outcome(*A, UnitState.QUARANTINED, reason="line 3"), at=NOW + TTL)
    assert [each.reason for each in ledger.quarantined(FEED)] == ["line 3"]
    seen(ledger, ("a.csv", "2"))
    close(ledger, Outcome("a.csv", "2", good, "hash"), at=NOW + 2 * TTL)
    assert ledger.quarantined(FEED) == []


def test_the_order_of_versions_holds_when_a_clock_goes_back(ledger: Ledger) -> None:
    load(ledger, A, "old", at=NOW)
    earlier = NOW - timedelta(hours=1)
    seen(ledger, ("a.csv", "2"), at=earlier)
    assert unit(ledger, ("a.csv", "2")).first_seen_at > unit(ledger, A).first_seen_at
    close(ledger, Outcome("a.csv", "2", UnitState.LOADED, "new"), at=earlier)
    assert ledger.loaded_hashes(FEED, ["a.csv"]) == {"a.csv": "new"}


def test_what_pauses_comes_after_what_is_ready(ledger: Ledger) -> None:
    present = datetime.now(UTC)
    seen(ledger, A, at=present - TTL)
    ledger.lease([lease("batch", A, at=present)], present)
    ledger.give_back(FEED, "batch", "failed", present, [TTL])
    seen(ledger, B, at=present)
    assert [each.object_id for each in ledger.units(FEED, limit=1)] == ["b.csv"]


def test_days_of_an_earlier_load_of_the_same_version_stay(ledger: Ledger) -> None:
    load(ledger, A, "hash")
    assert ledger.replay(FEED, NOW + TTL, object_id="a.csv") == ["a.csv"]
    ledger.lease([lease("again", A, at=NOW + TTL)], NOW + TTL)
    ledger.note_days(FEED, "again", {"a.csv": ["2026-03-02"]}, NOW + TTL)
    assert ledger.days(FEED, ["a.csv"]) == ["2026-03-01", "2026-03-02"]


def test_counts_are_by_feed_and_state(ledger: Ledger) -> None:
    load(ledger, A, "hash")
    seen(ledger, B)
    assert ledger.counts() == {FEED: {"loaded": 1, "discovered": 1}}


def test_a_day_is_empty_until_rows_come_and_never_again(ledger: Ledger) -> None:
    first, second = date(2026, 3, 1), date(2026, 2, 28)
    ledger.feeds.note_empty_days(FEED, [second, first], NOW)
    ledger.feeds.note_empty_days(FEED, [second], NOW + TTL)
    assert ledger.feeds.days(FEED).empty == {first, second}
    load(ledger, A, "bytes", at=NOW + TTL)
    ledger.feeds.note_empty_days(FEED, [first], NOW + 2 * TTL)
    days = ledger.feeds.days(FEED)
    assert (days.delivered, days.empty) == ({first: NOW + TTL}, {second})
    assert ledger.feeds.days("another feed").delivered == {}


def test_rejected_rows_are_those_of_the_loaded_versions(ledger: Ledger) -> None:
    def load_with(key: tuple[str, str], rejects: int, at: datetime) -> None:
        seen(ledger, key, at=at)
        close(ledger, Outcome(*key, UnitState.LOADED, f"{key}", 5, reject_count=rejects), at=at)

    load_with(A, 3, NOW)
    load_with(B, 7, NOW)
    assert list(ledger.rejected(FEED).items()) == [("b.csv", 7), ("a.csv", 3)]
    load_with(("b.csv", "2"), 0, NOW + TTL)
    assert ledger.rejected(FEED) == {"a.csv": 3}


def test_a_feed_has_a_last_look(ledger: Ledger) -> None:
    ledger.feeds.open(FEED, "ingestion")
    assert (ledger.feeds.looks(), ledger.feeds.owners()) == ({FEED: None}, {FEED: "ingestion"})
    ledger.feeds.open(FEED, "batch")
    assert ledger.feeds.owners() == {FEED: "batch"}
    whole = Look(NOW, 0.5, 0.25, 100, NOW)
    ledger.feeds.note_look(FEED, whole)
    assert ledger.feeds.looks() == {FEED: whole}
    ledger.feeds.note_look(FEED, Look(NOW + TTL, 20.0, 19.0))
    assert ledger.feeds.looks() == {FEED: Look(NOW + TTL, 20.0, 19.0, 100, NOW)}


class TestReplaying:
    def state(self, ledger: Ledger) -> dict[tuple[str, str], UnitState]:
        return {(each.object_id, each.version): each.state for each in ledger.units(FEED)}

    def test_one_object_again_whatever_bytes_are_loaded(self, ledger: Ledger) -> None:
        load(ledger, A, "hash")
        load(ledger, B, "other")
        seen(ledger, ("a.csv", "2"), at=NOW + TTL)
        close(ledger, Outcome("a.csv", "2", UnitState.UNCHANGED, "hash"), at=NOW + TTL)
        assert ledger.replay(FEED, NOW + 2 * TTL, object_id="a.csv") == ["a.csv"]
        assert self.state(ledger) == {
            A: UnitState.LOADED,
            ("a.csv", "2"): UnitState.DISCOVERED,
            B: UnitState.LOADED,
        }
        assert ledger.loaded_hashes(FEED, ["a.csv", "b.csv"]) == {"b.csv": "other"}

    def test_what_is_in_quarantine_with_fresh_tries(self, ledger: Ledger) -> None:
        load(ledger, A, "hash")
        seen(ledger, B)
        for number in range(3):
            ledger.lease([lease(f"{number}", B)], NOW)
            ledger.take(FEED, f"{number}", "run", NOW, TTL)
            ledger.give_back(FEED, f"{number}", "broken", NOW, [TTL])
        close(ledger, Outcome(*B, UnitState.QUARANTINED, reason="broken"))
        assert ledger.replay(FEED, NOW, quarantined=True) == ["b.csv"]
        again = unit(ledger, B)
        assert (again.state, again.attempts, again.retry_at, again.batch_id) == (UnitState.DISCOVERED, 0, None, None)
        assert unit(ledger, A).state is UnitState.LOADED

    def test_what_ended_since_an_instant(self, ledger: Ledger) -> None:
        load(ledger, A, "hash")
        load(ledger, B, "other", at=NOW + TTL)
        assert ledger.replay(FEED, NOW + 2 * TTL, since=NOW + TTL) == ["b.csv"]

    def test_what_is_open_or_overtaken_is_left_alone(self, ledger: Ledger) -> None:
        load(ledger, A, "hash")
        seen(ledger, ("a.csv", "2"), at=NOW + TTL)
        seen(ledger, B)
        ledger.lease([lease("batch", B)], NOW)
        assert ledger.replay(FEED, NOW + TTL, since=NOW) == []
        assert ledger.replay("another feed", NOW, since=NOW) == []

    def test_only_one_choice_at_a_time(self, ledger: Ledger) -> None:
        with pytest.raises(ValueError, match="one of"):
            ledger.replay(FEED, NOW)
        with pytest.raises(ValueError, match="one of"):
            ledger.replay(FEED, NOW, quarantined=True, since=NOW)
