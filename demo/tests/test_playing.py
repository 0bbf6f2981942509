import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from demo_world.dropping import GOOD_MANNERS, Manners
from demo_world.playing import Player
from demo_world.source import store_day_files

NamesIn = Callable[[Path], set[str]]


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


class World:
    """A landing folder whose time passes only by waiting, up to an end; it notes what came when."""

    def __init__(self, landing: Path, start: str, end: str | None = None) -> None:
        self.landing = landing
        self.now = utc(start)
        self.end = utc(end) if end else None
        self.longest_wait = 0.0
        self.came: dict[tuple[str, int], datetime] = {}  # (name, inode) -> when it was first there

    def clock(self) -> datetime:
        return self.now

    def wait(self, seconds: float) -> bool:
        for path in self.landing.glob("*/*"):
            self.came.setdefault((f"{path.parent.name}/{path.name}", path.stat().st_ino), self.now)
        self.now += timedelta(seconds=seconds)
        self.longest_wait = max(self.longest_wait, seconds)
        return self.end is not None and self.now >= self.end

    def player(self, manners: Manners = GOOD_MANNERS, seed: int = 0) -> Player:
        return Player(self.landing, manners, seed, self.clock, self.wait)

    def order(self) -> list[str]:
        return [name for name, _ in self.came]


def names(day: str) -> list[str]:
    return [file.name for file in store_day_files(date.fromisoformat(day))]


