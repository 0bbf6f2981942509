"""Text objects as lines: unpacked and rewritten where they have to be, counted, and as an SQL relation."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb

from platform_shared.ingestion.reading.relations import (
    CONTENT,
    NUMBER,
    OBJECT,
    VERSION,
    exact_path,
    first_line,
    reason_of,
    rows_of,
)
from platform_shared.ingestion.reading.shapes import ReadLimits, Source
from platform_shared.ingestion.reading.unpacking import (
    INVALID,
    NEWLINE,
    RETURN,
    UnreadableError,
    check_size,
    first_long_line,
    has_returns,
    packing,
    rewrite_lines,
    unpack,
)
from platform_shared.warehouse.sql import literal, literals

# Four control characters that no text has in a row; a text that has them is refused for a second column.
_NO_DELIMITER = "\x1d\x1e\x1f\x1d"

# DuckDB's own 32 MiB, of which each thread has a few, are too much for a small memory limit.
_BUFFER_BYTES = 8 * 1024**2

# How many line ends a record has inside of quotes: its lines in the file, but for the last one.
_INSIDE = f"coalesce(length(line) - length(replace(line, {literal(NEWLINE)}, '')), 0)"


@dataclass(frozen=True)
class LinesObject:
    """A text object, ready to be read."""

    source: Source
    path: Path
    rewritten: bool = False
    parallel: bool = True
    lines: int = 0
    """Below the header, empty ones too."""
    records: int = 0
    """A CSV record may have several lines; empty lines are none."""

    @property
    def group(self) -> tuple[bool, bool]:
        """Objects of one group are read in one statement."""
        return self.rewritten, self.parallel


class LinesStore:
    """Prepares the text objects of a batch, in a folder for what has to be rewritten."""

    def __init__(self, folder: Path, limits: ReadLimits, *, header: bool, delimiter: str | None, broken: str) -> None:
        """`broken` is SQL over `line` that is true for a line which is no record by itself: it belongs to another."""
        self._folder = folder
        self._limits = limits
        self._header = header
        self._delimiter = delimiter
        self._broken = broken
        self._next = 0
        self.objects: dict[str, LinesObject] = {}

    def prepare(self, source: Source) -> None:
        """Takes in an object, unpacked. Raises UnreadableError and OSError."""
        size = source.path.stat().st_size
        packed = packing(source.object_id)
        entry = LinesObject(source, source.path)
        if packed == "none":
            check_size(size, size, self._limits)
        else:
            path = self._fresh()
            unpack(source.path, path, packed, self._limits)
            entry = replace(entry, path=path)
        if not entry.path.stat().st_size:
            expected = "a header line" if self._header else "at least one line"
            raise UnreadableError(f"line 1: the file is empty (0 bytes); expected {expected}")
        if has_returns(entry.path):
            entry = self._rewrite(entry)
        self.objects[source.object_id] = entry

    def first_line(self, source: Source) -> bytes:
        """The first line of a prepared object. Raises UnreadableError if it is too long."""
        entry = self.objects[source.object_id]
        limit = self._limits.max_line_bytes
        with entry.path.open("rb") as file:
            line = file.readline(limit + 1)
        if len(line) > limit:
            raise UnreadableError(f"line 1 is longer than {limit} bytes")
        return line

    def count(self, connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
        """Counts the lines of all prepared objects; those that cannot be read are dropped, and returned with why."""
        bad: dict[str, str] = {}
        broken = self._count_all(connection, list(self.objects.values()), bad)
        whole = []
        for entry in broken:
            try:
                whole.append(self._rewrite(entry))
            except (UnreadableError, OSError) as error:
                bad[entry.source.object_id] = reason_of(error)
        self._count_all(connection, whole, bad)
        for object_id in bad:
            del self.objects[object_id]
        return bad

    def relation(self, sources: Sequence[Source], *, numbered: bool) -> list[tuple[str, bool]]:
        """SQL of (object, version, content, number, line) for each group of the objects, and if it is rewritten."""
        groups: dict[tuple[bool, bool], list[LinesObject]] = {}
        for source in sources:
            entry = self.objects[source.object_id]
            groups.setdefault(entry.group, []).append(entry)
        return [(self._relation(group, numbered), group[0].rewritten) for group in groups.values()]

    def _relation(self, group: Sequence[LinesObject], numbered: bool) -> str:
        known, before = [], -1 if self._header else 0
        for entry in group:
            source = entry.source
            known.append([literal(str(entry.path)), literal(source.object_id), literal(source.version), str(before)])
            before += entry.lines
        number, inner = "NULL", "line, path__"
        if numbered:
            inner += ", row_number() OVER () AS number__"
            number = "number__ - before__"
        if numbered and group[0].rewritten:
            inner += f", sum({_INSIDE}) OVER (ROWS UNBOUNDED PRECEDING) - {_INSIDE} AS inside__"
            number = "number__ + inside__ - before__"
        content = f"replace({original('line')}, '{INVALID}', chr(65533))" if group[0].rewritten else "line"
        joined = rows_of(known, "known", ("known__", "object__", "version__", "before__"))
        return f"""
            SELECT object__ AS {OBJECT}, version__ AS {VERSION}, {content} AS {CONTENT},
                CAST({number} AS BIGINT) AS {NUMBER}, line
            FROM (SELECT {inner} FROM {self._read(group)}) JOIN {joined} ON path__ = known__
            WHERE line IS NOT NULL
        """

    def _count_all(
        self, connection: duckdb.DuckDBPyConnection, entries: Sequence[LinesObject], bad: dict[str, str]
    ) -> list[LinesObject]:
        """Counts the lines, and returns the objects with lines that belong to others."""
        if not entries:
            return []
        try:
            return self._count(connection, entries)
        except duckdb.Error:
            broken = []
            for entry in entries:
                try:
                    broken += self._count_alone(connection, entry)
                except (UnreadableError, OSError) as error:
                    bad[entry.source.object_id] = reason_of(error)
            return broken

    def _count_alone(self, connection: duckdb.DuckDBPyConnection, entry: LinesObject) -> list[LinesObject]:
        problem = ""
        # A line that is long for the reader's buffers may be too much for several threads, and not for one.
        for each in (entry, replace(entry, parallel=False)):
            try:
                return self._count(connection, [each])
            except duckdb.Error as error:
                problem = first_line(error)
        limit = self._limits.max_line_bytes
        if line := first_long_line(entry.path, limit):
            raise UnreadableError(f"line {line} is longer than {limit} bytes")
        if entry.rewritten:
            raise UnreadableError(f"not readable as lines of text ({problem})")
        return self._count_alone(connection, self._rewrite(entry))

    def _count(self, connection: duckdb.DuckDBPyConnection, entries: Sequence[LinesObject]) -> list[LinesObject]:
        groups: dict[tuple[bool, bool], list[LinesObject]] = {}
        for entry in entries:
            groups.setdefault(entry.group, []).append(entry)
        selects = [
            f"SELECT path__, CAST(count(*) + sum({_INSIDE if group[0].rewritten else 0}) AS BIGINT), "
            f"count(line), count(*) FILTER ({self._broken}) FROM {self._read(group)} GROUP BY path__"
            for group in groups.values()
        ]
        counts = {path: row for path, *row in connection.execute(" UNION ALL ".join(selects)).fetchall()}
        broken_ones = []
        for entry in entries:
            lines, records, broken = counts.get(str(entry.path), (0, 0, 0))
            self.objects[entry.source.object_id] = replace(entry, lines=int(lines), records=records)
            if broken and not entry.rewritten:
                broken_ones.append(self.objects[entry.source.object_id])
        return broken_ones

    def _rewrite(self, entry: LinesObject) -> LinesObject:
        path = self._fresh()
        rewrite_lines(entry.path, path, self._limits, self._delimiter)
        return replace(entry, path=path, rewritten=True)

    def _read(self, group: Sequence[LinesObject]) -> str:
        paths = literals(exact_path(str(entry.path)) for entry in group)
        longest = self._limits.max_line_bytes
        buffer = max(_BUFFER_BYTES, 4 * longest)
        return f"""read_csv([{paths}], auto_detect = false, header = false, skip = {int(self._header)},
            delim = {literal(_NO_DELIMITER)}, quote = '', escape = '', new_line = '\\n', nullstr = '',
            columns = {{'line': 'VARCHAR'}}, filename = 'path__', compression = 'none',
            max_line_size = {longest}, buffer_size = {buffer}, parallel = {str(group[0].parallel).lower()})"""

    def _fresh(self) -> Path:
        self._next += 1
        return self._folder / f"{self._next}"


def original(text: str) -> str:
    """SQL: a text of a rewritten object with its own line ends."""
    return f"replace(replace({text}, '{NEWLINE}', chr(10)), '{RETURN}', chr(13))"
