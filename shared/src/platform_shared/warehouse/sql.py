"""Quoting for the SQL that the platform builds.

Values are quoted literals and not bound parameters: binding one makes DuckDB look for pandas (1.3 s a process where it
is installed).
"""

from collections.abc import Iterable


def literal(value: str) -> str:
    """A string as an SQL literal."""
    return "'" + value.replace("'", "''") + "'"


def literals(values: Iterable[str]) -> str:
    """Strings as a comma-separated list of SQL literals, for IN (…) and […]."""
    return ", ".join(literal(value) for value in values)


def identifier(name: str) -> str:
    """A name as a quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'
