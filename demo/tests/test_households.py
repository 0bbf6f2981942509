import json
from typing import Any

import duckdb
import pytest

from demo_world.bucket import BucketObject
from demo_world.households import household_objects, in_another_order

COLUMNS = (
    "household_id",
    "age",
    "income",
    "home_ownership",
    "marital_status",
    "household_size",
    "household_comp",
    "kids_count",
)


@pytest.fixture(scope="module")
def source(source_file: Any) -> list[tuple[Any, ...]]:
    query = f"SELECT {', '.join(COLUMNS)} FROM read_parquet('{source_file('demographics')}')"
    return duckdb.connect().execute(query).fetchall()


def rows(thing: BucketObject) -> list[tuple[Any, ...]]:
    lines = [json.loads(line) for line in thing.content.decode("ascii").splitlines()]
    assert all(tuple(line) == COLUMNS for line in lines)
    return [tuple(line.values()) for line in lines]


def test_all_objects_hold_the_source_and_nothing_else(source: list[tuple[Any, ...]]) -> None:
    found = [row for thing in household_objects() for row in rows(thing)]
    assert len(found) == 801
    assert found == sorted(source)
    assert any(None in row for row in found)


def test_an_object_says_what_it_holds() -> None:
    objects = household_objects()
    assert [thing.key for thing in objects] == [
        f"customer_data/households-{first:04d}-{first + 299:04d}.jsonl" for first in range(0, 2700, 300)
    ]
    for number, thing in enumerate(objects):
        found = rows(thing)
        assert thing.rows == len(found) > 0
        assert {row[0] // 300 for row in found} == {number}
        assert thing.content.endswith(b"}\n")


def test_they_are_always_the_same() -> None:
    assert household_objects() == household_objects()


def test_another_order_is_new_bytes_of_the_same_rows() -> None:
    for thing in household_objects():
        first, second = in_another_order(thing, "a"), in_another_order(thing, "b")
        assert in_another_order(thing, "a") == first
        assert len({thing.content, first.content, second.content}) == 3
        assert sorted(rows(first)) == sorted(rows(second)) == rows(thing)
        assert (first.key, first.rows) == (thing.key, thing.rows)
