"""A pass over a listing: everything is recorded, what is known is not asked for again, and it goes on where it was."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platform_shared.ingestion.objects import Refused, SourceError, SourceObject
from platform_shared.ingestion.scanning import CursorError, Memory, Scan, scan

EPOCH = "first"


class Shelf:
    """A source in memory; `broken_at` is the id at which a listing breaks off."""

    def __init__(self, versions: dict[str, str], broken_at: str | None = None) -> None:
        self.versions, self.broken_at = versions, broken_at

    def walk(self, after: str | None = None) -> Iterator[SourceObject | Refused]:
        for name in sorted(self.versions):
            if name == self.broken_at:
                raise SourceError("the source is away")
            if after is None or name > after:
                yield SourceObject(name, self.versions[name], 1, 0)

    def current(self, object_id: str) -> SourceObject | None:
        raise NotImplementedError

    def fetch(self, object_id: str, version: str, folder: Path) -> Path:
        raise NotImplementedError


class Ledger:
    """Remembers versions, and how many it was asked about."""

    def __init__(self) -> None:
        self.known: set[tuple[str, str]] = set()
        self.asked = 0

    def record(self, chunk: Sequence[SourceObject]) -> Sequence[SourceObject]:
        self.asked += len(chunk)
        new = [entry for entry in chunk if (entry.object_id, entry.version) not in self.known]
        self.known |= {(entry.object_id, entry.version) for entry in chunk}
        return new


def look(shelf: Shelf, memory: Memory, ledger: Ledger, *, chunks: int | None = None) -> Scan:
    """One look; `chunks` is how many there is time for."""
    left = iter(range(chunks - 1)) if chunks is not None else None
    return scan(
        shelf,
        memory,
        lambda name: not name.startswith("other"),
        ledger.record,
        lambda: left is not None and next(left, None) is None,
    )


def many(number: int, version: str = "1") -> dict[str, str]:
    return {f"{n:06}": version for n in range(number)}


def test_a_second_look_asks_about_nothing() -> None:
    ledger, shelf = Ledger(), Shelf(many(5000))
    first = look(shelf, Memory(EPOCH), ledger)
    assert (first.whole, first.objects, len(first.new), ledger.asked) == (True, 5000, 5000, 5000)
    second = look(shelf, Memory.of(first.memory.cursor(), EPOCH), ledger)
    assert (second.whole, second.objects, second.new, ledger.asked) == (True, 5000, [], 5000)


@pytest.mark.parametrize("name", ["000000", "002500", "004999", "0024995", "00", "9"])
def test_one_change_asks_about_its_neighbours_only(name: str) -> None:
    ledger, shelf = Ledger(), Shelf(many(50_000))
    memory = look(shelf, Memory(EPOCH), ledger).memory
    ledger.asked = 0
    shelf.versions[name] = "changed"
    result = look(shelf, memory, ledger)
    assert [(entry.object_id, entry.version) for entry in result.new] == [(name, "changed")]
    assert ledger.asked <= 2 * 4096


def test_the_memory_of_many_objects_is_small() -> None:
    memory = look(Shelf(many(100_000)), Memory(EPOCH), Ledger()).memory
    assert len(memory.cursor()) < 8_000


def test_a_long_listing_goes_on_with_the_next_look() -> None:
    ledger, shelf, memory = Ledger(), Shelf(many(20_000)), Memory(EPOCH)
    looks = 0
    while not (result := look(shelf, memory, ledger, chunks=5)).whole:
        assert result.memory.after is not None
        memory = Memory.of(result.memory.cursor(), EPOCH)
        looks += 1
    assert looks > 2
    assert result.objects == 20_000
    assert len(ledger.known) == ledger.asked == 20_000


def test_a_listing_that_breaks_off_is_no_end_and_what_was_recorded_stays() -> None:
    ledger, shelf = Ledger(), Shelf(many(5000), broken_at="004000")
    with pytest.raises(SourceError):
        look(shelf, Memory(EPOCH), ledger)
    assert ledger.asked > 0
    shelf.broken_at = None
    look(shelf, Memory(EPOCH), ledger)
    assert len(ledger.known) == 5000


def test_what_is_not_of_the_feed_is_not_recorded() -> None:
    ledger = Ledger()
    result = look(Shelf({"a": "1", "other": "1"}), Memory(EPOCH), ledger)
    assert (result.objects, ledger.known) == (1, {("a", "1")})


def test_refused_names_are_reported_each_time() -> None:
    class Odd(Shelf):
        def walk(self, after: str | None = None) -> Iterator[SourceObject | Refused]:
            yield Refused("odd", "it is odd")
            yield from super().walk(after)

    result = look(Odd({"a": "1"}), Memory(EPOCH), Ledger())
    assert result.refused == [Refused("odd", "it is odd")]
    assert result.objects == 1


def test_a_new_epoch_forgets_what_was_listed() -> None:
    ledger, shelf = Ledger(), Shelf(many(3000))
    memory = look(shelf, Memory(EPOCH), ledger).memory
    ledger.known.discard(("000100", "1"))
    assert look(shelf, Memory.of(memory.cursor(), EPOCH), ledger).new == []
    again = look(shelf, Memory.of(memory.cursor(), "second"), ledger)
    assert [entry.object_id for entry in again.new] == ["000100"]


def test_a_listing_goes_on_when_the_epoch_changes_and_the_next_one_compares_everything() -> None:
    ledger, shelf = Ledger(), Shelf(many(20_000))
    memory, looks = Memory("0"), 0
    while not (result := look(shelf, memory, ledger, chunks=5)).whole:
        looks += 1
        assert looks < 100
        memory = Memory.of(result.memory.cursor(), f"{looks}")
    assert len(ledger.known) == 20_000
    ledger.known.clear()
    memory = Memory.of(result.memory.cursor(), result.memory.epoch)
    for _ in range(looks + 1):
        memory = look(shelf, memory, ledger).memory
    assert len(ledger.known) > 0


def test_time_runs_out_also_among_objects_of_other_feeds() -> None:
    shelf = Shelf({f"other {n:06}": "1" for n in range(50_000)} | {"z": "1"})
    ledger, memory, looks = Ledger(), Memory(EPOCH), 0
    while not (result := look(shelf, memory, ledger, chunks=2)).whole:
        looks += 1
        assert result.memory.after != memory.after
        memory = result.memory
    assert looks > 2
    assert ledger.known == {("z", "1")}


@pytest.mark.parametrize("cursor", ["{", "[]", '{"version":7}', '{"version":1,"epoch":"first"}', "17"])
def test_a_foreign_cursor_is_an_error_that_says_what_to_do(cursor: str) -> None:
    with pytest.raises(CursorError, match="Reset it"):
        Memory.of(cursor, EPOCH)


def test_no_cursor_is_an_empty_memory() -> None:
    assert Memory.of(None, EPOCH) == Memory.of("", EPOCH) == Memory(EPOCH)


def test_a_cursor_is_text_with_a_version() -> None:
    assert json.loads(Memory(EPOCH).cursor())["version"] == 1


shelves = st.dictionaries(st.text("ab/.é\n%", min_size=1, max_size=6), st.sampled_from("123"), max_size=40)


@given(st.lists(st.tuples(shelves, st.none() | st.integers(1, 3)), min_size=1, max_size=6))
def test_whatever_changes_between_looks_the_last_whole_one_has_recorded_all(
    steps: list[tuple[dict[str, str], int | None]],
) -> None:
    ledger, memory = Ledger(), Memory(EPOCH)
    for versions, chunks in [*steps, (steps[-1][0], None), (steps[-1][0], None)]:
        result = look(Shelf(versions), Memory.of(memory.cursor(), EPOCH), ledger, chunks=chunks)
        memory = result.memory
    assert result.whole
    assert set(steps[-1][0].items()) <= ledger.known
