"""Jobs: conditions of a job of assets. Preview in Dagster; the platform's jobs have none."""

from collections.abc import Callable

import dagster as dg
import pytest

from platform_shared.testing.simulation import Simulation

AC = dg.AutomationCondition
Simulate = Callable[..., Simulation]

pytestmark = pytest.mark.filterwarnings("ignore::dagster.PreviewWarning")


def job_of(simulate: Simulate, condition: dg.AutomationCondition) -> Simulation:
    """`left` and `right` follow `source_left` and `source_right`, `both` follows them; all three are in the job."""

    @dg.asset(deps=["source_left"])
    def left() -> None: ...

    @dg.asset(deps=["source_right"])
    def right() -> None: ...

    @dg.asset(deps=[left, right])
    def both() -> None: ...

    assets = [left, right, both]
    job = dg.define_asset_job("tables_job", assets, automation_condition=condition)
    return simulate(dg.AssetSpec("source_left"), dg.AssetSpec("source_right"), *assets, jobs=[job])


@pytest.mark.shows(
    "any_job_root_assets_match",
    form="any_job_root_assets_match(A)",
    true="A is true of some asset of the job that has no parent within the job",
    false="it is true of none of these; assets further down do not count",
    mistake="To put an asset's condition on a job, which does not load: it takes one of these two. They are preview.",
)
def test_any_root_of_a_job(simulate: Simulate) -> None:
    show = job_of(simulate, AC.any_job_root_assets_match(AC.any_deps_updated()))
    assert show.tick() == set()
    show.report("source_left")
    assert show.tick() == {"tables_job"}
    show.report("left")
    assert show.tick() == set(), "`both` is no root"


@pytest.mark.shows("any_job_root_assets_match")
def test_the_condition_of_an_asset_is_none_of_a_job(simulate: Simulate) -> None:
    with pytest.raises(dg.DagsterInvalidDefinitionError):
        job_of(simulate, AC.eager()).tick()


@pytest.mark.shows(
    "all_job_root_assets_match",
    form="all_job_root_assets_match(A)",
    true="A is true of every asset of the job that has no parent within the job",
    false="there is one of which it is not",
    mistake="To give it an event: all roots would have to see theirs between the same two looks. Keep it with `since`.",
)
def test_all_roots_of_a_job(simulate: Simulate) -> None:
    show = job_of(simulate, AC.all_job_root_assets_match(AC.any_deps_match(~AC.missing())))
    assert show.tick() == set()
    show.report("source_left")
    assert show.tick() == set()
    show.report("source_right")
    assert show.tick() == {"tables_job"}
