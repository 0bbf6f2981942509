"""A partitioned asset that is to have no gap, and what the instance knows of its partitions."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from functools import cache, partial
from hashlib import sha256
from itertools import takewhile

import dagster as dg

from platform_shared.partitions import business_date, business_days_of
from platform_shared.schedules.due import NOTHING_TO_WAIT_FOR, Slot, State
from platform_shared.schedules.healing import Limits

Reads = Callable[[str], Sequence[str | None]]
"""Partitions of an input that a partition reads; None stands for the whole of an unpartitioned one."""


@dataclass(frozen=True)
class Input:
    """An asset that each partition reads in part. All of what it reads must be there before it is built.

    `recent` is for what all partitions read, such as a table of names, where a change would else build years again: it
    then makes a partition due only if the day (New York) with which its key begins lay no further back than that on the
    day of the change. When somebody looks does not matter; of several changes the newest counts.
    """

    key: dg.AssetKey
    reads: Reads
    recent: timedelta | None = None


@dataclass(frozen=True)
class Series:
    """A partitioned asset, the name of the job that builds it, and what it reads.

    `reserve` is how long after its end a partition is left to the schedule's own tick: long enough for that, short
    enough to fill in soon where it was missed. Healing fills in what is older, and what failed.

    The asset has a `pool` of its own, which keeps the schedule's run and a healing one apart.

    `row` gives the first dimension of a key of two, whose partitions are then asked for together; `limits` count rows.
    """

    key: dg.AssetKey
    job: str
    partitions: dg.PartitionsDefinition[str]
    inputs: tuple[Input, ...] = ()
    reserve: timedelta = timedelta(0)
    limits: Limits = field(default_factory=Limits)
    row: Callable[[str], str] = lambda key: key


def same_day(key: str) -> Sequence[str]:
    """An input by business day, for a partition of the same day."""
    return (key,)


def whole_table(key: str) -> Sequence[None]:
    """An input without partitions."""
    return (None,)


def the_days_in(partitions: dg.TimeWindowPartitionsDefinition) -> Reads:
    """An input by business day, for an hour, week or month: the days that lie in it or that it lies in."""
    return cache(partial(business_days_of, partitions))


def slots(instance: dg.DagsterInstance, series: Series, now: datetime, only: Sequence[str] | None = None) -> list[Slot]:
    """The partitions of a series at `now` (aware), in their order, or `only` these. A few queries, whatever
    their number. Without `only`, those are called idle, whatever their runs, of whose row none is due or reserved.

    One of the names used here is not marked public by Dagster (docs/adr/0005).
    """
    keys = series.partitions.get_partition_keys(current_time=now, dynamic_partitions_store=instance)
    chosen = None if only is None else frozenset(only)
    wanted = [key for key in keys if chosen is None or key in chosen]
    built = _newest(instance, series.key)
    inputs = newest_inputs(instance, series, wanted)
    reserved = _reserved(series, keys, now)
    found = {key: Slot(key, built.get(key), inputs[key]) for key in wanted}
    # Dagster takes 50 µs for the state of a partition: two seconds for the hours of five years.
    rows = {series.row(key) for key, slot in found.items() if chosen is not None or slot.is_due or key in reserved}
    asked = [key for key in found if series.row(key) in rows]
    states = instance.get_status_by_partition(series.key, asked, series.partitions) if asked else None
    # Read again: nobody is at work on what a run has built meanwhile, and it is due no more.
    built = _newest(instance, series.key, {*asked}) if asked else {}
    for key in asked:
        state = _state((states or {}).get(key))
        is_reserved = key in reserved and state is not State.FAILED
        found[key] = replace(found[key], built=built.get(key), state=state, reserved=is_reserved)
    return list(found.values())


def newest_inputs(instance: dg.DagsterInstance, series: Series, keys: Sequence[str]) -> dict[str, int | None]:
    """The newest record of what makes each partition due; None for one of which some input is not there."""
    found: dict[str, int | None] = dict.fromkeys(keys, NOTHING_TO_WAIT_FOR)
    for each in series.inputs:
        newest = _newest(instance, each.key)
        counts_from = _counts_from(instance, each)
        for key in keys:
            so_far, records = found[key], [newest.get(part) for part in each.reads(key)]
            there = [record for record in records if record is not None]
            if so_far is None or not there or len(there) < len(records):
                found[key] = None
            elif counts_from is None or date.fromisoformat(key[:10]) >= counts_from:
                found[key] = max(*there, so_far)
    return found


def newest_input(instance: dg.DagsterInstance, series: Series) -> int:
    """The newest record of any input, whatever its partition: while it is the same, so are `newest_inputs`."""
    records = [instance.fetch_materializations(key, limit=1).records for key in _input_keys(series)]
    return max((found[0].storage_id for found in records if found), default=NOTHING_TO_WAIT_FOR)


def traces(instance: dg.DagsterInstance, series: Series, now: datetime) -> list[str | int | None]:
    """While these are the same, nothing has become due of which nothing was: the newest records of the series and of
    its inputs, which partitions there are, and the quarter of an hour, in which any time zone's day or hour begins.
    What they do not show (a deleted run, another definition) is seen in the next quarter.

    A query for each of them, whatever the number of partitions.
    """
    newest = [instance.fetch_materializations(key, limit=1).records for key in (series.key, *_input_keys(series))]
    records = [found[0].storage_id if found else None for found in newest]
    quarter = now.replace(minute=now.minute // 15 * 15, second=0, microsecond=0)
    return [quarter.isoformat(), _names(instance, series, now), *records]


def unfinished_runs(instance: dg.DagsterInstance, tags: Mapping[str, str]) -> int:
    """Runs with these tags that have not ended."""
    return len(instance.get_runs(dg.RunsFilter(tags=tags, statuses=list(_UNFINISHED))))


_UNFINISHED = (
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
)


def _newest(
    instance: dg.DagsterInstance, key: dg.AssetKey, partitions: set[str] | None = None
) -> dict[str | None, int]:
    """The record of the newest materialization of each partition, or of these; under None that of the asset as a
    whole."""
    newest: dict[str | None, int] = {}
    materialized = dg.DagsterEventType.ASSET_MATERIALIZATION
    newest.update(instance.get_latest_storage_id_by_partition(key, materialized, partitions).items())
    whole = instance.fetch_materializations(key, limit=1).records
    if whole:
        newest[None] = whole[0].storage_id
    return newest


def _counts_from(instance: dg.DagsterInstance, each: Input) -> date | None:
    """The first day that the newest change of an input makes due; None if it is all."""
    records = instance.fetch_materializations(each.key, limit=1).records if each.recent is not None else []
    if each.recent is None or not records:
        return None
    return business_date(datetime.fromtimestamp(records[0].timestamp, UTC)) - each.recent


def _input_keys(series: Series) -> list[dg.AssetKey]:
    return [each.key for each in series.inputs]


def _names(instance: dg.DagsterInstance, series: Series, now: datetime) -> str | None:
    """A digest of the partitions; None for those that only the clock brings."""
    if isinstance(series.partitions, dg.TimeWindowPartitionsDefinition):
        return None
    keys = series.partitions.get_partition_keys(current_time=now, dynamic_partitions_store=instance)
    return sha256("\n".join(keys).encode()).hexdigest()[:16]


def _state(status: object) -> State:
    words = {"IN_PROGRESS": State.ACTIVE, "FAILED": State.FAILED}
    return words.get(str(getattr(status, "value", None)), State.IDLE)


def _reserved(series: Series, keys: Sequence[str], now: datetime) -> frozenset[str]:
    """The last partitions, which ended less than `reserve` ago."""
    partitions = series.partitions
    if not series.reserve or not isinstance(partitions, dg.TimeWindowPartitionsDefinition):
        return frozenset()
    return frozenset(
        takewhile(lambda key: now < partitions.time_window_for_partition_key(key).end + series.reserve, reversed(keys))
    )
