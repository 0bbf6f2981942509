"""A landing folder as a source of objects: its files, by their path below it."""

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from platform_shared.ingestion.objects import Refused, SourceMissingError, SourceObject, VersionGoneError

_LONGEST_ID_BYTES = 1024
"""As in S3; the ledger's key has no room for much more."""


@dataclass(frozen=True)
class LandingFolder:
    """The regular files below `folder`, without dot files, `*.tmp` and what lies in folders of such names.

    Symlinks are refused: a link may lead out of the landing zone, or deliver a file twice.

    The version changes with every write, also where a copy keeps the old modification time (ctime cannot be set back).
    """

    folder: Path

    def walk(self, after: str | None = None) -> Iterator[SourceObject | Refused]:
        """All files in the order of their ids. Raises SourceMissingError if the folder is not there."""
        if not self.folder.is_dir():
            raise SourceMissingError(
                f"The landing folder {self.folder.name!r} does not exist. Create it, or start what delivers into it."
            )
        return _walk(str(self.folder), "", after)

    def current(self, object_id: str) -> SourceObject | None:
        """The file as it is now, or None if it is gone."""
        try:
            status = os.stat(self.folder / object_id, follow_symlinks=False)
        except (FileNotFoundError, NotADirectoryError):
            return None
        return _object(object_id, status) if stat.S_ISREG(status.st_mode) else None

    def fetch(self, object_id: str, version: str, folder: Path) -> Path:
        """The file itself."""
        found = self.current(object_id)
        if found is None or found.version != version:
            raise VersionGoneError(f"{object_id} is gone" if found is None else f"{object_id} was overwritten")
        return self.folder / object_id


def sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _walk(folder: str, prefix: str, after: str | None) -> Iterator[SourceObject | Refused]:
    with os.scandir(folder) as found:
        # A folder sorts as its files do among its neighbours: `a.csv` comes before `a/b.csv`.
        entries = sorted((f"{e.name}/" if e.is_dir(follow_symlinks=False) else e.name, e) for e in found)
    for name, entry in entries:
        if name.startswith(".") or name.removesuffix("/").endswith(".tmp"):
            continue
        object_id = prefix + name
        is_folder = name.endswith("/")
        if after is not None and object_id <= after and not (is_folder and after.startswith(object_id)):
            continue
        if is_folder:
            yield from _walk(entry.path, object_id, after)
        elif (found_object := _look_at(object_id, entry)) is not None:
            yield found_object


def _look_at(object_id: str, entry: os.DirEntry[str]) -> SourceObject | Refused | None:
    if entry.is_symlink():
        return Refused(_printable(object_id), "it is a symbolic link; deliver the file itself")
    if len(object_id) > _LONGEST_ID_BYTES or not object_id.isascii():
        try:
            name = object_id.encode()
        except UnicodeEncodeError:
            return Refused(_printable(object_id), "its name is not UTF-8; deliver it under a name in UTF-8")
        if len(name) > _LONGEST_ID_BYTES:
            return Refused(f"{object_id[:100]}…", f"its path is longer than {_LONGEST_ID_BYTES} bytes; shorten it")
    try:
        status = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None  # renamed between the listing and the look: the next tick sees what it became
    return _object(object_id, status) if stat.S_ISREG(status.st_mode) else None


def _object(object_id: str, status: os.stat_result) -> SourceObject:
    changed, written = status.st_ctime_ns, status.st_mtime_ns
    version = f"{status.st_size}-{written}-{changed}-{status.st_ino}"
    return SourceObject(object_id, version, status.st_size, max(changed, written))


def _printable(name: str) -> str:
    return os.fsencode(name).decode("utf-8", "backslashreplace")
