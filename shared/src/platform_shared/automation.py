"""Named automation conditions: when an asset is rebuilt. Labels are plain words, because the UI shows them.

All promise: they start by themselves on a fresh instance and for a new asset; ask once per change and leave the bounded
retry to `run_retries` (give the automation sensor `RUN_TAGS`); lose no update that comes while the asset is being
built; wait for blocking checks and for parents in progress.

Two `since` (or `newly_true`) of one asset whose direct children have the same class names share their state silently,
and `since` keeps event times only for bare operands. So the parts below differ in those classes on purpose; a test
holds it.
"""

import dagster as dg

_AC = dg.AutomationCondition

RUN_TAGS = {"dagster/max_retries": "2"}
"""Run tags for automation sensors: a permanently broken asset costs three runs a change, whatever its condition."""


def _wanted() -> dg.AutomationCondition[dg.AssetKey]:
    asked = _AC.newly_requested()
    # "Updated, and not in a run or backfill that builds me too", with the event's time kept.
    foreign = _AC.newly_updated().since(
        _AC.executed_with_root_target()
        | _AC.executed_with_tags(tag_keys={"dagster/backfill"})
        | ~_AC.newly_updated()
    )
    apart = _AC.newly_updated() & ~_AC.executed_with_root_target()
    return (
        _AC.any_deps_match(foreign).since(asked).with_label("a parent changed after the last request")
        | _AC.any_deps_match(apart)
        .since(asked | _AC.newly_updated())
        .with_label("a parent changed after the last build")
        | (_AC.missing().newly_true() | _AC.code_version_changed()).since(asked).with_label("missing, or code changed")
        | _AC.any_deps_match(_AC.will_be_requested()).with_label("a parent is built in the same run")
    ).with_label("wanted")


def _free() -> dg.AutomationCondition[dg.AssetKey]:
    return (~_AC.in_progress() & ~_AC.newly_requested()).with_label("not being built already")


def on_input_change() -> dg.AutomationCondition[dg.AssetKey]:
    """Rebuilds the asset, or exactly the partitions concerned, whenever an input changes; all inputs must exist."""
    ready = (
        ~_AC.any_deps_missing() & ~_AC.any_deps_in_progress() & _AC.all_deps_blocking_checks_passed()
    ).with_label("inputs ready")
    return (_wanted() & ready & _free()).with_label("on_input_change")


def on_any_input_partition() -> dg.AutomationCondition[dg.AssetKey]:
    """As `on_input_change`, for an unpartitioned asset over partitioned inputs: some partition of each must exist."""
    ready = (
        _AC.all_deps_match(~_AC.missing() | _AC.will_be_requested()).with_label("each input has a partition")
        & ~_AC.any_deps_in_progress()
        & _AC.all_deps_blocking_checks_passed()
    ).with_label("inputs ready")
    return (_wanted() & ready & _free()).with_label("on_any_input_partition")
