"""A condition for what has no data of its own: views and seeds."""

import dagster as dg

from platform_shared.automation import Condition

_AC = dg.AutomationCondition


def on_code_change() -> Condition:
    """Builds the asset once its inputs are there, and again when its code changes; never for new data."""
    changed = _AC.code_version_changed()
    wanted = (
        (_AC.missing().newly_true().since(_AC.newly_requested()) & _AC.missing()).with_label("missing")
        | changed.since(_AC.newly_requested() & ~changed).with_label("code changed")
    ).with_label("wanted")
    ready = (~_AC.any_deps_missing() & ~_AC.any_deps_in_progress()).with_label("inputs ready")
    free = (~_AC.in_progress() & ~_AC.newly_requested()).with_label("not being built already")
    return (wanted & ready & free).with_label("on_code_change")
