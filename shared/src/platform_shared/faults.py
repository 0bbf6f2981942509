"""Named points at which fault-injection tests end or stall a process; in production a point does nothing."""

from collections.abc import Callable

_hook: Callable[[str], None] | None = None


def point(name: str) -> None:
    """Marks a place where a crash must lose nothing, e.g. `warehouse.before_commit`."""
    if _hook is not None:
        _hook(name)


def install(hook: Callable[[str], None] | None) -> None:
    """Tests only: `hook` is called with the name of each point reached; None removes it."""
    global _hook
    _hook = hook
