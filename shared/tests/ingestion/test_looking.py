"""One look at a feed, on real files and the real ledger: what it asks for, what it ends, what it says."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from platform_shared.contracts import Column, Contract
from platform_shared.ingestion import looking
from platform_shared.ingestion.feed import Landing, ObjectFeed
from platform_shared.ingestion.landing import LandingFolder
from platform_shared.ingestion.looking import Looked, Looker, RunState
from platform_shared.ingestion.objects import SourceMissingError
from platform_shared.ingestion.planning import Gate, Limits
from platform_shared.ingestion.reading import Format
from platform_shared.ledger import Ledger, Outbox, Outcome, UnitState
from platform_shared.partitions import BUSINESS_DAYS
from platform_shared.postgres import postgres
from platform_shared.settings import Home

CONTRACT = Contract("raw", "looked", "ingestion", "Rows.", (Column("id", "BIGINT", "Number."),))
FEED = ObjectFeed("looked", CONTRACT, Landing("looked"), Format.CSV)


@dataclass
class Desk:
    """A folder, and looks at it, an hour after whatever is put there."""

    folder: Path
    home: Home
    ledger: Ledger
    outbox: Outbox
    now: datetime = field(default_factory=lambda: datetime.now(UTC) + timedelta(hours=1))
    cursor: str | None = None
    run: tuple[RunState, str] = (RunState.UNKNOWN, "no run")
    announced: list[tuple[str | None, bool]] = field(default_factory=list)

    def put(self, name: str, content: str = "id\n1\n") -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        return path

    def look(self, feed: ObjectFeed = FEED) -> Looked:
        self.now += timedelta(seconds=5)
        source = LandingFolder(self.folder)
        looker = Looker(
            feed,
            source,
            self.ledger,
            self.outbox,
            self.home.quarantine,
            lambda *_: self.run,
            lambda day, empty: self.announced.append((day, empty)),
        )
        looked = looker.look(self.cursor, self.now)
        self.cursor = looked.memory.cursor()
        return looked

    def asked(self, feed: ObjectFeed = FEED) -> list[str]:
        return [name for batch in self.look(feed).batches for name, _ in batch.lease.units]

    def load(self, looked: Looked) -> None:
        """As a run does, without reading."""
        for batch in looked.batches:
            units = self.ledger.take(FEED.name, batch.lease.batch_id, "run", self.now, timedelta(minutes=10))
            ended = [Outcome(u.object_id, u.version, UnitState.LOADED, self._hash(u.object_id), 1) for u in units]
            self.ledger.finish(FEED.name, batch.lease.batch_id, ended, self.now, lambda _: None)

    def _hash(self, name: str) -> str:
        from platform_shared.ingestion.landing import sha256

        return sha256(self.folder / name)

    def messages(self) -> list[str]:
        return [message.subject for message in self.outbox.undelivered()]


@pytest.fixture
def desk(platform_home: Home, tmp_path: Path) -> Iterator[Desk]:
    folder = tmp_path / "looked"
    folder.mkdir()
    desk = Desk(folder, platform_home, Ledger(postgres(platform_home)), Outbox(postgres(platform_home)))
    yield desk
    desk.ledger.close()
    desk.outbox.close()


def test_an_object_is_asked_for_once(desk: Desk) -> None:
    desk.put("a.csv")
    looked = desk.look()
    assert [batch.lease.units[0][0] for batch in looked.batches] == ["a.csv"]
    assert (looked.objects, [entry.object_id for entry in looked.new], looked.why_nothing) == (1, ["a.csv"], None)
    again = desk.look()
    assert (again.batches, again.new) == ([], [])
    assert again.why_nothing == "of 1 objects: 1 being loaded"
    desk.load(looked)
    assert desk.look().why_nothing == "nothing new of 1 objects"


def test_a_touched_object_costs_no_run(desk: Desk) -> None:
    path = desk.put("a.csv")
    desk.load(desk.look())
    os.utime(path, (1, 1))
    assert desk.asked() == []
    assert [unit.state for unit in desk.ledger.units(FEED.name)] == [UnitState.LOADED, UnitState.UNCHANGED]


def test_what_is_not_of_the_pattern_is_left_alone(desk: Desk) -> None:
    for name in ("a.csv", "b.txt", "day/c.csv"):
        desk.put(name)
    assert desk.asked(replace(FEED, pattern="*.csv")) == ["a.csv", "day/c.csv"]


def test_an_object_with_a_marker_is_taken_when_the_marker_is_there(desk: Desk) -> None:
    marked = replace(FEED, limits=Limits(marker=".done"))
    desk.put("a.csv")
    desk.put("b.csv")
    desk.put("b.csv.done", "")
    assert desk.asked(marked) == ["b.csv"]
    desk.put("a.csv.done", "")
    assert desk.asked(marked) == ["a.csv"]


def test_few_objects_wait_for_more_and_then_go_together(desk: Desk) -> None:
    gated = replace(FEED, gate=Gate(least_objects=3, longest_wait=timedelta(minutes=10)))
    desk.put("a.csv")
    assert desk.look(gated).why_nothing == "of 1 objects: 1 waiting for more to come"
    desk.now += timedelta(minutes=10)
    assert desk.asked(gated) == ["a.csv"]
    for name in ("b.csv", "c.csv", "d.csv"):
        desk.put(name)
    assert desk.asked(gated) == ["b.csv", "c.csv", "d.csv"]


def test_a_listing_that_takes_too_long_goes_on_and_nothing_is_asked_twice(desk: Desk) -> None:
    hasty = replace(FEED, tick_seconds=0.0, limits=Limits(objects_per_batch=5000, batches_in_flight=100))
    for number in range(2500):
        desk.put(f"{number:05}.csv")
    asked: list[str] = []
    looks = 0
    while True:
        looked = desk.look(hasty)
        looks += 1
        asked += [name for batch in looked.batches for name, _ in batch.lease.units]
        if looked.objects is not None:
            break
        assert looked.memory.after is not None
    assert looks > 2
    assert looked.objects == 2500
    assert sorted(asked) == [f"{number:05}.csv" for number in range(2500)]
    look = desk.ledger.feeds.looks()[FEED.name]
    assert look is not None
    assert (look.listed_objects, look.listed_whole_at) == (2500, desk.now)


def test_a_source_that_was_never_there_is_waited_for_and_one_that_vanished_is_an_error(desk: Desk) -> None:
    desk.folder.rmdir()
    assert str(desk.look().why_nothing).startswith("Nothing was delivered yet: The landing folder 'looked' does not")
    desk.put("a.csv")
    desk.load(desk.look())
    desk.folder.rename(desk.folder.with_name("away"))
    cursor = desk.cursor
    with pytest.raises(SourceMissingError):
        desk.look()
    assert desk.cursor == cursor
    assert [unit.state for unit in desk.ledger.units(FEED.name)] == [UnitState.LOADED]
    desk.folder.with_name("away").rename(desk.folder)
    assert desk.asked() == []


def test_a_file_that_comes_back_after_it_was_gone_is_loaded(desk: Desk) -> None:
    """A mount that flickers: the listing saw it, the run did not, and the next listing is as the one before."""
    desk.put("a.csv")
    (batch,) = desk.look().batches
    ((name, version),) = batch.lease.units
    desk.ledger.take(FEED.name, batch.lease.batch_id, "run", desk.now, timedelta(minutes=10))
    gone = Outcome(name, version, UnitState.SUPERSEDED, reason="gone before it was read", relist=True)
    desk.ledger.finish(FEED.name, batch.lease.batch_id, [gone], desk.now, lambda _: None)
    assert desk.asked() == ["a.csv"]


def test_a_link_is_told_once(desk: Desk) -> None:
    (desk.folder / "link.csv").symlink_to("/etc/hostname")
    assert desk.look().why_nothing == "nothing new of 0 objects"
    desk.look()
    assert desk.messages() == ["looked: link.csv not loaded"]
    (desk.folder / "other.csv").symlink_to("/etc/hostname")
    desk.look()
    assert desk.messages() == ["looked: link.csv not loaded", "looked: 2 names not loaded"]


def test_used_up_tries_end_in_quarantine_with_bytes_reason_and_one_message(desk: Desk) -> None:
    once = replace(FEED, limits=Limits(attempts=1, pauses=(timedelta(0),)))
    for name in ("a.csv", "b.csv"):
        desk.put(name, f"id\n{name}\n")
    looked = desk.look(once)
    (batch,) = looked.batches
    desk.ledger.take(FEED.name, batch.lease.batch_id, "run 7", desk.now, FEED.limits.lease)
    assert not looked.set_aside
    desk.run = (RunState.ENDED, "run 7 ended as FAILURE")
    looked = desk.look(once)
    assert (looked.batches, looked.set_aside) == ([], True)
    assert {unit.reason for unit in desk.ledger.quarantined(FEED.name)} == {
        f"{name}: 1 tries failed; the last one: run 7 ended as FAILURE without a reason" for name in ("a.csv", "b.csv")
    }
    assert desk.messages() == ["looked: 2 objects set aside"]
    notes = [json.loads(path.read_text()) for path in (desk.home.quarantine / "looked").glob("*.reason.json")]
    assert sorted(note["object"] for note in notes) == ["a.csv", "b.csv"]
    kept = {path.read_text() for path in (desk.home.quarantine / "looked").iterdir() if not path.suffix}
    assert kept == {"id\na.csv\n", "id\nb.csv\n"}
    assert batch.attempt == 1


def test_a_launcher_that_is_away_for_hours_sets_nothing_aside_and_starts_few_runs(desk: Desk) -> None:
    """Files keep coming, and each run ends before it takes its units."""
    feed = replace(FEED, limits=Limits(pauses=(timedelta(seconds=30), timedelta(minutes=15))))
    desk.run = (RunState.ENDED, "run 7 ended as FAILURE")
    asked = 0
    for number in range(3 * 60):
        desk.put(f"{number}.csv")
        asked += len(desk.look(feed).batches)
        desk.now += timedelta(minutes=1)
    assert 0 < asked <= 3 * 4 + 4
    assert desk.ledger.quarantined(FEED.name) == []
    said = desk.look(feed).why_nothing
    assert said is not None
    assert "the last run failed, and for no reason of theirs" in said

    desk.run = (RunState.UNKNOWN, "no run")
    desk.now += timedelta(minutes=15)
    looked = desk.look(feed)
    assert len(looked.batches) == 1
    desk.load(looked)
    desk.put("last.csv")
    assert desk.asked(feed) == ["last.csv"], "the outage is over"


def test_objects_that_no_feed_wants_are_counted_where_people_look(desk: Desk) -> None:
    desk.put("a.cvs")
    assert desk.look(replace(FEED, pattern="*.csv")).why_nothing == (
        "nothing new of 0 objects (1 others do not match '*.csv')"
    )


def test_years_of_empty_days_are_announced_over_several_looks_each_once(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looking, "_ANNOUNCED_AT_ONCE", 20)
    contract = replace(CONTRACT, partitions=BUSINESS_DAYS)
    feed = replace(FEED, contract=contract, period="DATE '2025-04-01'", tick_seconds=0.0)
    desk.ledger.note_days(FEED.name, "batch", {"a.csv": ["2025-04-01"]}, desk.now - timedelta(hours=1))
    days = [f"{date(2025, 1, 6) + timedelta(days=n)}" for n in range(85)]
    for looks in range(1, 6):
        desk.look(feed)
        assert desk.announced == [(day, True) for day in days[: 20 * looks]]
    desk.look(feed)
    assert len(desk.announced) == len(days)


def test_a_run_that_waits_keeps_its_batch(desk: Desk) -> None:
    desk.put("a.csv")
    desk.look()
    desk.run = (RunState.WAITING, "run 7")
    for _ in range(5):
        desk.now += timedelta(minutes=9)
        assert desk.asked() == []
    desk.run = (RunState.UNKNOWN, "no run")
    desk.now += timedelta(minutes=11)
    assert desk.asked() == ["a.csv"]


def test_two_sensors_of_one_feed_do_not_ask_for_the_same(desk: Desk) -> None:
    """A location that was renamed, while the old one still runs."""
    for number in range(50):
        desk.put(f"{number}.csv")
    small = replace(FEED, limits=Limits(objects_per_batch=10, batches_in_flight=3))
    mine = desk.asked(small)
    desk.cursor = None
    theirs = desk.asked(small)
    assert len({*mine}) == 30
    assert theirs == []


def test_the_ledger_alone_knows_what_was_done(desk: Desk) -> None:
    for number in range(20):
        desk.put(f"{number}.csv")
    desk.load(desk.look())
    desk.cursor = None
    looked = desk.look()
    assert (looked.batches, looked.new, looked.objects) == ([], [], 20)


def test_what_is_set_aside_again_after_a_replay_is_told_again(desk: Desk) -> None:
    once = replace(FEED, limits=Limits(attempts=1, pauses=(timedelta(0),)))
    desk.put("a.csv")
    for expected in (1, 2):
        (batch,) = desk.look(once).batches
        desk.ledger.take(FEED.name, batch.lease.batch_id, "run 7", desk.now, FEED.limits.lease)
        desk.run = (RunState.ENDED, "run 7 ended as FAILURE")
        desk.look(once)
        desk.run = (RunState.UNKNOWN, "no run")
        assert len(desk.messages()) == expected
        assert desk.ledger.replay(FEED.name, desk.now, quarantined=True) == ["a.csv"]


def test_a_time_beyond_all_calendars_holds_up_nothing(desk: Desk) -> None:
    desk.put("a.csv")

    class Odd(LandingFolder):
        def walk(self, after: str | None = None) -> Iterator[Any]:
            for found in super().walk(after):
                yield found._replace(changed_ns=2**62 * 100)

    looker = Looker(
        FEED, Odd(desk.folder), desk.ledger, desk.outbox, desk.home.quarantine, lambda *_: desk.run, lambda *_: None
    )
    assert looker.look(None, desk.now).new[0].object_id == "a.csv"
