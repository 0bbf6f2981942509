"""Components that teams configure in YAML. Every `dg` call imports this package, so it imports nothing heavy: those of
dbt are imported by who names them, and are listed where dbt is installed."""

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from platform_shared.components.feeds import FileFeedComponent, S3FeedComponent

if TYPE_CHECKING:
    from platform_shared.dbt.component import PlatformDbtProjectComponent

__all__ = ["FileFeedComponent", "PlatformDbtProjectComponent", "S3FeedComponent"]


def __getattr__(name: str) -> Any:
    if name != "PlatformDbtProjectComponent":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from platform_shared.dbt.component import PlatformDbtProjectComponent

    return PlatformDbtProjectComponent


def __dir__() -> list[str]:
    return [name for name in __all__ if name in globals() or find_spec("dagster_dbt")]
