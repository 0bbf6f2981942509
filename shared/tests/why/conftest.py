"""A platform of two locations whose GraphQL answers as a webserver's does."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from dagster._daemon.types import DaemonHeartbeat

from platform_shared.testing.daemon import DaemonHarness
from platform_shared.why.facts import Facts
from platform_shared.why.looking import look
from platform_shared.why.words import Report, lines, report

NOW = datetime(2026, 3, 4, 15, 0, tzinfo=UTC)


class Why:
    """`platform why` over the daemon's own workspace."""

    def __init__(self, harness: DaemonHarness) -> None:
        self.harness = harness
        self.skip: tuple[str, ...] = ()

    def beat(self) -> None:
        """The daemon is there, as it notes every thirty seconds."""
        now = self.harness.now.timestamp()
        self.harness.instance.add_daemon_heartbeat(DaemonHeartbeat(now, "ASSET", "daemon", []))

    def ask(self, query: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        answer = self.harness.graphql(query, variables)
        assert "errors" not in answer, answer["errors"]
        return dict(answer["data"])

    def facts(self, asset: str, partition: str | None = None) -> Facts:
        return look(self.ask, tuple(asset.split("/")), partition, 5, self.harness.now, self.skip)

    def report(self, asset: str, partition: str | None = None) -> Report:
        return report(self.facts(asset, partition), depth=3)

    def text(self, asset: str, partition: str | None = None) -> str:
        return "\n".join(lines(self.report(asset, partition), self.harness.now))


@pytest.fixture
def open_why(daemon_harness: Callable[..., DaemonHarness]) -> Callable[..., Why]:
    return lambda **locations: Why(daemon_harness(locations, NOW))
