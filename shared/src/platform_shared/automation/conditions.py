"""The named conditions. What all of them promise, tick by tick, is the table in docs/automation.md.

They start by themselves, on a fresh instance and for a new asset, where the docstring does not say otherwise. They ask
once and leave the bounded retry to the instance's `run_retries`, which `automation_sensor` sets: a broken asset costs
three runs a change and nothing more. They ask for nothing that is being built, and wait until every input exists, is
not being built and has passed its blocking checks. They look through virtual assets (dbt views) to the tables behind
them; checks of a virtual asset hold nothing up.

One hole is known: changes by a backfill of an input that is under way when somebody launches another one of the asset
are taken for that one's.
"""

import warnings
from datetime import timedelta
from functools import reduce
from operator import and_

import dagster as dg

from platform_shared.automation import parts
from platform_shared.automation.parts import Condition

_AC = dg.AutomationCondition


def on_input_change(*, at_most_every: str | None = None) -> Condition:
    """Rebuilds the asset, or exactly the partitions concerned, whenever an input or the code changes.

    A change that comes while the asset is being built is not lost: it makes one more build. Input and asset share a
    run where Dagster lets them; where they cannot, an input that is asked for counts as changed, even if it then fails.

    `at_most_every`: a cron (UTC) between two ticks of which each partition is asked for once at most. Inputs that
    trickle would else keep their children busy without a pause, and whoever waits for several of those would starve.
    """
    return _refresh("on_input_change", parts.inputs_ready(), *_pauses(at_most_every))


def on_any_input_partition(*, at_most_every: str | None = None) -> Condition:
    """As `on_input_change`, for an unpartitioned asset over partitioned inputs: some partition of each must exist.

    It takes what is there and does not wait for partitions that are being built, which make one more build.
    """
    return _refresh("on_any_input_partition", parts.some_partitions_ready(), *_pauses(at_most_every))


def on_complete_partition(lookback: timedelta) -> Condition:
    """As `on_input_change`, for a coarse partition over fine ones (a week over its days) that is to be complete.

    A partition is built when its time is over and all input partitions in it exist; a late change of one of them builds
    it again. Partitions that ended earlier than `lookback` before the end of the newest are left alone. Give the asset
    no `end_offset`: a partition that is not over would count.
    """
    recent = _AC.in_latest_time_window(lookback).with_label(f"ended within {lookback}")
    return _refresh("on_complete_partition", recent, parts.inputs_ready())


def on_cron_when_inputs_ready(cron: str, timezone: str, *, inputs: dg.AssetSelection | None = None) -> Condition:
    """Rebuilds the asset (the newest partition of a partitioned one) after each tick of a cron, once inputs are ready.

    `timezone` is the cron's (an IANA name). `inputs`: those that must have changed since the tick; the others need only
    exist, so that a weekly input does not hold up a daily asset. A missing asset does not wait for the tick. Ticks that
    pass unseen, or while the asset is not ready, count as one.
    """
    passed = _AC.cron_tick_passed(cron, timezone).since(_AC.newly_requested())
    due: Condition = passed.with_label(f"a tick of {cron} ({timezone}) passed since it was last asked for")
    if inputs is not None:
        updated = _AC.all_deps_updated_since_cron(cron, timezone).allow(inputs)
        due = (due & updated.with_label("the inputs it waits for changed since the tick")).with_label("due")
    wanted = (due | parts.missing()).with_label("wanted")
    newest = _AC.in_latest_time_window().with_label("the newest partition")
    return _all("on_cron_when_inputs_ready", newest, wanted, parts.inputs_ready(), parts.free())


def heal_gaps(lookback: timedelta) -> Condition:
    """Fills missing partitions that ended within `lookback`, beside a schedule, which never catches up by itself.

    The newest partition is left to the schedule. All gaps of a look are one backfill of at most `lookback` partitions.
    What fails is asked for again once a day (midnight UTC) while it is in the lookback, and not any more after that.
    """
    recent = _AC.in_latest_time_window(lookback).with_label(f"ended within {lookback}")
    newest = _AC.in_latest_time_window().with_label("the newest partition")
    return _all(
        "heal_gaps",
        recent,
        (~newest).with_label("not the newest partition, which is the schedule's"),
        _AC.missing().with_label("missing"),
        parts.not_since("0 0 * * *"),
        parts.inputs_ready(),
        parts.free(),
    )


def on_code_change() -> Condition:
    """Builds the asset when it is missing and when its code version changes, whatever its inputs do: views and seeds.

    A view that is a virtual asset needs none: nobody builds it.
    """
    new_code = _AC.code_version_changed()
    recoded = new_code.since(_AC.newly_requested() & ~new_code).with_label("the code changed since it was asked for")
    wanted = (parts.missing() | recoded).with_label("wanted")
    return _all("on_code_change", wanted, parts.inputs_exist(), parts.free())


def on_demand() -> Condition:
    """Builds the asset when an asset downstream is wanted, in the same run: for what only few others need.

    It has no wish of its own: without a conditioned asset downstream it is never built.
    """
    with warnings.catch_warnings():
        # Beta in 1.13; the truth table holds what it does.
        warnings.simplefilter("ignore", dg.BetaWarning)
        downstream = _AC.any_downstream_conditions().with_label("an asset downstream is wanted")
    return _all("on_demand", downstream, parts.inputs_exist(), parts.free())


def on_freshness_failure() -> Condition:
    """Builds the asset once whenever its freshness policy turns to failed, and when it is missing.

    The freshness daemon writes the state, once a minute at most. It is one for the whole asset; of a partitioned one
    the newest partition is built.
    """
    late = _AC.freshness_failed()
    unasked = late.newly_true().since(_AC.newly_requested())
    breach = (late & unasked).with_label("freshness failed, and not asked for yet")
    wanted = (breach | parts.missing()).with_label("wanted")
    newest = _AC.in_latest_time_window().with_label("the newest partition")
    return _all("on_freshness_failure", newest, wanted, parts.inputs_ready(), parts.free())


def _refresh(label: str, *gates: Condition) -> Condition:
    wanted = (parts.changed() | parts.missing()).with_label("wanted")
    return _all(label, wanted, parts.free(), *gates)


def _all(label: str, first: Condition, second: Condition, *more: Condition) -> Condition:
    return reduce(and_, more, first & second).with_label(label).resolve_through_virtual()


def _pauses(at_most_every: str | None) -> list[Condition]:
    return [] if at_most_every is None else [parts.not_since(at_most_every)]
