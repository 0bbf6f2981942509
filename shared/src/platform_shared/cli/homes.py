"""The platform homes that commands for people work on."""

from collections.abc import Mapping

from platform_shared.cli.main import CommandError
from platform_shared.settings import Home, local_home
from platform_shared.workspace.projects import workspace_root


def current_home() -> Home:
    """The home that the environment names, else `.platform` of the workspace."""
    return local_home(workspace_root())


def demo_home(home: Home) -> Home:
    """The state of `make demo`, below the home it belongs to."""
    return Home(home.root / "demo")


def with_demo() -> list[Home]:
    """The current home and its demo's."""
    home = current_home()
    return [home, demo_home(home)]


def refuse_while_in_use(home: Home) -> None:
    """Raises CommandError while a `make dev` or `make demo` works on this home."""
    from platform_shared.dev.preconditions import holder

    who = holder(home)
    if who is not None:
        raise CommandError(f"`make dev` or `make demo` works on {home.root} ({who}); end it first, with Ctrl-C there.")


def refuse_unknown_feed(feed: str, owners: Mapping[str, str]) -> None:
    """Raises CommandError if no sensor has ever looked at a feed of this name."""
    if feed not in owners:
        known = ", ".join(owners) or "none yet; the sensors look while `make dev` runs"
        raise CommandError(f"There is no feed {feed!r}. Known: {known}.")
