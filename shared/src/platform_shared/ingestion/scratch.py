"""Room on the local disk for one load, and the end of what killed loads left there."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PREFIX = "platform-batch-"
_LOCK = "in-use.lock"


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """An empty folder below the temporary one, gone afterwards.

    Folders of processes that died without a word are deleted first: each holds a lock on its own as long as it lives,
    so that neither age nor process numbers need to be trusted.
    """
    _sweep(Path(tempfile.gettempdir()))
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
    lock = os.open(folder / f".{_LOCK}", os.O_CREAT | os.O_RDWR)
    try:
        # Locked before it can be found.
        fcntl.flock(lock, fcntl.LOCK_EX)
        (folder / f".{_LOCK}").rename(folder / _LOCK)
        work = folder / "work"
        work.mkdir()
        yield work
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _sweep(parent: Path) -> None:
    for path in parent.glob(f"{_PREFIX}*/{_LOCK}"):
        try:
            lock = os.open(path, os.O_RDWR)
        except OSError:
            continue  # gone by now, or another user's
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path.parent, ignore_errors=True)
        except BlockingIOError:
            continue
        finally:
            os.close(lock)
