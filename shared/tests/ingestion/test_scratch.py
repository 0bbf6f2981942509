"""Room for a load on the local disk."""

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from platform_shared.ingestion.scratch import scratch_folder

DIES = """
import os, sys, tempfile
tempfile.tempdir = sys.argv[1]
from platform_shared.ingestion.scratch import scratch_folder
with scratch_folder() as folder:
    (folder / "copy").write_text("bytes")
    print(folder, flush=True)
    os.kill(os.getpid(), 9)
"""


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_folder_is_gone_after_its_load(disk: Path) -> None:
    def fail() -> None:
        with scratch_folder() as folder:
            (folder / "copy").write_text("bytes")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert list(disk.iterdir()) == []


def test_what_a_killed_load_left_goes_with_the_next_and_what_lives_stays(disk: Path) -> None:
    killed = subprocess.run([sys.executable, "-c", DIES, str(disk)], stdout=subprocess.PIPE, check=False)
    left = Path(killed.stdout.decode().strip())
    assert (left / "copy").read_text() == "bytes"
    others = disk / "somebody-else"
    others.mkdir()
    with scratch_folder() as first, scratch_folder() as second:
        assert not left.exists()
        assert first.is_dir()
        assert second.is_dir()
    assert list(disk.iterdir()) == [others]
