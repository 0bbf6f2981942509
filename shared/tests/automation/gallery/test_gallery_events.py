"""Events: true in one look, and gone in the next."""

from collections.abc import Callable

import dagster as dg
import pytest

from platform_shared.testing.simulation import Simulation

AC = dg.AutomationCondition
Simulate = Callable[..., Simulation]


def version(code_version: str | None, condition: dg.AutomationCondition) -> dg.AssetsDefinition:
    @dg.asset(code_version=code_version, automation_condition=condition)
    def table() -> None: ...

    return table


@pytest.mark.shows(
    "newly_updated",
    true="the target was materialized after the previous look",
    false="it was not; and always on the first look, whatever was there",
    mistake="To combine it with a status by `&`: if the other part is not true in just this look, the update is lost. "
    "Keep it with `since`.",
)
def test_an_update_is_new_for_one_look(simulate: Simulate) -> None:
    @dg.asset(automation_condition=AC.newly_updated())
    def table() -> None: ...

    show = simulate(table)
    show.run("table")
    assert show.tick() == set(), "nothing is new on the first look"
    show.run("table")
    assert show.tick() == {"table"}
    assert show.tick() == set()
    show.report("table")
    assert show.tick() == {"table"}, "a report from outside counts"


@pytest.mark.shows("newly_updated")
@pytest.mark.filterwarnings("ignore::dagster.BetaWarning")
def test_an_observable_source_is_updated_by_a_new_data_version_only(simulate: Simulate) -> None:
    seen = "1"

    @dg.observable_source_asset
    def source() -> dg.DataVersion:
        return dg.DataVersion(seen)

    @dg.asset(deps=[source], automation_condition=AC.any_deps_match(AC.newly_updated()))
    def table() -> None: ...

    show = simulate(source, table, jobs=[dg.define_asset_job("observation_job", [source])])
    assert show.tick() == set()
    show.run_job("observation_job")
    assert show.tick() == {"table"}
    show.run_job("observation_job")
    assert show.tick() == set()
    seen = "2"
    show.run_job("observation_job")
    assert show.tick() == {"table"}


@pytest.mark.shows(
    "newly_requested",
    true="the previous look requested the target",
    false="it did not, whoever else may have started a run",
    mistake="As a trigger it goes on for ever. It is what ends a `since`.",
)
def test_a_request_is_new_for_one_look(simulate: Simulate) -> None:
    @dg.asset(automation_condition=AC.initial_evaluation())
    def table() -> None: ...

    @dg.asset(deps=[table], automation_condition=AC.any_deps_match(AC.newly_requested()))
    def watcher() -> None: ...

    @dg.asset(automation_condition=AC.initial_evaluation() | AC.newly_requested())
    def endless() -> None: ...

    show = simulate(table, watcher, endless)
    assert show.tick() == {"table", "endless"}
    assert show.tick() == {"watcher", "endless"}
    show.run("table")
    assert show.tick() == {"endless"}, "a run by hand is no request"


@pytest.mark.shows(
    "newly_missing",
    true="the target is missing and was not on the previous look: `missing().newly_true()`. So also on the first look",
    false="it is there, or has been missing for longer than one look",
    mistake="To use it bare: if anything else holds the build back in this one look, it is never asked for.",
)
def test_newly_missing_on_the_first_look_and_after_a_wipe(simulate: Simulate) -> None:
    @dg.asset(automation_condition=AC.newly_missing())
    def table() -> None: ...

    show = simulate(table)
    assert show.tick() == {"table"}
    assert show.tick() == set()
    show.run("table")
    assert show.tick() == set()
    show.instance.wipe_assets([table.key])
    assert show.tick() == {"table"}


@pytest.mark.shows(
    "code_version_changed",
    true="the target's `code_version` is another one than on the previous look",
    false="it is the same, or the asset had none before",
    mistake="It is true once: `code_version_changed().since(newly_requested())` waits until the build can start.",
)
def test_a_code_version_is_new_for_one_look(simulate: Simulate) -> None:
    show = simulate(version(None, AC.code_version_changed()))
    assert show.tick() == set()
    show.load(version("1", AC.code_version_changed()))
    assert show.tick() == set(), "the first version is no change"
    show.load(version("2", AC.code_version_changed()))
    assert show.tick() == {"table"}
    assert show.tick() == set()


@pytest.mark.shows("code_version_changed")
def test_a_code_version_that_could_not_be_built_at_once_is_kept_by_since(simulate: Simulate) -> None:
    def waits(changed: dg.AutomationCondition) -> dg.AutomationCondition:
        return changed & ~AC.any_deps_missing()

    for changed, asked in (
        (AC.code_version_changed(), set()),
        (AC.code_version_changed().since(AC.newly_requested()), {"table"}),
    ):

        def table(code_version: str, changed: dg.AutomationCondition = changed) -> dg.AssetsDefinition:
            @dg.asset(name="table", deps=["source"], code_version=code_version, automation_condition=waits(changed))
            def made() -> None: ...

            return made

        show = simulate(dg.AssetSpec("source"), table("1"))
        show.tick()
        show.load(dg.AssetSpec("source"), table("2"))
        assert show.tick() == set()
        show.report("source")
        assert show.tick() == asked


@pytest.mark.shows(
    "data_version_changed",
    true="the target was materialized after the previous look, with another data version than before",
    false="it was not, or the new build has the version of the old; always on the first look",
    mistake="To expect it of assets that give no data version: each of their builds has a new one.",
)
def test_a_build_with_the_same_data_version_is_no_change(simulate: Simulate) -> None:
    @dg.asset(automation_condition=AC.data_version_changed())
    def table() -> None: ...

    show = simulate(table)
    show.report("table", version="a")
    assert show.tick() == set()
    show.report("table", version="b")
    assert show.tick() == {"table"}
    show.report("table", version="b")
    assert show.tick() == set()
    show.run("table")
    assert show.tick() == {"table"}
