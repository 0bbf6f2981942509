"""A join of assets: something happens when each of them has changed since it happened last. Pure but for one look."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Self

import dagster as dg


@dataclass(frozen=True)
class Joined:
    """By asset: the record that was used last, and the newest one there is."""

    used: Mapping[str, int] = field(default_factory=dict)
    newest: Mapping[str, int | None] = field(default_factory=dict)

    def look(self, newest: Mapping[str, int | None]) -> "Joined":
        """With what there is now."""
        return Joined(self.used, newest)

    @property
    def unchanged(self) -> list[str]:
        """The assets that have not changed since they were used."""
        return sorted(
            name for name, record in self.newest.items() if record is None or record <= self.used.get(name, 0)
        )

    @property
    def is_complete(self) -> bool:
        """Whether all have changed."""
        return bool(self.newest) and not self.unchanged

    @property
    def waits_for(self) -> str:
        """In words, for a skipped tick."""
        return f"Waits for a change of {', '.join(self.unchanged)}."

    @property
    def run_key(self) -> str:
        """Of the records that are used: another pair is another key."""
        return "-".join(str(self.newest[name]) for name in sorted(self.newest))

    def cursor(self) -> str:
        """What was used, as text; if the join is complete, all that is there."""
        return json.dumps(dict(self.newest if self.is_complete else self.used), sort_keys=True)

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
