"""Runs: which run made an update, and with which tags. Dagster exports these without calling them public."""

from collections.abc import Callable

import dagster as dg
import pytest

from platform_shared.testing.simulation import Simulation

AC = dg.AutomationCondition
Simulate = Callable[..., Simulation]

SUN, MON = "2026-03-01", "2026-03-02"
REPAIR = {"team/reason": "repair"}


@dg.asset
def source() -> None: ...


def child(condition: dg.AutomationCondition) -> dg.AssetsDefinition:
    @dg.asset(name="table", deps=[source], automation_condition=AC.any_deps_match(condition))
    def made() -> None: ...

    return made


@pytest.mark.shows(
    "executed_with_root_target",
    true="the latest run that materialized the dependency was also to build the asset whose condition this is",
    false="it was not, it named no selection (a job), or there is none",
    mistake="It is a status, and of a partitioned dependency it knows the run of the newest partition only.",
)
def test_the_run_of_the_parent_builds_the_child_too(simulate: Simulate) -> None:
    table = child(AC.executed_with_root_target())
    show = simulate(source, table, jobs=[dg.define_asset_job("both_job", [source, table])])
    assert show.tick() == set()
    show.run("source", "table")
    assert show.tick() == show.tick() == {"table"}
    show.run("source")
    assert show.tick() == set()
    show.run_job("both_job")
    assert show.tick() == set()


@pytest.mark.shows(
    "executed_with_tags",
    form="executed_with_tags(tag_keys=…, tag_values=…)",
    true="the latest run that materialized the target had all these tags",
    false="it lacks one or has another value, or there is no such run",
    mistake="It stays true until the next run; for single updates take `any_new_update_has_run_tags`.",
)
def test_the_latest_run_had_these_tags(simulate: Simulate) -> None:
    show = simulate(source, child(AC.executed_with_tags(tag_values=REPAIR)))
    show.run("source")
    assert show.tick() == set()
    show.run("source", tags=REPAIR)
    assert show.tick() == show.tick() == {"table"}
    show.run("source", tags={"team/reason": "habit"})
    assert show.tick() == set()


@pytest.mark.shows("executed_with_tags")
def test_keys_of_tags_are_enough(simulate: Simulate) -> None:
    show = simulate(source, child(AC.executed_with_tags(tag_keys={"team/reason"})))
    show.run("source", tags={"team/reason": "habit"})
    assert show.tick() == {"table"}


@pytest.mark.shows(
    "all_new_updates_have_run_tags",
    form="all_new_updates_have_run_tags(tag_keys=…, tag_values=…)",
    true="the target was materialized after the previous look, each time by a run with these tags",
    false="there was no update, or one came without them: by another run, or from outside any run",
    mistake="To negate it alone: `~` of it is true whenever nothing happened. Write `newly_updated() & ~…`.",
)
def test_all_updates_since_the_last_look_had_these_tags(simulate: Simulate) -> None:
    show = simulate(source, child(AC.all_new_updates_have_run_tags(tag_values=REPAIR)))
    show.run("source")
    assert show.tick() == set()
    show.run("source", tags=REPAIR)
    assert show.tick() == {"table"}
    assert show.tick() == set()
    show.run("source", tags=REPAIR)
    show.run("source")
    assert show.tick() == set()
    show.run("source", tags=REPAIR)
    show.report("source")
    assert show.tick() == set()


@pytest.mark.shows(
    "any_new_update_has_run_tags",
    form="any_new_update_has_run_tags(tag_keys=…, tag_values=…)",
    true="the target was materialized after the previous look by at least one run with these tags",
    false="there was no update, or none with them",
    mistake="On the first look of an empty instance nothing is new, as with `newly_updated()`.",
)
def test_some_update_since_the_last_look_had_these_tags(simulate: Simulate) -> None:
    show = simulate(source, child(AC.any_new_update_has_run_tags(tag_values=REPAIR)))
    show.run("source")
    assert show.tick() == set()
    show.run("source", tags=REPAIR)
    show.run("source")
    assert show.tick() == {"table"}
    assert show.tick() == set()
    show.report("source")
    assert show.tick() == set()


@pytest.mark.shows("executed_with_root_target")
def test_of_a_parent_only_the_run_of_its_newest_partition_is_known(simulate: Simulate) -> None:
    days = dg.DailyPartitionsDefinition(SUN)

    @dg.asset(partitions_def=days)
    def raw() -> None: ...

    @dg.asset(deps=[raw], partitions_def=days, automation_condition=AC.any_deps_match(AC.executed_with_root_target()))
    def mart() -> None: ...

    show = simulate(raw, mart)
    show.run("raw", "mart", partition=SUN)
    assert show.tick() == {f"mart {SUN}"}
    show.run("raw", partition=MON)
    assert show.tick() == set(), "that of Sunday is forgotten"
