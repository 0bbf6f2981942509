"""The rules, on values: what each reports, what it leaves alone, and what its finding tells."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from platform_shared.workspace.model import (
    AssetSnapshot,
    CheckSnapshot,
    ScheduleSnapshot,
    SensorSnapshot,
    Snapshot,
    UnfitPartitions,
    WarningSnapshot,
)
from platform_shared.workspace.projects import ListedLocation, Project, WorkspaceLists
from platform_shared.workspace.rules import (
    IMPLICIT_SENSOR,
    AllowedWarning,
    Finding,
    Rule,
    drift,
    findings,
    implicit_instigators,
    load_errors,
    load_warnings,
    shared_keys,
    unowned_dependencies,
    unstated_backfill_policies,
)


def table(key: str, *deps: str) -> AssetSnapshot:
    return AssetSnapshot(key, key.split("/")[0], deps=deps, is_materializable=True, is_executable=True)


def external(key: str) -> AssetSnapshot:
    return AssetSnapshot(key, key.split("/")[0])


def project(name: str, package: str | None = None, location: str | None = None) -> Project:
    package = package or name
    return Project(name, Path("projects") / name, package, f"{package}.definitions", location or name)


def lists(*names: str, yaml: Iterable[ListedLocation] | None = None, dg: Iterable[str] | None = None) -> WorkspaceLists:
    """Lists that agree, unless one is given."""
    agreeing = [ListedLocation(name, f"{name}.definitions") for name in names]
    return WorkspaceLists(
        tuple(project(name) for name in names),
        tuple(agreeing if yaml is None else yaml),
        tuple([f"projects/{name}" for name in names] if dg is None else dg),
    )


def only(found: Iterable[Finding]) -> Finding:
    (finding,) = found
    return finding


CLEAN = (
    Snapshot("ingestion", assets=(external("landing/orders"), table("raw/orders", "landing/orders"))),
    Snapshot(
        "analytics",
        assets=(external("raw/orders"), table("marts/sales", "raw/orders")),
        asset_checks=(CheckSnapshot("raw/orders", "rows"),),
        schedules=(ScheduleSnapshot("nightly", ("0 3 * * *",), "RUNNING", timezone="America/New_York"),),
        sensors=(SensorSnapshot("repairs", "SensorDefinition", "STOPPED", off_reason="started by hand"),),
    ),
)


def test_a_clean_workspace_has_no_findings() -> None:
    assert findings(CLEAN, lists("ingestion", "analytics")) == []


def test_partitions_that_do_not_fit_are_reported_with_both_assets() -> None:
    unfit = UnfitPartitions("reports/profiles", "marts/sales", "daily and dynamic")
    reports = Snapshot("batch", unfit_partitions=(unfit,))
    finding = only(findings([*CLEAN, reports], lists("ingestion", "analytics", "batch")))
    assert (finding.rule, finding.where) == (Rule.PARTITIONS, "batch")
    assert finding.what == "reports/profiles depends on marts/sales: daily and dynamic"


def test_a_partitioned_asset_that_leaves_its_backfills_to_dagster_is_reported() -> None:
    days = {"is_materializable": True, "partitions": "Daily"}
    silent = Snapshot(
        "batch",
        assets=(
            AssetSnapshot("reports/silent", "reports", **days),
            AssetSnapshot("reports/stated", "reports", has_backfill_policy=True, **days),
            AssetSnapshot("raw/orders", "raw", partitions="Daily"),
        ),
    )
    finding = only(unstated_backfill_policies([*CLEAN, silent]))
    assert (finding.rule, finding.where) == (Rule.BACKFILL, "batch")
    assert finding.what.startswith("reports/silent ")
    assert finding in findings([*CLEAN, silent], lists("ingestion", "analytics", "batch"))


def test_a_key_that_two_locations_materialize_is_reported_once_with_both() -> None:
    finding = only(shared_keys([*CLEAN, Snapshot("batch", assets=(table("raw/orders"),))]))
    assert (finding.rule, finding.where) == (Rule.OWNER, "ingestion, batch")
    assert "raw/orders" in finding.what


def test_a_dependency_on_a_key_that_exists_nowhere_is_reported_with_its_user_and_the_nearest_key() -> None:
    finding = only(unowned_dependencies([*CLEAN, Snapshot("batch", assets=(table("reports/day", "raw/order"),))]))
    assert (finding.rule, finding.where) == (Rule.DEPENDENCY, "batch")
    assert "raw/order is" in finding.what
    assert "reports/day" in finding.what
    assert "Did you mean raw/orders?" in finding.what


@pytest.mark.parametrize(
    "snapshot",
    [
        Snapshot("batch", assets=(external("marts/gone"), table("reports/day", "marts/gone"))),
        Snapshot("batch", assets=(external("marts/gone"),)),
        Snapshot("batch", asset_checks=(CheckSnapshot("marts/gone", "rows"),)),
        Snapshot("batch", assets=(AssetSnapshot("marts/gone", "marts", is_executable=True),)),
    ],
    ids=["dependency declared as external", "external alone", "check", "observed only"],
)
def test_standing_for_an_asset_does_not_make_a_location_its_owner(snapshot: Snapshot) -> None:
    assert "marts/gone" in only(unowned_dependencies([*CLEAN, snapshot])).what


def test_a_source_counts_only_where_a_location_declares_it() -> None:
    finding = only(unowned_dependencies([Snapshot("ingestion", assets=(table("raw/orders", "landing/orders"),))]))
    assert "landing/orders" in finding.what


def test_dependencies_wait_until_all_locations_load() -> None:
    broken = [Snapshot("ingestion", load_error="ImportError: no"), CLEAN[1]]
    assert only(findings(broken, lists("ingestion", "analytics"))).rule is Rule.LOAD


def test_a_load_error_tells_the_error() -> None:
    finding = only(load_errors([Snapshot("batch", load_error="a.py:1: KeyError: 'TOKEN'\n\nTraceback …\n"), *CLEAN]))
    assert (finding.rule, finding.where) == (Rule.LOAD, "batch")
    assert finding.what.startswith("a.py:1: KeyError: 'TOKEN'")


def test_lists_that_agree_are_left_alone() -> None:
    assert not list(drift(lists("batch", "ingestion")))


@pytest.mark.parametrize(
    ("broken", "where", "what"),
    [
        (lists("batch", yaml=[]), "workspace.yaml", "batch is not listed"),
        (
            lists(yaml=[ListedLocation("old", "old.definitions")]),
            "workspace.yaml",
            "old is listed but is the location of no project",
        ),
        (lists("batch", yaml=[ListedLocation("batch", "batch.defs")]), "workspace.yaml", "batch loads batch.defs"),
        (lists("batch", yaml=[ListedLocation("batch", None)]), "workspace.yaml", "other than a python_module"),
        (
            lists("batch", yaml=[ListedLocation("batch", "batch.definitions")] * 2),
            "workspace.yaml",
            "batch is listed 2 times",
        ),
        (lists("batch", dg=[]), "pyproject.toml [tool.dg.workspace] projects", "projects/batch is not listed"),
        (lists(dg=["projects/old"]), "pyproject.toml [tool.dg.workspace] projects", "projects/old is no project"),
        (
            lists("batch", dg=["projects/batch"] * 2),
            "pyproject.toml [tool.dg.workspace] projects",
            "projects/batch is listed 2 times",
        ),
    ],
)
def test_each_list_that_differs_from_the_projects_is_named(broken: WorkspaceLists, where: str, what: str) -> None:
    finding = only(drift(broken))
    assert (finding.rule, finding.where) == (Rule.LIST, where)
    assert what in finding.what


@pytest.mark.parametrize(
    ("odd", "what"),
    [
        (project("batch", package="batches"), "root_module is 'batches', the folder is 'batch'"),
        (project("batch", location="nightly"), "code_location_name is 'nightly', the folder is 'batch'"),
    ],
)
def test_folder_package_and_location_have_one_name(odd: Project, what: str) -> None:
    entry = ListedLocation(odd.location_name, odd.definitions_module)
    finding = only(drift(WorkspaceLists((odd,), (entry,), ("projects/batch",))))
    assert finding.where == "projects/batch/pyproject.toml [tool.dg.project]"
    assert what in finding.what


@pytest.mark.parametrize("reason", [None, "", " "])
def test_stopped_without_a_reason_is_no_decision(reason: str | None) -> None:
    schedule = ScheduleSnapshot("nightly", ("0 3 * * *",), "STOPPED", timezone="UTC", off_reason=reason)
    sensor = SensorSnapshot("files", "SensorDefinition", "STOPPED", off_reason=reason)
    found = list(implicit_instigators([Snapshot("batch", schedules=(schedule,), sensors=(sensor,))]))
    assert [finding.where for finding in found] == ["batch, schedule nightly", "batch, sensor files"]
    assert all("platform/off" in finding.remedy for finding in found)


def test_a_schedule_names_its_time_zone() -> None:
    schedule = ScheduleSnapshot("nightly", ("0 3 * * *",), "RUNNING")
    finding = only(implicit_instigators([Snapshot("batch", schedules=(schedule,))]))
    assert (finding.rule, finding.where) == (Rule.INSTIGATOR, "batch, schedule nightly")
    assert "UTC" in finding.what


def test_the_implicit_automation_sensor_is_replaced_and_not_explained_away() -> None:
    sensor = SensorSnapshot(IMPLICIT_SENSOR, "AutomationConditionSensorDefinition", "STOPPED")
    finding = only(implicit_instigators([Snapshot("batch", sensors=(sensor,))]))
    assert "AutomationConditionSensorDefinition" in finding.remedy
    assert "platform/off" not in finding.remedy


BETA = WarningSnapshot("BetaWarning", "Parameter `x` is currently in beta", "dagster/somewhere.py:1", ours=False)


@pytest.mark.parametrize(
    ("warning", "reported"),
    [
        (BETA, True),
        (WarningSnapshot("DeprecationWarning", "old", "projects/batch/src/batch/assets.py:3", ours=True), True),
        (WarningSnapshot("DeprecationWarning", "old", "pandas/core.py:3", ours=False), False),
    ],
)
def test_warnings_count_if_they_are_ours_or_of_dagsters_lifecycle(warning: WarningSnapshot, reported: bool) -> None:
    found = list(load_warnings([Snapshot("batch", warnings=(warning,))]))
    assert [finding.rule for finding in found] == [Rule.WARNING] * reported


def test_an_allowed_warning_is_silent_and_no_other() -> None:
    other = WarningSnapshot("BetaWarning", "Parameter `y` is currently in beta", "dagster/somewhere.py:2", ours=False)
    allowed = frozenset({AllowedWarning("Parameter `x`", "needed for z")})
    assert "`y`" in only(load_warnings([Snapshot("batch", warnings=(BETA, other))], allowed)).what


def test_a_warning_of_several_locations_is_reported_once() -> None:
    found = only(load_warnings([Snapshot("batch", warnings=(BETA,)), Snapshot("ingestion", warnings=(BETA,))]))
    assert found.where == "batch, ingestion (dagster/somewhere.py:1)"
