"""What a sensor asks for, as a function of the listing, the ledger and the limits."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from platform_shared.ingestion.landing import LandedFile
from platform_shared.ingestion.planning import Batch, Limits, Plan, plan
from platform_shared.ledger import Outcome, Unit, UnitState

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
LONG_AGO = NOW - timedelta(hours=1)
SOON = NOW + timedelta(minutes=5)
LIMITS = Limits(files_per_batch=100, bytes_per_batch=1000, batches_in_flight=2, attempts=3)


def file(name: str, version: int = 1, *, size: int = 10, changed: datetime = LONG_AGO) -> LandedFile:
    """A listed file; its version is told by its inode."""
    nanoseconds = int(changed.timestamp()) * 10**9
    return LandedFile(name, size, nanoseconds, nanoseconds, inode=version)


def waits(landed: LandedFile, attempts: int = 0, reason: str | None = None, seen: datetime = LONG_AGO) -> Unit:
    """The unit of a file that waits for a batch."""
    return Unit(
        landed.object_id, landed.version, UnitState.DISCOVERED, landed.size_bytes, seen, attempts, reason=reason
    )


def in_flight(landed: LandedFile, batch: str = "earlier", until: datetime = SOON, attempts: int = 1) -> Unit:
    return replace(waits(landed, attempts), state=UnitState.REQUESTED, batch_id=batch, lease_expires_at=until)


def planned(
    listing: Sequence[LandedFile],
    units: Sequence[Unit],
    limits: Limits = LIMITS,
    unchanged: dict[tuple[str, str], str] | None = None,
) -> Plan:
    return plan("orders", listing, units, unchanged or {}, limits, NOW)


def names(batch: Batch) -> list[str]:
    return [name for name, _ in batch.lease.units]


def key(landed: LandedFile) -> tuple[str, str]:
    return landed.object_id, landed.version


def test_new_files_share_a_batch() -> None:
    files = [file("a"), file("b")]
    (batch,) = planned(files, [waits(each) for each in files]).batches
    assert batch.lease.units == tuple(map(key, files))
    assert (batch.attempt, batch.lease.feed, batch.lease.expires_at) == (1, "orders", NOW + LIMITS.lease)


def test_nothing_open_means_nothing_to_do() -> None:
    assert planned([file("a")], []) == Plan()


def test_a_batch_is_bounded_by_files_and_the_rest_waits() -> None:
    files = [file(f"{number:03}") for number in range(250)]
    result = planned(files, [waits(each) for each in files])
    assert [len(batch.lease.units) for batch in result.batches] == [100, 100]
    assert (result.waiting, result.settling) == (50, 0)


def test_a_batch_is_bounded_by_bytes_but_takes_one_file_of_any_size() -> None:
    files = [file("a", size=600), file("b", size=600), file("c", size=5000)]
    result = planned(files, [waits(each) for each in files], replace(LIMITS, batches_in_flight=3))
    assert [names(batch) for batch in result.batches] == [["a"], ["b"], ["c"]]


def test_the_oldest_go_first() -> None:
    files = [file("a"), file("b"), file("c")]
    seen = {"a": NOW, "b": LONG_AGO, "c": LONG_AGO - timedelta(hours=1)}
    units = [waits(each, seen=seen[each.object_id]) for each in files]
    result = planned(files, units, replace(LIMITS, files_per_batch=1))
    assert [names(batch) for batch in result.batches] == [["c"], ["b"]]


def test_batches_in_flight_take_their_slots() -> None:
    files = [file("a"), file("b"), file("c")]
    result = planned(files, [in_flight(files[0], "1"), in_flight(files[1], "2"), waits(files[2])])
    assert result.batches == ()
    assert result.waiting == 1


def test_a_lease_that_ran_out_frees_its_slot_and_its_file() -> None:
    landed = file("a")
    (batch,) = planned([landed], [in_flight(landed, until=NOW)], replace(LIMITS, batches_in_flight=1)).batches
    assert (names(batch), batch.attempt) == (["a"], 2)


def test_a_file_that_is_being_written_waits() -> None:
    fresh = file("a", changed=NOW - timedelta(seconds=1))
    result = planned([fresh], [waits(fresh, seen=NOW)])
    assert result == Plan(waiting=1, settling=1)


def test_a_file_whose_clock_is_ahead_is_taken_when_it_was_seen_unchanged_for_long_enough() -> None:
    ahead = file("a", changed=NOW + timedelta(hours=3))
    assert planned([ahead], [waits(ahead, seen=NOW - timedelta(seconds=1))]).settling == 1
    assert len(planned([ahead], [waits(ahead, seen=NOW - LIMITS.settle)]).batches) == 1


def test_a_version_that_is_not_listed_any_more_is_superseded() -> None:
    result = planned([file("a", 2)], [waits(file("a", 1)), waits(file("a", 2)), waits(file("gone"))])
    assert {(outcome.object_id, outcome.state, outcome.reason) for outcome in result.ended} == {
        ("a", UnitState.SUPERSEDED, "a newer version is there"),
        ("gone", UnitState.SUPERSEDED, "the file is gone"),
    }
    assert [batch.lease.units for batch in result.batches] == [(key(file("a", 2)),)]


def test_a_new_version_waits_until_the_old_one_is_done() -> None:
    result = planned([file("a", 2)], [in_flight(file("a", 1)), waits(file("a", 2))])
    assert (result.batches, result.ended, result.waiting) == ((), (), 1)


def test_known_bytes_end_without_a_batch() -> None:
    landed = file("a")
    result = planned([landed], [waits(landed)], unchanged={key(landed): "hash"})
    assert result.batches == ()
    assert result.ended == (
        Outcome(*key(landed), UnitState.UNCHANGED, "hash", reason="the same bytes as the loaded version"),
    )


def test_a_failed_file_waits_for_its_pause() -> None:
    failed, other = file("a"), file("b")
    units = [replace(waits(failed, 1, "disk full"), retry_at=NOW + timedelta(seconds=1)), waits(other)]
    result = planned([failed, other], units)
    assert [names(batch) for batch in result.batches] == [["b"]]
    assert (result.waiting, result.settling) == (1, 0)
    rested = [replace(units[0], retry_at=NOW)]
    assert [names(batch) for batch in planned([failed], rested).batches] == [["a"]]


def test_used_up_tries_end_in_quarantine_with_the_last_reason() -> None:
    told, silent = file("a"), file("b")
    result = planned([told, silent], [waits(told, 3, "disk full"), in_flight(silent, until=NOW, attempts=3)])
    assert [(outcome.state, outcome.reason) for outcome in result.ended] == [
        (UnitState.QUARANTINED, "3 tries failed; the last one: disk full"),
        (UnitState.QUARANTINED, "3 tries failed; the last one: the run ended without a word, its lease ran out"),
    ]


def test_later_tries_go_in_ever_smaller_batches_of_their_own() -> None:
    files = [file(f"{number:03}") for number in range(60)]
    units = [waits(each, number % 3) for number, each in enumerate(files)]
    result = planned(files, units, replace(LIMITS, batches_in_flight=100))
    sizes = Counter((batch.attempt, len(batch.lease.units)) for batch in result.batches)
    assert sizes == {(1, 20): 1, (2, 10): 2, (3, 1): 20}


def test_ids_of_batches_differ() -> None:
    files = [file(f"{number}") for number in range(20)]
    result = planned(files, [waits(each) for each in files], replace(LIMITS, files_per_batch=1, batches_in_flight=20))
    assert len({batch.lease.batch_id for batch in result.batches}) == 20


limits_of_any_size = st.builds(
    Limits,
    files_per_batch=st.integers(1, 5),
    bytes_per_batch=st.integers(1, 60),
    batches_in_flight=st.integers(1, 3),
    attempts=st.integers(1, 3),
)


@st.composite
def situations(draw: st.DrawFn) -> tuple[list[LandedFile], list[Unit], dict[tuple[str, str], str]]:
    """Half of the objects are new complete files; of the others, up to three versions are open, one may be listed and
    one may be in flight."""
    listing, units, unchanged = [], [], {}
    for name in draw(st.lists(st.sampled_from("abcdefghij"), unique=True)):
        if draw(st.booleans()):
            new = file(name, size=draw(st.integers(0, 40)))
            listing.append(new)
            retry_at = draw(st.sampled_from([None, LONG_AGO, SOON]))
            units.append(replace(waits(new, draw(st.integers(0, 1))), retry_at=retry_at))
            continue
        versions = draw(st.lists(st.integers(1, 3), unique=True))
        flying = draw(st.sampled_from([None, *versions]))
        listed = draw(st.sampled_from([None, *versions]))
        for version in versions:
            changed = draw(st.sampled_from([LONG_AGO, NOW - timedelta(seconds=1)]))
            landed = file(name, version, size=draw(st.integers(0, 40)), changed=changed)
            attempts = draw(st.integers(0, 3))
            if version == flying:
                units.append(in_flight(landed, draw(st.sampled_from(["one", "two"])), SOON, max(1, attempts)))
            elif draw(st.booleans()):
                units.append(in_flight(landed, f"expired {name}{version}", NOW, max(1, attempts)))
            else:
                units.append(waits(landed, attempts, seen=draw(st.sampled_from([LONG_AGO, NOW]))))
            if version == listed:
                listing.append(landed)
                if draw(st.integers(0, 4)) == 0:
                    unchanged[key(landed)] = "hash"
    return listing, units, unchanged


@given(situations(), limits_of_any_size)
def test_any_plan_keeps_the_rules(
    situation: tuple[list[LandedFile], list[Unit], dict[tuple[str, str], str]], limits: Limits
) -> None:
    listing, units, unchanged = situation
    result = planned(listing, units, limits, unchanged)
    by_key = {(unit.object_id, unit.version): unit for unit in units}
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
        assert 1 <= len(sizes) <= max(1, limits.files_per_batch // 10 ** (batch.attempt - 1))
        assert len(sizes) == 1 or sum(sizes) <= limits.bytes_per_batch
        assert {by_key[k].attempts + 1 for k in batch.lease.units} == {batch.attempt}
        assert batch.attempt <= limits.attempts

    # Nothing is lost, and nothing happens twice: each open version is in flight, asked for, ended, or waits.
    assert Counter([*flying, *asked, *ended]) == Counter({*flying, *asked, *ended})
    waiting = by_key.keys() - flying - {*asked} - {*ended}
    assert result.waiting == len(waiting)
    assert waiting <= {key(landed) for landed in listing}

    # A slot is left empty only if whatever waits is being written, rests, or has another version in flight.
    resting = {k for k in waiting if (by_key[k].retry_at or NOW) > NOW}
    blocked = {k for k in waiting if k[0] in {name for name, _ in flying}}
    assert not {*asked} & {k for k, unit in by_key.items() if (unit.retry_at or NOW) > NOW}
    if len(batches_before) + len(result.batches) < limits.batches_in_flight:
        assert len(waiting - resting - blocked) <= result.settling


@given(st.data(), st.integers(1, 12), limits_of_any_size)
def test_every_file_ends_whatever_its_runs_do(data: st.DataObject, files: int, limits: Limits) -> None:
    """Plays tick after tick: each batch succeeds, fails, or dies so that its lease has to run out."""
    listing = [file(f"{number:02}") for number in range(files)]
    ledger = {key(landed): waits(landed) for landed in listing}
    now = NOW
    for _ in range(3 * files * limits.attempts + 3):
        open_units = [u for u in ledger.values() if u.state in (UnitState.DISCOVERED, UnitState.REQUESTED)]
        result = plan("orders", listing, open_units, {}, limits, now)
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
