"""Names and values with quotes arrive in DuckDB as they are."""

import duckdb
import pytest

from platform_shared.warehouse import identifier, literal
from platform_shared.warehouse.sql import literals

AWKWARD = [
    "plain",
    "it's",
    '"quoted"',
    "'",
    '"',
    "a'; DROP TABLE t; --",
    "back\\slash",
    "new\nline",
    "naïve 表",
    "",
    "%s {x}",
]


@pytest.mark.parametrize("value", AWKWARD)
def test_a_literal_is_the_value(value: str) -> None:
    assert duckdb.execute(f"SELECT {literal(value)}").fetchall() == [(value,)]


def test_literals_are_a_list_for_in() -> None:
    assert duckdb.execute(f"SELECT unnest([{literals(AWKWARD)}])").fetchall() == [(value,) for value in AWKWARD]


@pytest.mark.parametrize("name", [name for name in AWKWARD if name])
def test_an_identifier_names_the_column(name: str) -> None:
    relation = duckdb.execute(f"SELECT 1 AS {identifier(name)}")
    assert relation.description is not None
    assert relation.description[0][0] == name