def days_reported(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [json.loads(line)["day"] for line in capsys.readouterr().out.splitlines()]


PAST = [date(2025, 7, 1), date(2025, 7, 2), date(2025, 7, 3)]
PAST_NAMES = [file.name for day in PAST for file in store_day_files(day)]


def test_past_days_come_in_order(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    world = World(tmp_path, "2025-07-05T12:00:00")
    assert world.player().play_past(PAST)
    world.wait(0)
    assert world.order() == PAST_NAMES
    assert days_reported(capsys) == [str(day) for day in PAST]


def test_a_sender_that_shuffles_sends_days_and_stores_in_the_order_of_its_seed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    orders, days = [], []
    for folder, seed in [("a", 1), ("b", 1), ("c", 2)]:
        world = World(tmp_path / folder, "2025-07-05T12:00:00")
        assert world.player(Manners(shuffled=True), seed).play_past(PAST)
        world.wait(0)
        orders.append(world.order())
        days.append(days_reported(capsys))
    assert orders[0] == orders[1] != orders[2]
    assert sorted(orders[0]) == sorted(orders[2]) == PAST_NAMES
    assert sorted(days[0]) == [str(day) for day in PAST] != days[0]
    first_day = orders[0][: len(names(days[0][0]))]
    assert sorted(first_day) == names(days[0][0]) != first_day


def test_a_sender_of_duplicates_sends_each_file_twice(tmp_path: Path) -> None:
    world = World(tmp_path, "2025-07-05T12:00:00")
    assert world.player(Manners(duplicates=True)).play_past(PAST[:1])
    world.wait(0)
    first, second = world.order()[: len(world.came) // 2], world.order()[len(world.came) // 2 :]
    assert first == second == names("2025-07-01")


def test_past_days_stop_between_two_files(
    tmp_path: Path, names_in: NamesIn, capsys: pytest.CaptureFixture[str]
) -> None:
    world = World(tmp_path, "2025-07-05T12:00:00")
    waits = iter([False] * 10 + [True])
    player = Player(tmp_path, GOOD_MANNERS, 0, world.clock, lambda _: next(waits))
    assert not player.play_past(PAST)
    assert names_in(tmp_path) == set(PAST_NAMES[:10])
    assert days_reported(capsys) == []


def test_today_comes_file_by_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    world = World(tmp_path, "2025-07-01T12:00:00", "2025-07-01T12:01:00")
    world.player().play_live(per_minute=6)
    assert world.order() == names("2025-07-01")[:6]
    assert list(world.came.values()) == [utc(f"2025-07-01T12:00:{second:02d}") for second in range(0, 60, 10)]
    output = capsys.readouterr()
    assert output.out == ""  # the day is not complete
    assert [line.split()[0] for line in output.err.splitlines()] == world.order()


def test_what_is_left_at_midnight_comes_at_once_and_before_the_new_day(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    midnight = utc("2025-07-02T04:00:00")
    world = World(tmp_path, "2025-07-02T03:55:00", "2025-07-02T04:00:45")
    world.player().play_live(per_minute=6)
    old, new = names("2025-07-01"), names("2025-07-02")
    assert world.order() == old + new[:5]
    times = list(world.came.values())
    assert all(time < midnight for time in times[:30])
    assert set(times[30 : len(old)]) == {midnight}
    assert [time - midnight for time in times[len(old) :]] == [timedelta(seconds=10 * n) for n in range(5)]
    assert days_reported(capsys) == ["2025-07-01"]


def test_a_slow_pace_does_not_hold_up_midnight(tmp_path: Path) -> None:
    world = World(tmp_path, "2025-07-02T03:59:00", "2025-07-02T04:00:01")
    world.player().play_live(per_minute=0.1)
    assert world.order() == [*names("2025-07-01"), names("2025-07-02")[0]]


def test_long_waits_look_at_the_clock_every_minute(tmp_path: Path) -> None:
    world = World(tmp_path, "2025-07-01T12:00:00", "2025-07-01T12:25:00")
    world.player().play_live(per_minute=0.1)
    assert list(world.came.values()) == [utc(f"2025-07-01T12:{minute}:00") for minute in ("00", "10", "20")]
    assert world.longest_wait == 60


def test_days_that_the_machine_slept_through_are_made_up_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = World(tmp_path, "2025-07-01T12:00:00", "2025-07-04T12:01:00")

    def wait(seconds: float) -> bool:
        slept = seconds > 0 and world.now < utc("2025-07-04T12:00:00")
        return world.wait((utc("2025-07-04T12:00:00") - world.now).total_seconds() if slept else seconds)

    Player(tmp_path, GOOD_MANNERS, 0, world.clock, wait).play_live(per_minute=6)
    assert world.order() == PAST_NAMES + names("2025-07-04")[:6]
    assert days_reported(capsys) == [str(day) for day in PAST]


def test_a_restart_goes_on_where_it_stopped(tmp_path: Path) -> None:
    before = World(tmp_path, "2025-07-01T12:00:00", "2025-07-01T12:01:00")
    before.player().play_live(per_minute=6)
    after = World(tmp_path, "2025-07-01T13:00:00", "2025-07-01T13:01:00")
    after.player().play_live(per_minute=6)
    assert before.came.keys() <= after.came.keys()  # the same inodes: none was written again
    fresh = {name: time for (name, inode), time in after.came.items() if (name, inode) not in before.came}
    assert list(fresh) == names("2025-07-01")[6:12]
    assert min(fresh.values()) == utc("2025-07-01T13:00:00")


def test_a_closed_today_is_an_empty_day(tmp_path: Path, names_in: NamesIn, capsys: pytest.CaptureFixture[str]) -> None:
    World(tmp_path, "2025-12-15T12:00:00", "2025-12-15T20:00:00").player().play_live(per_minute=6)
    assert names_in(tmp_path) == set()
    assert json.loads(capsys.readouterr().out) == {
        "feed": "order_lines",
        "day": "2025-12-15",
        "objects": 0,
        "rows": 0,
        "sales": "0.00",
        "data_day": "2017-12-25",
    }


def test_a_slow_sender_that_is_told_to_stop_finishes_its_file(tmp_path: Path) -> None:
    world = World(tmp_path, "2025-07-01T12:00:00")
    first = next(store_day_files(date(2025, 7, 1)))
    sizes: list[int] = []

    def wait(seconds: float) -> bool:
        if seconds > 0:  # the first pause, of the first file, is when the stop comes
            sizes.append((tmp_path / first.name).stat().st_size)
        return seconds > 0

    Player(tmp_path, Manners(slow=True), 0, world.clock, wait).play_live(per_minute=6)
    assert 0 < sizes[0] < sizes[1] < sizes[2] < sizes[3] == len(first.content)
    assert (tmp_path / first.name).read_bytes() == first.content
    assert len(list(tmp_path.glob("*/*"))) == len(sizes) - 3 == 1
