"""What the named conditions are made of. The labels are plain words: the UI and `platform why` show them.

Rules that hold here, each by a test:

- Dagster files the memory of `since` and `newly_true` under the class names of their direct children. Two of equal
  shape in one asset share it, silently: each memory below has a shape of its own, in all conditions together.
- If trigger and reset of a `since` come in one look, the reset wins (unless both carry time stamps, which `&`, `|` and
  `~` drop). What must not be lost is therefore a reset: "asked for, until something changed", and not "changed, until
  asked for". Time stamps do not decide, the order in which Dagster recorded the events does.
- Cost goes with the nodes per input, so that what is said of each input stands in few `any_deps_match`.
"""

from typing import Any

import dagster as dg

_AC = dg.AutomationCondition

Condition = dg.AutomationCondition[Any]

_BACKFILL = {"dagster/backfill"}
"""Tag on every run of a backfill."""


def missing() -> Condition:
    """It is missing, and was not asked for since it went missing: a fresh instance, a new asset, a new partition."""
    unasked = _AC.missing().newly_true().since(_AC.newly_requested())
    return (_AC.missing() & unasked).with_label("missing, and not asked for yet")


def changed() -> Condition:
    """An input or the code changed after the last request. What exists at the first look counts as up to date."""
    asked = (_AC.newly_requested() | _first_seen()).with_label("asked for")
    news = (_input_changed() | _AC.code_version_changed()).with_label("news")
    return (~asked.since(news)).with_label("an input or the code changed since it was last asked for")


def _first_seen() -> Condition:
    """The asset, or a partition of it, is looked at for the first time.

    Nothing is asked for before its own condition is through (but by a neighbour in one multi-asset, and then the look
    after says "asked for" as well), so that the negation is newly true only once. `initial_evaluation` would hash the
    whole condition in each look, and knows no new partitions.
    """
    return (~_AC.will_be_requested()).newly_true().with_label("looked at for the first time")


def _input_changed() -> Condition:
    """An input changed other than in a run or a backfill that builds the asset too, or is asked for in this look.

    One that is asked for counts as changed, also if its build fails: the asset is built in the same run if it can be
    (a chain of dbt models is one dbt invocation), and else after it.

    A backfill builds input and asset in runs of their own, and Dagster does not tell which backfill a run is of. They
    have one in common if both entered it in the same look, and then the asset is built after the input anyway.
    """
    own = _AC.backfill_in_progress() | _AC.any_new_update_has_run_tags(tag_keys=_BACKFILL)
    entered = _AC.backfill_in_progress().newly_true()
    apart = _AC.any_deps_match(entered).since(entered).with_label("an input entered a backfill later than the asset")
    # Without `newly_updated` in front, Dagster would ask its database about each input in each look.
    by_run = _AC.any_deps_match(_AC.newly_updated() & ~_AC.all_new_updates_have_run_tags(tag_keys=_BACKFILL))
    counts = (~own).with_label("the asset is in no backfill") | apart | by_run.with_label("not only in backfills")
    apart_from_it = counts.with_label("not in a backfill of the asset")
    return (_AC.any_deps_updated() & apart_from_it).with_label("an input changed, or is built in the same run")


def inputs_ready() -> Condition:
    """Every input exists, is not being built and has passed its blocking checks.

    An input that is built in the same run is left to that run, which stops at a failed check by itself.
    """
    return (~_AC.any_deps_match((_absent() | _unsound() | _busy()) & ~_AC.will_be_requested())).with_label(
        "every input exists, is not being built and has passed its blocking checks"
    )


def inputs_exist() -> Condition:
    """Every input exists, or is built in the same run; it may be changing."""
    return (~_AC.any_deps_missing()).with_label("every input exists, or is built in the same run")


def some_partitions_ready() -> Condition:
    """One partition of every input exists, and its blocking checks have passed; others may be changing.

    Who reads all partitions of inputs of which some always change would else never have its turn.
    """
    exists = _AC.all_deps_match(~_AC.missing() | _AC.will_be_requested()).with_label("each input has a partition")
    blocked = _AC.any_deps_match(_unsound() & ~_AC.will_be_requested())
    return (exists & (~blocked).with_label("no input has an open or failed blocking check")).with_label("inputs ready")


def _absent() -> Condition:
    return _AC.missing().with_label("the input is missing")


def _unsound() -> Condition:
    return _AC.any_checks_match(~_AC.check_passed(), blocking_only=True).with_label(
        "a blocking check of the input failed, or did not run yet"
    )


def _busy() -> Condition:
    return _AC.run_in_progress().with_label("a run is building the input") | _AC.backfill_in_progress().with_label(
        "a backfill is building the input"
    )


def free() -> Condition:
    """No run and no backfill that is under way, queued ones included, is to build it."""
    return (~(_AC.run_in_progress() | _AC.backfill_in_progress())).with_label("not being built already")


def not_since(cron: str, timezone: str = "UTC") -> Condition:
    """It was not asked for since the last tick of this cron."""
    asked = _AC.newly_requested().since(_AC.cron_tick_passed(cron, timezone))
    return (~asked).with_label(f"not asked for since the last tick of {cron} ({timezone})")
