"""HTML pages that need no server and no other file; no Dagster here."""

from importlib.resources import files
from typing import Any


def render(template: str, **values: Any) -> str:
    """A page of `templates`. What comes from data is escaped, and a name that is not given is an error."""
    from jinja2 import Environment, StrictUndefined

    text = files("batch").joinpath("templates", template).read_text(encoding="utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(text).render(values)
