"""How a run builds partitions of a series: each once, none lost, one that fails spoiling no other."""

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, TypeVar

import dagster as dg

from platform_shared import clock
from platform_shared.postgres import postgres
from platform_shared.schedules.series import Series, newest_input, newest_inputs, slots
from platform_shared.schedules.soundness import soundness
from platform_shared.warehouse.locks import TableLock, table_lock

_ONLY_DUE = "platform/only-due"
ONLY_DUE_TAGS: Mapping[str, str] = {_ONLY_DUE: "true"}
"""Tags of runs that instigators ask for: what is up to date by then is left alone, so that it does not matter how many
of them ask for the same. A person's run builds what the person chose."""

_ROUNDS = 5
Read = TypeVar("Read")


class PartitionsFailedError(RuntimeError):
    """Some partitions of a run could not be built; the others are there."""


def build_partitions(
    context: dg.AssetExecutionContext,
    series: Series,
    read: Callable[[Sequence[str]], Mapping[str, Read]],
    write: Callable[[str, Read], Mapping[str, Any]],
) -> Generator[Any, None, list[str]]:
    """Builds the partitions that the run names, and announces each; `yield from` it gives those built, in order.

    `read` gets the partitions at once and gives what each is made of; `write` makes one of them and gives its metadata.
    The asset must be `skippable`: what is not due in a run with ONLY_DUE_TAGS is not announced. This is a generator,
    though it yields nothing, since Dagster takes a function that returns for a materialization.

    Nothing is announced that an input has outrun: the inputs of a partition are looked at once more just before its
    event, and what changed since it was read is read and written again; what still changes after a few rounds is not
    announced. Raises PartitionsFailedError after all others are built.

    One run of a series works at a time; another waits here. The asset's pool keeps it waiting in the queue, where it
    takes no place, but is no lock: Dagster limits a pool from the second look of its queue on that sees a run of it,
    and a run that is executed directly (`dg launch`, `dagster asset materialize`) passes no queue.
    """
    name = series.key.to_user_string()
    waits = f"Another run builds {name}; this one waits until it has ended."
    with table_lock(postgres(), name, waiting=lambda: context.log.info(waits)) as lock:
        built = _build(context, series, read, write, lock)
    yield from ()
    return built


def _build(
    context: dg.AssetExecutionContext,
    series: Series,
    read: Callable[[Sequence[str]], Mapping[str, Read]],
    write: Callable[[str, Read], Mapping[str, Any]],
    lock: TableLock,
) -> list[str]:
    asked = list(context.partition_keys)
    keys = asked
    if _ONLY_DUE in context.run.tags:
        failed_checks = soundness(context.instance, series).failed
        if failed_checks:
            context.log.warning(f"Nothing is built: an input has failed a blocking check: {', '.join(failed_checks)}")
            return []
        keys = [slot.key for slot in slots(context.instance, series, clock.utc_now(), asked) if slot.is_due]
        if len(keys) < len(asked):
            context.log.info(f"{len(asked) - len(keys)} of {len(asked)} partitions are up to date, or lack an input.")
    built: dict[str, None] = {}
    failed: dict[str, Exception] = {}
    for _ in range(_ROUNDS):
        if not keys:
            break
        seen = newest_input(context.instance, series)
        now = before = newest_inputs(context.instance, series, keys)
        found = read(keys)
        for key in keys:
            lock.check()
            try:
                metadata = write(key, found[key])
            except Exception as error:
                context.log.error(f"Partition {key}: {error}")
                failed[key] = error
                continue
            newest = newest_input(context.instance, series)
            if newest != seen:
                seen, now = newest, newest_inputs(context.instance, series, keys)
            if now[key] == before[key]:
                lock.check()
                context.log_event(dg.AssetMaterialization(series.key, partition=key, metadata=metadata))
                built[key] = None
        # With what changed in the moment between the look and the event.
        now = newest_inputs(context.instance, series, keys)
        keys = [key for key in keys if now[key] != before[key] and key not in failed]
    outrun = [key for key in keys if key not in built]
    if failed:
        key, cause = next(iter(failed.items()))
        raise PartitionsFailedError(f"{len(failed)} of {len(asked)} partitions failed; the first: {key}") from cause
    if outrun:
        raise PartitionsFailedError(
            f"The inputs of {len(outrun)} partitions change faster than they are read: {outrun[0]}"
        )
    return [key for key in asked if key in built]
