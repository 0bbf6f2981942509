"""Folders for sockets."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from platform_shared.dev import sockets


def test_a_folder_is_for_this_user_only_and_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = tmp_path / ("d" * 90)
    deep.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(deep))
    folder = sockets.private_folder()
    assert folder.parent == Path(sockets.SHORT_FOLDER)
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.rmdir()
    assert list(deep.iterdir()) == []


def test_what_a_killed_supervisor_left_is_removed_and_a_living_ones_folder_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(sockets, "LONGEST_FOLDER", 1_000)
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    left, living = (tmp_path / f"{sockets.PREFIX}{pid}-x" for pid in (ended.pid, os.getpid()))
    left.mkdir()
    living.mkdir()
    folder = sockets.private_folder()
    assert sorted(tmp_path.iterdir()) == sorted([living, folder])
