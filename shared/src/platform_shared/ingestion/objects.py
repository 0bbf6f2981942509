"""Objects of a source, whatever it is: a landing folder, a bucket."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Protocol


class SourceObject(NamedTuple):
    """One version of one object. `object_id` is its path below the folder, or its key below the prefix, with `/`.

    `version` changes with every write; `changed_ns` (epoch nanoseconds) is when the source says that it was written.
    """

    object_id: str
    version: str
    size_bytes: int
    changed_ns: int


class Refused(NamedTuple):
    """Something in the source that can never be an object: its name (printable), and what to do about it."""

    name: str
    reason: str


class SourceError(RuntimeError):
    """The source cannot be read now. Never the same as a source without objects."""


class SourceMissingError(SourceError):
    """The folder or bucket itself is not there. Before anything was ever delivered, that is only a reason to wait."""


class VersionGoneError(RuntimeError):
    """The version that was asked for is not there any more: overwritten, or deleted."""


class ObjectSource(Protocol):
    """Where the objects of a feed lie. Dot files and `*.tmp` are never objects; folders are none either."""

    def walk(self, after: str | None = None) -> Iterator[SourceObject | Refused]:
        """All objects, in an order of their ids that is always the same, from the first one behind `after` on.

        Lazily, page by page. Raises SourceError (or OSError) where a part cannot be read: it never just ends early.
        """
        ...

    def current(self, object_id: str) -> SourceObject | None:
        """The object as it is now, or None if it is gone."""
        ...

    def fetch(self, object_id: str, version: str, folder: Path) -> Path:
        """A local file with the bytes of this version; `folder` is for a copy where the source is not local.

        Raises VersionGoneError. A local file may still be written to while it is read: ask `current` afterwards.
        """
        ...
