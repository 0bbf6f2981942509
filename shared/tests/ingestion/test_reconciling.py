"""Source, ledger and table compared: each way in which they can differ is found, and nothing else is."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from platform_shared.ingestion.objects import Refused, SourceObject
from platform_shared.ingestion.reconciling import Difference, Held, Reconciliation, compare
from platform_shared.ledger import Unit, UnitState

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
PATIENCE = timedelta(minutes=30)
LONG_AGO = NOW - timedelta(hours=2)


def listed(name: str, version: str = "1", changed: datetime = LONG_AGO) -> SourceObject:
    return SourceObject(name, version, 10, int(changed.timestamp()) * 10**9)


def unit(name: str, state: UnitState, version: str = "1", *, rows: int = 5, rejects: int = 0) -> Unit:
    """A unit that ended an hour after it was seen (or is open)."""
    ended = None if state in (UnitState.DISCOVERED, UnitState.REQUESTED) else LONG_AGO + timedelta(hours=1)
    loaded = state is UnitState.LOADED
    return Unit(
        name,
        version,
        state,
        10,
        LONG_AGO,
        row_count=rows if loaded else None,
        reject_count=rejects if loaded else None,
        finished_at=ended,
    )


def found(
    listing: list[SourceObject | Refused], units: list[Unit], held: dict[str, Held]
) -> dict[Difference, list[str]]:
    return compare(listing, units, held, NOW, PATIENCE).differences


def test_what_agrees_is_clean_and_counted() -> None:
    result = compare(
        [listed("a"), listed("b"), listed("c"), Refused("link", "a link")],
        [unit("a", UnitState.LOADED, rejects=1), unit("b", UnitState.LOADED, rows=0), unit("c", UnitState.QUARANTINED)],
        {"a": Held("1", 5, 1)},
        NOW,
        PATIENCE,
    )
    assert result == Reconciliation(listed=3, loaded=2, quarantined=1, rows=5, rejects=1)
    assert result.is_clean
    assert result.lines() == []


def test_an_object_that_the_ledger_never_saw() -> None:
    assert found([listed("a")], [], {}) == {Difference.UNSEEN: ["a"]}
    assert found([listed("a", "2")], [unit("a", UnitState.LOADED)], {"a": Held("1", 5, 0)}) == {
        Difference.UNSEEN: ["a"]
    }


def test_an_object_that_just_came_is_on_its_way() -> None:
    assert found([listed("a", changed=NOW - timedelta(minutes=29))], [], {}) == {}


def test_a_deleted_object_stays_loaded() -> None:
    assert found([], [unit("a", UnitState.LOADED)], {"a": Held("1", 5, 0)}) == {}


@pytest.mark.parametrize(
    "held",
    [{}, {"a": Held("1", 4, 0)}, {"a": Held("1", 10, 0)}, {"a": Held("0", 5, 0)}, {"a": Held("1", 5, 1)}],
    ids=["none", "fewer", "twice", "of another version", "other rejects"],
)
def test_a_loaded_object_with_other_rows_in_the_table(held: dict[str, Held]) -> None:
    assert found([listed("a")], [unit("a", UnitState.LOADED)], held) == {Difference.ROWS_MISSING: ["a"]}


def test_rows_that_nobody_loaded() -> None:
    assert found([], [], {"a": Held("1", 5, 0)}) == {Difference.ROWS_UNKNOWN: ["a"]}
    set_aside = unit("a", UnitState.QUARANTINED)
    assert found([listed("a")], [set_aside], {"a": Held("1", 5, 0)}) == {Difference.ROWS_UNKNOWN: ["a"]}


def test_rows_that_a_dead_run_may_have_committed_are_no_difference() -> None:
    committed = replace(unit("a", UnitState.SUPERSEDED, "2"), days=("2026-03-01",))
    later = replace(committed, finished_at=NOW)
    assert found([], [unit("a", UnitState.LOADED), later], {"a": Held("2", 7, 0)}) == {}
    assert found([], [later], {"a": Held("2", 7, 0)}) == {}


def test_the_same_bytes_again_leave_the_rows_of_the_loaded_version() -> None:
    again = replace(unit("a", UnitState.UNCHANGED, "2"), finished_at=NOW, days=("2026-03-01",))
    held = {"a": Held("1", 5, 0)}
    assert found([listed("a", "2")], [unit("a", UnitState.LOADED), again], held) == {}
    assert found([listed("a", "2")], [unit("a", UnitState.LOADED), again], {}) == {Difference.ROWS_MISSING: ["a"]}


def test_a_listed_version_that_is_not_in_effect() -> None:
    """A newest version that was deleted, and nobody noticed that the one before is current again."""
    newer = replace(unit("a", UnitState.LOADED, "2"), finished_at=NOW)
    for state in (UnitState.LOADED, UnitState.SUPERSEDED):
        assert found([listed("a")], [unit("a", state), newer], {"a": Held("2", 5, 0)}) == {
            Difference.NOT_IN_EFFECT: ["a"]
        }
    assert found([listed("a", "2")], [unit("a", UnitState.LOADED), newer], {"a": Held("2", 5, 0)}) == {}
    assert found([listed("a")], [unit("a", UnitState.SUPERSEDED)], {}) == {Difference.NOT_IN_EFFECT: ["a"]}


def test_what_is_being_loaded_is_not_compared_with_the_table() -> None:
    new = replace(unit("a", UnitState.REQUESTED, "2"), first_seen_at=NOW)
    result = compare([listed("a", "2")], [unit("a", UnitState.LOADED), new], {"a": Held("2", 9, 0)}, NOW, PATIENCE)
    assert (result.is_clean, result.waiting) == (True, 1)


def test_what_waits_for_too_long_is_told() -> None:
    assert found([listed("a")], [unit("a", UnitState.DISCOVERED)], {}) == {Difference.STUCK: ["a"]}


def test_a_long_list_is_cut() -> None:
    result = compare([listed(f"{n:03}") for n in range(50)], [], {}, NOW, PATIENCE)
    (line,) = result.lines()
    assert line.startswith("50 in the source, unknown to the ledger: 000, 001")
    assert line.endswith("and 30 more")
