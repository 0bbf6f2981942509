"""A place in each of several assets, for one sensor that follows them all. Pure but for the looks."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Self, TypeVar

import dagster as dg

Seen = TypeVar("Seen")


@dataclass(frozen=True)
class Places:
    """By asset: the newest of its records that was dealt with.

    What is to happen when any asset has changed asks for `changed`; what joins them, and is to happen when all have,
    waits until none is `unchanged`.
    """

    dealt_with: Mapping[str, int] = field(default_factory=dict)

    def changed(self, newest: Mapping[str, int | None]) -> dict[str, int]:
        """The assets that have a record since, each with its newest one."""
        return {
            name: record
            for name, record in newest.items()
            if record is not None and record > self.dealt_with.get(name, 0)
        }

    def unchanged(self, newest: Mapping[str, int | None]) -> list[str]:
        """The others."""
        return sorted(newest.keys() - self.changed(newest).keys())

    def after(self, records: Mapping[str, int]) -> "Places":
        """When these have been dealt with too."""
        return Places({**self.dealt_with, **records})

    def cursor(self) -> str:
        """As text, for the sensor's cursor."""
        return json.dumps(dict(self.dealt_with), sort_keys=True)

    @classmethod
    def of(cls, cursor: str | None) -> Self:
        """What a cursor holds; nothing without one."""
        return cls(json.loads(cursor)) if cursor else cls()


def newest_materializations(instance: dg.DagsterInstance, keys: Iterable[dg.AssetKey]) -> dict[str, int | None]:
    """The record of the newest materialization of each asset, by its name; None for one that has none."""
    found: dict[str, int | None] = {}
    for key in keys:
        records = instance.fetch_materializations(key, limit=1).records
        found[key.to_user_string()] = records[0].storage_id if records else None
    return found


def look_at_each(looks: Mapping[str, Callable[[], Seen]]) -> tuple[dict[str, Seen], dict[str, Exception]]:
    """What each look saw, and the errors of those that failed: an asset that cannot be read holds up no other.

    Raises an ExceptionGroup if all fail, so that the tick does; one that fails beside others is the caller's to tell.
    """
    seen: dict[str, Seen] = {}
    failed: dict[str, Exception] = {}
    for name, look in looks.items():
        try:
            seen[name] = look()
        except Exception as error:
            error.add_note(f"at the look at {name}")
            failed[name] = error
    if failed and not seen:
        raise ExceptionGroup(f"No look succeeded: {', '.join(failed)}", [*failed.values()])
    return seen, failed
