"""Files that DuckLake writes itself (of deleted rows, of compaction), kept safe from its own clean-up.

A COMMIT whose answer is lost, because the catalog's server dies, may be durable. DuckLake takes it for failed and
deletes the files that it wrote for it, and from then on every read of the table fails. So these files have a second
name while their commit is under way, by which they are brought back.
"""

import os
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from platform_shared.postgres import CATALOG_SCHEMA
from platform_shared.warehouse.locks import TableLock

# Not `.parquet`: DuckLake's search for files that no snapshot lists passes it by.
_SUFFIX = ".kept"
_DAY_SECONDS = 86_400


@dataclass(frozen=True)
class KeptFiles:
    """The folder in which DuckLake writes for one table, and the one of second names. Used under the table's lock."""

    folder: Path
    second: Path

    def present(self) -> frozenset[str]:
        """Names of all files in the folder."""
        return frozenset(os.listdir(self.folder)) if self.folder.is_dir() else frozenset()

    def keep(self, before: frozenset[str]) -> frozenset[str]:
        """Gives each file that was not there `before` a second name, and fsyncs it, which DuckLake does not.

        Returns the names of these files.
        """
        fresh = self.present() - before
        if fresh:
            self.second.mkdir(parents=True, exist_ok=True)
            for name in fresh:
                # A writer that has lost the lock may be here still, and keep or remove files of its own.
                with suppress(FileExistsError, FileNotFoundError):
                    fsync(self.folder / name)
                    os.link(self.folder / name, self._second_name(name))
            for folder in (self.folder, self.second):
                fsync(folder)
        return fresh

    def drop(self, names: Iterable[str]) -> None:
        """Ends the second names of these files: it is known what became of their commit."""
        for name in names:
            self._second_name(name).unlink(missing_ok=True)

    def bring_back(self, names: Iterable[str]) -> list[str]:
        """Restores those of these files that are gone, and returns their paths. One too many harms nothing."""
        restored = []
        for name in names:
            # The file is there, or the second name is not: somebody did it before.
            with suppress(FileExistsError, FileNotFoundError):
                os.link(self._second_name(name), self.folder / name)
                restored.append(str(self.folder / name))
        if restored:
            fsync(self.folder)
        return restored

    def bring_back_leftovers(self) -> list[str]:
        """Restores what processes that died in a commit have lost, and returns the paths.

        Second names stay for a day: their process may be alive after all, and about to lose the file.
        """
        kept = [name.removesuffix(_SUFFIX) for name in os.listdir(self.second)] if self.second.is_dir() else []
        restored = self.bring_back(sorted(kept))
        self.drop(name for name in kept if self._is_old(name))
        return restored

    def _is_old(self, name: str) -> bool:
        try:
            return time.time() - self._second_name(name).stat().st_mtime > _DAY_SECONDS
        except FileNotFoundError:
            return False

    def _second_name(self, name: str) -> Path:
        return self.second / f"{name}{_SUFFIX}"


def kept_files(data_path: str, lock: TableLock, schema: str, name: str) -> KeptFiles:
    """The folders of the table `schema.name`. Raises LookupError if the lake has no such table."""
    row = lock.ask(
        f"SELECT s.path, t.path, t.table_id FROM {CATALOG_SCHEMA}.ducklake_table t "
        f"JOIN {CATALOG_SCHEMA}.ducklake_schema s USING (schema_id) "
        "WHERE t.end_snapshot IS NULL AND s.end_snapshot IS NULL AND schema_name = %s AND table_name = %s",
        (schema, name),
    )
    if row is None:
        raise LookupError(f"The lake has no table {schema}.{name}")
    schema_path, table_path, table_id = row
    return KeptFiles(Path(data_path, schema_path, table_path), Path(data_path, "kept", str(table_id)))


def fsync(path: Path) -> None:
    """Makes a file's content, or a folder's list of names, survive a loss of power."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
