"""Where the code servers listen: a folder of its own for each `make dev`, for this user only."""

import shutil
import tempfile
from contextlib import suppress
from os import getpid, getuid
from pathlib import Path

import psutil

PREFIX = "platform-dev-"
SHORT_FOLDER = "/tmp"
LONGEST_FOLDER = 80
"""The path of a socket has room for about a hundred characters."""


def private_folder() -> Path:
    """A new folder; those of supervisors that were killed are removed."""
    _remove_left_behind(Path(tempfile.gettempdir()))
    folder = _new_folder(None)
    if len(str(folder)) > LONGEST_FOLDER:
        folder.rmdir()
        _remove_left_behind(Path(SHORT_FOLDER))
        folder = _new_folder(SHORT_FOLDER)
    return folder


def _new_folder(parent: str | None) -> Path:
    return Path(tempfile.mkdtemp(prefix=f"{PREFIX}{getpid()}-", dir=parent))


def _remove_left_behind(parent: Path) -> None:
    for folder in parent.glob(f"{PREFIX}*"):
        supervisor = folder.name.removeprefix(PREFIX).partition("-")[0]
        # Gone meanwhile: another one that starts removes the same.
        with suppress(FileNotFoundError):
            ours = folder.stat(follow_symlinks=False).st_uid == getuid()
            if ours and supervisor.isdecimal() and not psutil.pid_exists(int(supervisor)):
                shutil.rmtree(folder, ignore_errors=True)
