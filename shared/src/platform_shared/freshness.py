"""How old a table may be: what people write in a feed's YAML or in dbt's `meta`, and how messages say it.

Dagster's freshness daemon judges the policies (every 30 seconds) and the web page shows them; an asset that was never
materialized is not judged. `operations` tells the owner of a breach.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import dagster as dg

from platform_shared.partitions import BUSINESS_TIME_ZONE

_WINDOW = ("fail_after_hours", "warn_after_hours")
_DEADLINE = ("deadline_cron", "made_within_hours", "timezone")
_HOUR = timedelta(hours=1)
_SHORTEST, _LONGEST = timedelta(minutes=1), timedelta(days=3650)
_HOW = (
    "Give either fail_after_hours (and warn_after_hours, if a warning is to come before), or deadline_cron with "
    "made_within_hours (and timezone)."
)


def freshness_policy(given: Mapping[str, Any], where: str = "freshness") -> dg.FreshnessPolicy:
    """The policy that these fields mean; `where` names them in errors.

    `fail_after_hours: 50, warn_after_hours: 26`: the newest materialization is never older.
    `deadline_cron: "0 8 * * *", made_within_hours: 24`: at each deadline there is one of the hours before; `timezone`
    is New York if not given.
    Raises ValueError with field, value and remedy.
    """
    if unknown := sorted({*given} - {*_WINDOW, *_DEADLINE}):
        raise ValueError(f"{where} has {', '.join(unknown)}. {_HOW}")
    if ("fail_after_hours" in given) == ("deadline_cron" in given):
        raise ValueError(f"{where} is {dict(given)!r}. {_HOW}")
    mixed = sorted({*given} & {*(_DEADLINE if "fail_after_hours" in given else _WINDOW)})
    if mixed:
        raise ValueError(f"{where} has {', '.join(mixed)} beside a policy of the other kind. {_HOW}")
    return _deadline(given, where) if "deadline_cron" in given else _window(given, where)


def in_words(policy: Mapping[str, Any]) -> str:
    """A policy as Dagster's GraphQL has it (`internalFreshnessPolicy` with its `__typename`), as messages say it."""
    if policy["__typename"] == "CronFreshnessPolicy":
        made = span(policy["lowerBoundDeltaSeconds"])
        return f"at each deadline ({policy['deadlineCron']}, {policy['timezone']}) built within the {made} before"
    warned = policy.get("warnWindowSeconds")
    warning = f" (a warning after {span(warned)})" if warned else ""
    return f"built at least every {span(policy['failWindowSeconds'])}{warning}"


def span(seconds: float) -> str:
    """A duration for people: in days from three on, hours, minutes or seconds, with a digit behind the point if any."""
    for least, unit, name in ((3 * 86_400, 86_400, "days"), (7_200, 3_600, "hours"), (120, 60, "minutes")):
        if seconds >= least:
            amount = round(seconds / unit, 1)
            return f"{amount:.0f} {name}" if amount == int(amount) else f"{amount} {name}"
    return f"{seconds:.0f} seconds"


def _window(given: Mapping[str, Any], where: str) -> dg.FreshnessPolicy:
    fail = _hours(given, "fail_after_hours", where)
    warn = _hours(given, "warn_after_hours", where) if "warn_after_hours" in given else None
    if warn is not None and warn >= fail:
        raise ValueError(
            f"{where}.warn_after_hours is {given['warn_after_hours']!r}. Warn earlier than fail_after_hours "
            f"({given['fail_after_hours']!r}), or leave it out."
        )
    return dg.FreshnessPolicy.time_window(fail_window=fail, warn_window=warn)


def _deadline(given: Mapping[str, Any], where: str) -> dg.FreshnessPolicy:
    if "made_within_hours" not in given:
        raise ValueError(
            f"{where} has a deadline_cron without made_within_hours. Say how many hours before the deadline a "
            "materialization counts, such as 24."
        )
    made_within = _hours(given, "made_within_hours", where)
    cron, timezone = given["deadline_cron"], given.get("timezone", BUSINESS_TIME_ZONE)
    try:
        return dg.FreshnessPolicy.cron(deadline_cron=cron, lower_bound_delta=made_within, timezone=timezone)
    except Exception as error:
        raise ValueError(
            f"{where} has deadline_cron {cron!r}, made_within_hours {given['made_within_hours']!r} and timezone "
            f"{timezone!r}. Use a cron of five fields, at most the hours between two deadlines, and an IANA time zone "
            f"such as {BUSINESS_TIME_ZONE}. Dagster says: {error}"
        ) from None


def _hours(given: Mapping[str, Any], field: str, where: str) -> timedelta:
    value = given[field]
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not _SHORTEST / _HOUR <= value <= _LONGEST / _HOUR:
        raise ValueError(f"{where}.{field} is {value!r}. Use a number of hours from 0.02 (about a minute) to 87600.")
    return timedelta(hours=value)
