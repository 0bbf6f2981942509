"""Components that teams configure in YAML. Every `dg` call imports this package, so it imports nothing heavy."""

from platform_shared.components.feeds import FileFeedComponent, S3FeedComponent

__all__ = ["FileFeedComponent", "S3FeedComponent"]
