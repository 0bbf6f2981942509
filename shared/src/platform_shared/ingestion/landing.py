"""What lies in a feed's landing folder."""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class LandedFile:
    """A file of the landing folder. `object_id` is its path below the folder with `/`, times are epoch nanoseconds."""

    object_id: str
    size_bytes: int
    mtime_ns: int
    ctime_ns: int
    inode: int

    @property
    def version(self) -> str:
        """Changes with every write, also where a copy keeps the old modification time (ctime cannot be set back)."""
        return f"{self.size_bytes}-{self.mtime_ns}-{self.ctime_ns}-{self.inode}"

    @property
    def changed_ns(self) -> int:
        """When content or name last changed, as this machine's clock saw it."""
        return max(self.mtime_ns, self.ctime_ns)


class LandingMissingError(RuntimeError):
    """The landing folder itself is not there: not the same as a folder without files."""


@dataclass(frozen=True)
class Listing:
    """All files of a landing folder, by object id; `unusable` are names that are no UTF-8, with the bytes escaped."""

    files: tuple[LandedFile, ...]
    unusable: tuple[str, ...] = ()


def list_landing(folder: Path) -> Listing:
    """All regular files below `folder`, without dot files, `*.tmp` and symlinks.

    Raises LandingMissingError if the folder is gone, OSError if a part of it cannot be read: a failed read is never an
    empty one.
    """
    if not folder.is_dir():
        raise LandingMissingError(
            f"The landing folder {folder.name!r} does not exist. Create it, or start what delivers into it."
        )
    found = sorted(_walk(folder, ""), key=lambda file: file.object_id)
    usable = tuple(file for file in found if _is_text(file.object_id))
    rest = [file.object_id for file in found if not _is_text(file.object_id)]
    return Listing(usable, tuple(os.fsencode(name).decode("utf-8", "backslashreplace") for name in rest))


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _walk(folder: Path, prefix: str) -> Iterator[LandedFile]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(".") or entry.name.endswith(".tmp"):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(Path(entry.path), f"{prefix}{entry.name}/")
            elif entry.is_file(follow_symlinks=False):
                try:
                    yield _landed(f"{prefix}{entry.name}", entry.stat(follow_symlinks=False))
                except FileNotFoundError:
                    continue  # renamed between the listing and the look: the next tick sees what it became


def stat_landed(folder: Path, object_id: str) -> LandedFile | None:
    """The file as it is now, or None if it is gone."""
    try:
        return _landed(object_id, os.stat(folder / object_id, follow_symlinks=False))
    except FileNotFoundError:
        return None


def sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _landed(object_id: str, status: os.stat_result) -> LandedFile:
    return LandedFile(object_id, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
