"""Freshness: what the freshness daemon found of an asset that has a policy."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

import dagster as dg
import pytest
from dagster._core.loader import LoadingContextForTest
from dagster._daemon.freshness import FreshnessDaemon

from platform_shared.testing.simulation import Simulation

AC = dg.AutomationCondition
Simulate = Callable[..., Simulation]

POLICY = dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=2), warn_window=timedelta(hours=1))


def tables() -> list[dg.AssetsDefinition]:
    """`passed`, `warned` and `failed`, each with the condition of that name; `unpromised` has no policy."""

    def table(name: str, condition: dg.AutomationCondition, policy: dg.FreshnessPolicy | None) -> dg.AssetsDefinition:
        @dg.asset(name=name, freshness_policy=policy, automation_condition=condition)
        def made() -> None: ...

        return made

    anything = AC.freshness_passed() | AC.freshness_warned() | AC.freshness_failed()
    return [
        table("passed", AC.freshness_passed(), POLICY),
        table("warned", AC.freshness_warned(), POLICY),
        table("failed", AC.freshness_failed(), POLICY),
        table("unpromised", anything, None),
    ]


def look(show: Simulation) -> None:
    """The freshness daemon looks at every asset."""
    daemon, context = FreshnessDaemon(), LoadingContextForTest(show.instance)

    async def evaluate() -> None:
        for node in show.definitions.resolve_asset_graph().asset_nodes:
            await daemon._evaluate_asset(context=context, node=node)

    asyncio.run(evaluate())


def after(show: Simulation, elapsed: timedelta) -> set[str]:
    show.advance(elapsed)
    look(show)
    return show.tick()


@pytest.mark.shows(
    "freshness_passed",
    true="the freshness daemon last found the asset fresh",
    false="it found it late, has not looked since it was first materialized, or the asset has no policy",
    mistake="To switch the freshness daemon off in dagster.yaml: the states then never change, and nothing says so.",
)
def test_fresh_until_the_policy_is_broken(simulate: Simulate) -> None:
    show = simulate(*tables())
    assert after(show, timedelta(0)) == set(), "never materialized: unknown"
    for name in ("passed", "warned", "failed", "unpromised"):
        show.report(name)
    assert show.tick() == set(), "the daemon has not looked"
    assert after(show, timedelta(0)) == {"passed"}


@pytest.mark.shows(
    "freshness_warned",
    true="the freshness daemon last found the asset past its `warn_window`, and not past the `fail_window`",
    false="it found it fresh or failed, or the policy has no `warn_window`",
    mistake="To wait for it before `freshness_failed()`: if the daemon was away, it is skipped.",
)
def test_a_warning_between_fresh_and_failed(simulate: Simulate) -> None:
    show = simulate(*tables())
    for name in ("passed", "warned", "failed"):
        show.report(name)
    assert after(show, timedelta(minutes=90)) == {"warned"}
    assert after(show, timedelta(minutes=60)) == {"failed"}


@pytest.mark.shows(
    "freshness_failed",
    true="the freshness daemon last found the asset past its policy",
    false="it is fresh again, never was materialized (that is unknown), or has no policy",
    mistake="It is a status and lasts: as a trigger take `freshness_failed().newly_true()` or end it by a request, or "
    "it asks on every look.",
)
def test_failed_until_it_is_materialized_and_looked_at(simulate: Simulate) -> None:
    show = simulate(*tables())
    show.report("failed")
    assert after(show, timedelta(hours=3)) == {"failed"}
    assert show.tick() == {"failed"}
    show.report("failed")
    assert show.tick() == {"failed"}, "the daemon has not looked"
    look(show)
    assert show.tick() == set()
