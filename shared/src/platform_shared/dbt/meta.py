"""What a team says of a model to the platform: `meta.owner`, and `meta.platform` with condition and freshness.

meta:
  owner: analytics
  platform:
    condition: on_input_change     # a function of platform_shared.automation
    at_most_every: "*/5 * * * *"   # its arguments, if it has any
    freshness: {fail_after_hours: 30, warn_after_hours: 26}
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import dagster as dg

from platform_shared import automation
from platform_shared.automation import Condition
from platform_shared.freshness import freshness_policy

_NONE = "none"
"""The condition of a model that is built by hand or by a schedule only."""


class ModelMetaError(ValueError):
    """A model says something that the platform does not understand: which model, field and value, and the remedy."""


@dataclass(frozen=True)
class ModelMeta:
    """What the node says. `condition` is None where it says nothing, `built_by_hand` if it wants none."""

    owner: str | None
    condition: Condition | None
    built_by_hand: bool
    freshness: dg.FreshnessPolicy | None


def named_conditions() -> dict[str, Callable[..., Condition]]:
    """Conditions that a model may name."""
    return {
        name: function
        for name, function in inspect.getmembers(automation, inspect.isfunction)
        if name.startswith(("on_", "heal_"))
    }


def model_meta(node: Mapping[str, Any]) -> ModelMeta:
    """Reads a node of the manifest. Raises ModelMetaError."""
    meta = {**node.get("meta", {}), **node.get("config", {}).get("meta", {})}
    said = meta.get("platform", {})
    if not isinstance(said, Mapping):
        raise _error(node, "platform", said, "Use fields below it, such as `platform: {condition: on_input_change}`.")
    fields = {"condition", "freshness", *_ARGUMENTS}
    for field in said:
        if field not in fields:
            raise _error(node, f"platform.{field}", said[field], f"Use one of: {', '.join(sorted(fields))}.")
    owner = meta.get("owner")
    if owner is not None and not (isinstance(owner, str) and owner.strip()):
        raise _error(node, "owner", owner, "Use the name of the location that owns the model.")
    return ModelMeta(owner, _condition(node, said), said.get("condition") == _NONE, _freshness(node, said))


def _condition(node: Mapping[str, Any], said: Mapping[str, Any]) -> Condition | None:
    name = said.get("condition")
    arguments = {field: said[field] for field in _ARGUMENTS if field in said}
    if name is None or name == _NONE:
        for field, value in arguments.items():
            raise _error(node, f"platform.{field}", value, "Name the `condition` that it is for.")
        return None
    known = named_conditions()
    if not isinstance(name, str) or name not in known:
        names = ", ".join([*sorted(known), _NONE])
        raise _error(node, "platform.condition", name, f"Use one of: {names}; or leave it out for the layer's own.")
    parameters = inspect.signature(known[name]).parameters
    given = {}
    for field, value in arguments.items():
        parameter, read, remedy = _ARGUMENTS[field]
        if parameter not in parameters:
            taken = [f for f, (p, *_) in _ARGUMENTS.items() if p in parameters]
            raise _error(node, f"platform.{field}", value, f"{name} takes {', '.join(taken) or 'no arguments'}.")
        try:
            given[parameter] = read(value)
        except (TypeError, ValueError, ArithmeticError):
            raise _error(node, f"platform.{field}", value, remedy) from None
    missing = [p.name for p in parameters.values() if p.default is p.empty and p.name not in given]
    if missing:
        needed = ", ".join(f for f, (p, *_) in _ARGUMENTS.items() if p in missing)
        raise _error(node, "platform.condition", name, f"It needs {needed} beside it.")
    return known[name](**given)


def _freshness(node: Mapping[str, Any], said: Mapping[str, Any]) -> dg.FreshnessPolicy | None:
    given = said.get("freshness")
    if given is None:
        return None
    if not isinstance(given, Mapping):
        remedy = "Use `freshness: {fail_after_hours: 30, warn_after_hours: 26}`; the second may be left out."
        raise _error(node, "platform.freshness", given, remedy)
    try:
        return freshness_policy(given, f"{_place(node)}: meta.platform.freshness")
    except ValueError as error:
        raise ModelMetaError(str(error)) from None


def _cron(value: Any) -> str:
    try:
        dg.AutomationCondition.cron_tick_passed(value)
    except Exception as error:
        raise ValueError(str(error)) from error
    return str(value)


def _zone(value: Any) -> str:
    if value not in available_timezones():
        raise ValueError(value)
    return ZoneInfo(value).key


def _days(value: Any) -> timedelta:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(value)
    return timedelta(days=value)


_CRON_REMEDY = 'Use a cron of five fields in quotes, such as "*/5 * * * *".'

_ARGUMENTS: dict[str, tuple[str, Callable[[Any], Any], str]] = {
    "at_most_every": ("at_most_every", _cron, _CRON_REMEDY),
    "cron": ("cron", _cron, _CRON_REMEDY),
    "timezone": ("timezone", _zone, "Use a name of the time zone database, such as America/New_York."),
    "lookback_days": ("lookback", _days, "Use a whole number of days from 1 on."),
}
"""Field of `meta.platform`: parameter of a condition, how it is read, and what to do about a wrong value."""


def _error(node: Mapping[str, Any], field: str, value: object, remedy: str) -> ModelMetaError:
    return ModelMetaError(f"{_place(node)}: meta.{field} is {value!r}. {remedy}")


def _place(node: Mapping[str, Any]) -> str:
    """The node and its file, as errors name them."""
    place = node.get("patch_path") or node.get("original_file_path") or "unknown file"
    return f"dbt {node['resource_type']} {node['name']} ({str(place).split('://')[-1]})"
