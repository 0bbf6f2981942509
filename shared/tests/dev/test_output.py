"""What of a process's output reaches the terminal."""

import io
from pathlib import Path

import pytest

from platform_shared.dev import output
from platform_shared.dev.output import MOST_LINES_OF_A_RECORD, Excerpt, Level, LogFile, Terminal

INFO = "2026-11-21 03:30:54 +0000 - dagster.code_server - INFO - Started"
COLOURED_ERROR = "\x1b[32m2026-11-21 03:30:54 +0000\x1b[0m - dagster - \x1b[34mERROR\x1b[0m - RUN_FAILURE"
WARNING = "2026-11-21 03:30:54 +0000 - dagster.daemon - WARNING - late"
ROUTINE = "2026-11-21 03:30:54 +0000 - dagster.daemon.X - WARNING - No cursor for event type RUN_FAILURE, ignoring"


@pytest.mark.parametrize(
    ("line", "level"),
    [
        (INFO, Level.DETAIL),
        (COLOURED_ERROR, Level.WARNING),
        (WARNING, Level.WARNING),
        (ROUTINE, Level.DETAIL),
        ("I0000 00:00:1.2 file.cc:1] fork", Level.DETAIL),
        ("E0000 00:00:1.2 file.cc:1] bind failed", Level.WARNING),
        ("Traceback (most recent call last):", Level.WARNING),
        ("/x/y.py:12: UserWarning: beware", Level.WARNING),
        ("hello", Level.NEWS),
    ],
)
def test_a_header_says_how_much_a_line_matters(line: str, level: Level) -> None:
    assert Excerpt("batch", Level.NEWS).pick(line) == (line, level)


def test_lines_without_a_header_belong_to_the_record_before() -> None:
    excerpt = Excerpt("batch", Level.WARNING)
    levels = [
        excerpt.pick(line)[1] for line in (INFO, "printed by a run", COLOURED_ERROR, "its error", INFO, "printed")
    ]
    assert levels == [Level.DETAIL, Level.DETAIL, Level.WARNING, Level.WARNING, Level.DETAIL, Level.DETAIL]


def test_a_long_error_is_cut_with_a_hint_at_its_log() -> None:
    excerpt = Excerpt("batch", Level.WARNING)
    picked = [excerpt.pick(line) for line in (COLOURED_ERROR, *(f"  frame {number}" for number in range(30)))]
    shown = [text for text, level in picked if level is Level.WARNING]
    assert len(shown) == MOST_LINES_OF_A_RECORD
    assert shown[-1] == "… all of it: batch.log"
    assert excerpt.pick(COLOURED_ERROR) == (COLOURED_ERROR, Level.WARNING)


def test_empty_lines_of_an_error_are_left_out() -> None:
    excerpt = Excerpt("batch", Level.WARNING)
    excerpt.pick(COLOURED_ERROR)
    assert excerpt.pick("")[1] is Level.DETAIL


def test_a_log_starts_afresh_and_keeps_the_one_before(tmp_path: Path) -> None:
    for text in ("first", "\x1b[32msecond\x1b[0m"):
        log = LogFile(tmp_path / "logs" / "batch.log")
        log.write(text)
        log.close()
    assert (tmp_path / "logs" / "batch.log").read_text() == "second\n"
    assert (tmp_path / "logs" / "batch.log.1").read_text() == "first\n"
    assert (tmp_path / "logs" / "batch.log").stat().st_mode & 0o777 == 0o600


def test_a_log_does_not_grow_without_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "MOST_BYTES_OF_A_LOG", 100)
    log = LogFile(tmp_path / "batch.log")
    for _ in range(50):
        log.write("0123456789")
    log.close()
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 300


def test_a_line_carries_the_name_of_who_says_it_and_no_colour_into_a_file() -> None:
    stream = io.StringIO()
    Terminal(10, stream).show("batch", COLOURED_ERROR)
    assert stream.getvalue() == "batch      | 2026-11-21 03:30:54 +0000 - dagster - ERROR - RUN_FAILURE\n"


def test_a_terminal_that_is_gone_stops_nothing() -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(5, "Input/output error")

    Terminal(10, Gone()).show("batch", "text")
