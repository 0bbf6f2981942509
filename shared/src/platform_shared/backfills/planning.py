"""Which partitions of which assets a backfill takes, from what a person writes. Pure: the assets are given."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from difflib import get_close_matches
from itertools import product
from math import ceil

ALL = "all"
_GROUP = "group:"


class BackfillError(ValueError):
    """What cannot be backfilled as it was asked for; the message says what can."""


@dataclass(frozen=True)
class Dimension:
    """One dimension of an asset's partitions: its name, whether its keys begin with dates, and the keys in order.

    `is_dynamic`: they come and go with the data.
    """

    name: str
    is_time: bool
    keys: tuple[str, ...]
    is_dynamic: bool = False


@dataclass(frozen=True)
class Asset:
    """An asset of the workspace as far as backfills are concerned.

    `at_once`: how many partitions a run takes, by its BackfillPolicy; None for all. `feed`: the feed that loads it.
    """

    key: str
    group: str
    location: str
    is_materializable: bool
    dimensions: tuple[Dimension, ...]
    at_once: int | None = 1
    feed: str | None = None

    @property
    def has_dates(self) -> bool:
        """Whether a dimension of its partitions is of dates."""
        return any(dimension.is_time for dimension in self.dimensions)


@dataclass(frozen=True)
class Part:
    """The partitions of one asset that are built, in order; none for an asset without partitions."""

    asset: Asset
    partitions: tuple[str, ...]

    @property
    def runs(self) -> int:
        """How many runs its BackfillPolicy makes of them, if the asset is built by itself.

        Of two dimensions Dagster takes the keys of the smaller one apart, whatever the policy says.
        """
        sizes = [len({key.split("|")[n] for key in self.partitions}) for n in range(len(self.asset.dimensions))]
        along = max(sizes)
        return len(self.partitions) // along * (1 if self.asset.at_once is None else ceil(along / self.asset.at_once))

    @property
    def is_dynamic(self) -> bool:
        """Whether a dimension comes and goes with the data."""
        return any(dimension.is_dynamic for dimension in self.asset.dimensions)

    @property
    def ranges(self) -> list[dict[str, str]]:
        """The partitions as ranges from `start` to `end`; those of two dimensions one by one."""
        if len(self.asset.dimensions) == 1:
            return [{"start": self.partitions[0], "end": self.partitions[-1]}]
        return [{"start": key, "end": key} for key in self.partitions]


def plan(assets: Mapping[str, Asset], wanted: Sequence[str], first: str, last: str) -> list[Part]:
    """What is built for `wanted`: keys of assets, `group:<name>`, or `all`, from `first` to `last`, both included.

    Dates select whatever has dates: days, hours in them, weeks and months that reach into them. Partitions without
    dates are named by their keys, `first` and `last` in the order of their definition; of an asset that a group or
    `all` brings in along with some of these dates, they are all selected, since each may be made of those. Raises
    BackfillError.
    """
    chosen = [_found(assets, name) for name in wanted] if ALL not in wanted else [_partitioned(assets.values())]
    members = list(dict.fromkeys(asset for some in chosen for asset in some))
    named = {name for name in wanted if name in assets}
    parts = [Part(asset, _between(asset, first, last)) for asset in members]
    if any(part.partitions and part.asset.has_dates for part in parts):
        parts = [_whole(part) if part.asset.key not in named and not part.asset.has_dates else part for part in parts]
    for part in parts:
        if part.asset.key in named and not part.partitions:
            raise BackfillError(f"{part.asset.key} has no partition from {first} to {last}; {_has(part.asset)}.")
    kept = [part for part in parts if part.partitions]
    if not kept:
        raise BackfillError(f"Nothing of {', '.join(wanted)} has a partition from {first} to {last}.")
    return kept


def stages(parts: Sequence[Part]) -> list[list[Part]]:
    """The parts as the backfills that build them, one after another.

    One backfill takes them all, in the order of their dependencies, but for dynamic partitions: Dagster 1.13 takes them
    from a person for one asset at a time. They come last, as they are made of what the others build.
    """
    together = [part for part in parts if not part.is_dynamic]
    return [each for each in (together, *([part] for part in parts if part.is_dynamic)) if each]


def _found(assets: Mapping[str, Asset], name: str) -> list[Asset]:
    if name.startswith(_GROUP):
        group = name.removeprefix(_GROUP)
        members = _partitioned(asset for asset in assets.values() if asset.group == group)
        if not members:
            groups = sorted({asset.group for asset in _partitioned(assets.values())})
            raise BackfillError(f"There is no group {group} with partitioned assets; there are {', '.join(groups)}.")
        return members
    asset = assets.get(name)
    if asset is None:
        close = get_close_matches(name, assets, n=3, cutoff=0.5)
        raise BackfillError(f"There is no asset {name}." + (f" Did you mean {', '.join(close)}?" if close else ""))
    if asset.feed is not None:
        raise BackfillError(
            f"{name} is what the feed {asset.feed} has loaded; "
            f"`platform replay --feed {asset.feed} --since DATE` loads it again."
        )
    if not asset.is_materializable:
        raise BackfillError(f"{name} is not built here; it is only observed.")
    if not asset.dimensions:
        raise BackfillError(f"{name} has no partitions; it is rebuilt when an input of it is.")
    return [asset]


def _partitioned(assets: Iterable[Asset]) -> list[Asset]:
    return [asset for asset in assets if asset.is_materializable and asset.dimensions and asset.feed is None]


def _whole(part: Part) -> Part:
    return replace(part, partitions=tuple("|".join(keys) for keys in product(*(d.keys for d in part.asset.dimensions))))


def _between(asset: Asset, first: str, last: str) -> tuple[str, ...]:
    """Of partitions by date and something else, all of the other dimension."""
    if not asset.has_dates:
        keys = asset.dimensions[0].keys if len(asset.dimensions) == 1 else ()
        return keys[keys.index(first) : keys.index(last) + 1] if first in keys and last in keys else ()
    picked = [_in_time(each.keys, first, last) if each.is_time else each.keys for each in asset.dimensions]
    return tuple("|".join(parts) for parts in product(*picked))


def _in_time(keys: tuple[str, ...], first: str, last: str) -> tuple[str, ...]:
    """Keys of the periods that begin between the two, or in which `first` lies. The keys sort as their periods do."""
    _check_dates(first, last)
    start = bisect_right(keys, first)
    # Hours begin with the date of their day, so that a day as `first` lies before them and not in one.
    lies_in = (
        start
        and not (start < len(keys) and keys[start].startswith(first))
        and (start < len(keys) or _reaches(keys, first))
    )
    return tuple(key for key in keys[start - 1 if lies_in else start :] if key[: len(last)] <= last)


def _reaches(keys: tuple[str, ...], day: str) -> bool:
    """Whether the last period, which is as long as the one before, has this day in it."""
    end = date.fromisoformat(keys[-1][:10])
    length = end - date.fromisoformat(keys[-2][:10]) if len(keys) > 1 else timedelta(days=1)
    if length >= timedelta(days=28):
        return day[:7] == keys[-1][:7]
    return date.fromisoformat(day[:10]) < end + max(length, timedelta(days=1))


def _check_dates(first: str, last: str) -> None:
    for name, value in (("from", first), ("to", last)):
        try:
            date.fromisoformat(value[:10])
        except ValueError:
            raise BackfillError(f"{name}={value} is no date; write it as 2026-03-31.") from None
    if first > last:
        raise BackfillError(f"from={first} is after to={last}.")


def _has(asset: Asset) -> str:
    dimension = next((each for each in asset.dimensions if each.is_time), asset.dimensions[0])
    return f"it has {dimension.keys[0]} to {dimension.keys[-1]}" if dimension.keys else "it has none yet"
