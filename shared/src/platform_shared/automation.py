"""Named automation conditions: when an asset is rebuilt. Labels are plain words, because the UI shows them.

All promise: they start by themselves on a fresh instance and for a new asset; ask once per change and leave the bounded
retry to `run_retries` (`automation_sensor` sets it); lose no update that comes while the asset is being built; wait for
blocking checks and for parents in progress. One hole is known: of two backfills at once, one of a parent alone and one
of the asset, the asset's ends the memory of the parent's.

Two `since` (or `newly_true`) of one asset whose direct children have the same class names share their state, silently.
So the parts below differ in those classes on purpose; a test holds it.
"""

from typing import Any

import dagster as dg

from platform_shared.location import LOCATION_TAG

_AC = dg.AutomationCondition

Condition = dg.AutomationCondition[Any]

EVERY_MINUTE = "* * * * *"

_BACKFILL = {"dagster/backfill"}
"""Tag on every run of a backfill."""


def automation_sensor(location: str) -> dg.AutomationConditionSensorDefinition:
    """The running sensor of a location's conditions. Its runs are tried three times in all, by the instance.

    Named on purpose: the sensor that Dagster adds by itself is stopped, and nothing says so. It looks every five
    seconds, as often as Dagster's loop does.
    """
    return dg.AutomationConditionSensorDefinition(
        f"{location}_automation_sensor",
        target=dg.AssetSelection.all(),
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=5,
        run_tags={"dagster/max_retries": "2", LOCATION_TAG: location},
    )


def _wanted() -> Condition:
    # "Apart" from the asset's own runs. Of an input, Dagster knows the run of the newest partition only, and the others
    # of a common backfill seem apart: changes by backfills have a memory that a backfill of the asset ends.
    apart = _AC.newly_updated() & ~_AC.executed_with_root_target()
    changed = _AC.any_deps_match(apart)
    changed_by_run = _AC.any_deps_match(apart & ~_AC.all_new_updates_have_run_tags(tag_keys=_BACKFILL))
    new_code = _AC.code_version_changed()
    # A change seen in the look after the request is newer than the request, whatever its time stamp says.
    asked = _AC.newly_requested() & ~changed
    return (
        changed_by_run.since(asked).with_label("a parent changed after the last request")
        | changed.since(asked | _AC.any_new_update_has_run_tags(tag_keys=_BACKFILL)).with_label(
            "a parent changed after the last request or backfill"
        )
        | (_AC.missing().newly_true().since(_AC.newly_requested()) & _AC.missing()).with_label("missing")
        | new_code.since(_AC.newly_requested() & ~new_code).with_label("code changed")
        | _AC.any_deps_match(_AC.will_be_requested()).with_label("a parent is built in the same run")
    ).with_label("wanted")


def _free(at_most_every: str | None) -> Condition:
    label, free = "not being built already", ~_AC.in_progress() & ~_AC.newly_requested()
    if at_most_every is None:
        return free.with_label(label)
    asked_since = _AC.newly_requested().since(_AC.cron_tick_passed(at_most_every))
    return (free & (~asked_since).with_label(f"not requested since the last tick of {at_most_every}")).with_label(label)


def _checks_passed() -> Condition:
    """No input has an open or failed blocking check. An input that is built in the same run is left to that run, which
    stops at the check by itself; without this a model and its parent would never share a dbt invocation."""
    passed = _AC.all_checks_match(_AC.check_passed(), blocking_only=True)
    return (~_AC.any_deps_match(~passed & ~_AC.will_be_requested())).with_label("blocking checks of the inputs passed")


def on_input_change(*, at_most_every: str | None = None) -> Condition:
    """Rebuilds the asset, or exactly the partitions concerned, whenever an input changes; all inputs must exist.

    `at_most_every`: a cron (UTC) between two ticks of which each partition is asked for once at most. Inputs that
    trickle would else keep their children busy without a pause, and whoever waits for several of those would starve.
    """
    ready = (~_AC.any_deps_missing() & ~_AC.any_deps_in_progress() & _checks_passed()).with_label("inputs ready")
    return (_wanted() & ready & _free(at_most_every)).with_label("on_input_change")


def on_any_input_partition(*, at_most_every: str | None = None) -> Condition:
    """As `on_input_change`, for an unpartitioned asset over partitioned inputs: some partition of each must exist."""
    ready = (
        _AC.all_deps_match(~_AC.missing() | _AC.will_be_requested()).with_label("each input has a partition")
        & ~_AC.any_deps_in_progress()
        & _checks_passed()
    ).with_label("inputs ready")
    return (_wanted() & ready & _free(at_most_every)).with_label("on_any_input_partition")
