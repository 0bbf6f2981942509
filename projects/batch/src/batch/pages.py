"""HTML pages that need no server and no other file; no Dagster here."""

from decimal import Decimal
from importlib.resources import files
from typing import Any


def render(template: str, **values: Any) -> str:
    """A page of `templates`. What comes from data is escaped, and a name that is not given is an error."""
    from jinja2 import Environment, StrictUndefined

    text = files("batch").joinpath("templates", template).read_text(encoding="utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["dollars"] = dollars
    return environment.from_string(text).render(values)


def dollars(value: Decimal) -> str:
    """US dollars and cents, the sign before the dollar's; in templates a filter."""
    cents = round(value, 2)
    return f"{'-' if cents < 0 else ''}${abs(cents):,.2f}"
