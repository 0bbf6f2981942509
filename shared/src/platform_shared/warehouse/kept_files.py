"""Files that DuckLake writes itself (of deleted rows, of compaction), kept safe from its own clean-up.

A COMMIT whose answer is lost, because the catalog's server dies, may be durable. DuckLake takes it for failed and
deletes the files that it wrote for it, and from then on every read of the table fails. So these files have a second
name while their commit is under way, by which they are brought back.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from platform_shared.postgres import CATALOG_SCHEMA
from platform_shared.warehouse.locks import TableLock

# Not `.parquet`: DuckLake's search for files that no snapshot lists passes it by.
_SUFFIX = ".kept"


@dataclass(frozen=True)
class KeptFiles:
    """The folder in which DuckLake writes for one table, and the one of second names. Used under the table's lock."""

    folder: Path
    second: Path

    def present(self) -> frozenset[str]:
        """Names of all files in the folder."""
        return frozenset(os.listdir(self.folder)) if self.folder.is_dir() else frozenset()

    def keep(self, before: frozenset[str]) -> None:
        """Gives each file that was not there `before` a second name, and fsyncs it, which DuckLake does not."""
        fresh = self.present() - before
        if not fresh:
            return
        self.second.mkdir(parents=True, exist_ok=True)
        for name in fresh:
            fsync(self.folder / name)
            os.link(self.folder / name, self._second_name(name))
        for folder in (self.folder, self.second):
            fsync(folder)

    def drop(self) -> None:
        """Ends the second names: the commit succeeded."""
        for name in self._kept():
            self._second_name(name).unlink()

    def bring_back(self) -> list[str]:
        """Restores the files that are gone, ends the second names, and returns the paths of what was restored.

        For a commit that may have failed, in this process or one that died. A file too many harms nothing.
        """
        restored = []
        for name in self._kept():
            path = self.folder / name
            if not path.exists():
                os.link(self._second_name(name), path)
                fsync(self.folder)
                restored.append(str(path))
            self._second_name(name).unlink()
        return restored

    def _kept(self) -> list[str]:
        if not self.second.is_dir():
            return []
        return sorted(name.removesuffix(_SUFFIX) for name in os.listdir(self.second))

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
