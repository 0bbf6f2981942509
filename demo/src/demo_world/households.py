"""The objects of `households`: JSON lines below `customer_data/`, made from the real demographics of 801 households.

Each holds a range of household ids, whether there are demographics for one of them or not, in the order of the ids.
What is not known of a household is null. The data never changes; a sender that sends an object again does so with its
lines in another order, so that its bytes and version are new and its rows are not.
"""

import json
from itertools import groupby
from typing import Any

import duckdb

from demo_world.bucket import BucketObject
from demo_world.dropping import shuffled
from demo_world.package import data_file

FEED = "households"
PREFIX = "customer_data/"
IDS_PER_OBJECT = 300


def household_objects() -> list[BucketObject]:
    """All of them, by household id."""
    with duckdb.connect() as connection:
        result = connection.execute(
            "FROM read_parquet($path) ORDER BY household_id", {"path": str(data_file("demographics"))}
        )
        columns = [name for name, *_ in result.description or ()]
        households = [dict(zip(columns, row, strict=True)) for row in result.fetchall()]
    return [_object(first, list(those)) for first, those in groupby(households, _first_id_of_object)]


def in_another_order(thing: BucketObject, seed: str) -> BucketObject:
    """The same lines in an order that depends on the seed only."""
    lines = thing.content.splitlines(keepends=True)
    return BucketObject(thing.key, b"".join(shuffled(lines, seed)), thing.rows)


def _first_id_of_object(household: dict[str, Any]) -> int:
    return int(household["household_id"]) // IDS_PER_OBJECT * IDS_PER_OBJECT


def _object(first: int, households: list[dict[str, Any]]) -> BucketObject:
    name = f"households-{first:04d}-{first + IDS_PER_OBJECT - 1:04d}.jsonl"
    content = "".join(json.dumps(household) + "\n" for household in households)
    return BucketObject(PREFIX + name, content.encode(), len(households))
