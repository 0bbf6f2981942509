import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from demo_world.dropping import GOOD_MANNERS, Manners, Outcome, drop, remove_stale_temporaries, shuffled
from demo_world.source import StoreDayFile

MakeFile = Callable[[bytes], StoreDayFile]
NamesIn = Callable[[Path], set[str]]

NAME = "2025-07-01/store-00001.csv"
TEMPORARY = "2025-07-01/.store-00001.csv.tmp"
ONE = b"first of all\n" * 40_000
OTHER = b"second of it\n" * 40_000


class Watcher(threading.Thread):
    """Reads the file as soon and as often as its name is there, as a reader without manners of its own does."""

    def __init__(self, landing: Path) -> None:
        super().__init__()
        self.path = landing / NAME
        self.looks = 0
        self.seen: set[bytes] = set()
        self.done = threading.Event()

    def run(self) -> None:
        while not self.done.is_set():
            if self.path.exists():
                self.seen.add(self.path.read_bytes())
                self.looks += 1

    def __enter__(self) -> "Watcher":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.done.set()
        self.join()


def test_a_reader_never_sees_part_of_a_file(tmp_path: Path, a_file: MakeFile) -> None:
    with Watcher(tmp_path) as watcher:
        while watcher.looks < 100 or watcher.seen < {ONE, OTHER}:
            drop(a_file(ONE), tmp_path)
            drop(a_file(OTHER), tmp_path)
    assert watcher.seen == {ONE, OTHER}


def test_a_reader_sees_parts_of_what_a_slow_sender_writes(tmp_path: Path, a_file: MakeFile) -> None:
    with Watcher(tmp_path) as watcher:
        drop(a_file(ONE), tmp_path, how=Manners(slow=True))
    assert len(watcher.seen - {ONE}) >= 2


@pytest.mark.parametrize("dies_in", ["os.fsync", "pathlib.Path.replace"])
def test_a_killed_writer_leaves_only_its_temporary(
    tmp_path: Path, a_file: MakeFile, names_in: NamesIn, dies_in: str
) -> None:
    script = f"""
import os, pathlib, signal
from datetime import date
from decimal import Decimal
from demo_world.dropping import drop
from demo_world.source import StoreDayFile
{dies_in} = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
drop(StoreDayFile(date(2025, 7, 1), 1, {NAME!r}, b"bytes", 1, Decimal(1)), pathlib.Path({str(tmp_path)!r}))
"""
    writer = subprocess.run([sys.executable, "-c", script], check=False)
    assert writer.returncode == -signal.SIGKILL
    assert names_in(tmp_path) == {TEMPORARY}

    remove_stale_temporaries(tmp_path)
    assert names_in(tmp_path) == set()
    drop(a_file(b"bytes"), tmp_path)
    assert names_in(tmp_path) == {NAME}


def test_the_bytes_are_on_disk_before_the_name_is_there(
    tmp_path: Path, a_file: MakeFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_sync: list[tuple[bytes, bool]] = []

    def record(_: int) -> None:
        at_sync.append(((tmp_path / TEMPORARY).read_bytes(), (tmp_path / NAME).exists()))

    monkeypatch.setattr("os.fsync", record)
    drop(a_file(b"bytes"), tmp_path)
    assert at_sync == [(b"bytes", False)]


def test_only_own_temporaries_are_stale(tmp_path: Path, names_in: NamesIn) -> None:
    others = {NAME, "2025-07-01/.other.csv.tmp", "2025-07-01/store-00002.csv.tmp", ".store-00001.csv.tmp"}
    for name in {*others, TEMPORARY}:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    remove_stale_temporaries(tmp_path)
    assert names_in(tmp_path) == others


def test_there_is_nothing_stale_in_a_folder_that_is_not_there(tmp_path: Path) -> None:
    remove_stale_temporaries(tmp_path / "not there")


def written(path: Path) -> tuple[int, int]:
    """Which file it is, and when it was written: to read it changes neither."""
    found = path.stat()
    return found.st_ino, found.st_mtime_ns


@pytest.mark.parametrize("how", [GOOD_MANNERS, Manners(slow=True)])
def test_the_same_bytes_are_left_alone_and_others_replace_them(tmp_path: Path, a_file: MakeFile, how: Manners) -> None:
    def put(content: bytes) -> Outcome:
        return drop(a_file(content), tmp_path, how=how, pause=lambda: None)

    assert put(b"bytes") is Outcome.WRITTEN
    before = written(tmp_path / NAME)
    assert put(b"bytes") is Outcome.UNCHANGED
    assert written(tmp_path / NAME) == before
    assert put(b"other") is Outcome.WRITTEN  # of the same length
    assert (tmp_path / NAME).read_bytes() == b"other"


def test_a_slow_sender_writes_under_the_final_name_piece_by_piece(
    tmp_path: Path, a_file: MakeFile, names_in: NamesIn
) -> None:
    content, seen = b"0123456789", []

    def look() -> None:
        assert names_in(tmp_path) == {NAME}
        seen.append((tmp_path / NAME).read_bytes())

    assert drop(a_file(content), tmp_path, how=Manners(slow=True), pause=look) is Outcome.WRITTEN
    assert seen == [b"012", b"012345", b"012345678"]
    assert (tmp_path / NAME).read_bytes() == content


def test_a_slow_sender_completes_what_it_left_unfinished(tmp_path: Path, a_file: MakeFile) -> None:
    (tmp_path / NAME).parent.mkdir()
    (tmp_path / NAME).write_bytes(b"0123")
    assert drop(a_file(b"0123456789"), tmp_path, how=Manners(slow=True), pause=lambda: None) is Outcome.WRITTEN
    assert (tmp_path / NAME).read_bytes() == b"0123456789"


def test_a_sender_of_duplicates_replaces_a_file_by_an_equal_one(
    tmp_path: Path, a_file: MakeFile, names_in: NamesIn
) -> None:
    how = Manners(slow=True, duplicates=True)
    assert drop(a_file(b"bytes"), tmp_path, how=how, pause=lambda: None) is Outcome.WRITTEN
    before = (tmp_path / NAME).stat().st_ino

    def never() -> None:
        pytest.fail("the second time is a rename, whatever else the sender does")

    assert drop(a_file(b"bytes"), tmp_path, how=how, pause=never) is Outcome.REPEATED
    assert (tmp_path / NAME).stat().st_ino != before
    assert (tmp_path / NAME).read_bytes() == b"bytes"
    assert names_in(tmp_path) == {NAME}


def test_an_order_depends_on_its_seed() -> None:
    items = list(range(100))
    assert shuffled(items, "a") == shuffled(items, "a") != shuffled(items, "b")
    assert shuffled(items, "a") != items == sorted(shuffled(items, "a"))
