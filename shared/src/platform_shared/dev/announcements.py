"""What `make dev` says to the person who started it."""

from collections.abc import Sequence
from pathlib import Path

from platform_shared.settings import Home

EDIT_IT = "the next edit of it is tried"
START_AGAIN = "then start `make dev` again"

LAYERS = ("sources", "raw", "staging", "marts", "reports")
"""The asset groups, in the order of the lineage; the link opens all of them."""


def lineage_url(base_url: str) -> str:
    return f"{base_url}/asset-groups?expanded=" + ",".join(f"global@global:{layer}" for layer in LAYERS)


def ready(base_url: str, seconds: float, loaded: int, locations: int) -> list[str]:
    state = f"{loaded} code locations" if loaded == locations else f"{loaded} of {locations} code locations"
    return [
        f"Ready after {seconds:.1f} s with {state}. Open the lineage:",
        "",
        f"    {lineage_url(base_url)}",
        "",
    ]


def next_steps(home: Home, root: Path, demo: bool) -> list[str]:
    landing, logs = relative(home.landing, root), relative(home.root / "logs", root)
    if demo:
        first = f"Next: the demo world drops store files into {landing}; a sensor picks them up within 5 s,"
        second = "the marts follow from what it loads, and the report appears when a day's sales are there."
        lines = [first, second, "Households, products and promotions come into the bucket `retailer` in S3."]
    else:
        lines = [f"No demo world runs: put files into {landing}, a sensor picks them up within 5 s."]
    return [
        *lines,
        "Save an edit and it is served, no click needed: Python, YAML, SQL.",
        f"Everything that is printed: {logs}/*.log. Ctrl-C ends all but Postgres (`make down` ends that).",
    ]


def reloaded(location: str, seconds: float) -> str:
    return f"✓ {location} reloaded in {seconds:.1f} s"


def not_reloaded(location: str, error: str) -> list[str]:
    return _with_error(f"✗ {location} not reloaded, the old code goes on: ", error)


def not_loaded(location: str, error: str) -> list[str]:
    return _with_error(f"✗ {location} does not load, its page shows the error; the next edit is tried: ", error)


def not_parsed(dbt_project: str, locations: Sequence[str], error: str) -> list[str]:
    names = ", ".join(locations)
    return _with_error(f"✗ {dbt_project} not parsed, {names} not reloaded, the old code goes on: ", error)


def _with_error(headline: str, error: str) -> list[str]:
    first, *rest = error.splitlines() or [""]
    return [headline + first, *(f"    {line}" for line in rest)]


def not_watching(error: OSError) -> str:
    return f"✗ edits are no longer noticed ({error}): correct that, then start `make dev` again"


def new_project(name: str) -> str:
    return f"projects/{name} is new. Once it is complete, restart `make dev` to serve it."


def restarted(name: str, code: int, error: str | None) -> list[str]:
    what = f"✗ {name} ended {_how(code)}, restarted"
    return _with_error(f"{what}: ", error) if error else [what]


def given_up(name: str, code: int, remedy: str) -> str:
    return f"✗ {name} ended {_how(code)} again and again, not restarted: see {log_of(name)}, {remedy}"


def over(name: str, code: int) -> str:
    return f"{name} is done" if code == 0 else f"✗ {name} ended {_how(code)}: see {log_of(name)}"


def _how(code: int) -> str:
    return f"by signal {-code}" if code < 0 else f"with exit code {code}"


def log_of(name: str) -> str:
    return f"logs/{name}.log in the platform's home"


def relative(path: Path, root: Path) -> str:
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
