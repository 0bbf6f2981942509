"""The rules between locations, as pure functions of snapshots and lists."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum

from platform_shared.workspace import OFF_METADATA_KEY
from platform_shared.workspace.model import ScheduleSnapshot, SensorSnapshot, Snapshot, WarningSnapshot
from platform_shared.workspace.projects import PROJECTS, PYPROJECT, WORKSPACE_YAML, Project, WorkspaceLists

SOURCES = "landing"
"""First segment of the keys of external source assets (`landing/<feed>`): the roots that no location materializes."""

LIFECYCLE_WARNINGS = frozenset({"BetaWarning", "PreviewWarning", "SupersessionWarning"})
"""Dagster's own; they count whoever caused them. Other warnings count if our code did."""

IMPLICIT_SENSOR = "default_automation_condition_sensor"
"""What Dagster adds, stopped, if a location's own sensors do not target all that has a condition."""


@dataclass(frozen=True)
class AllowedWarning:
    """A warning that is accepted: a part of its message, and the reason."""

    text: str
    reason: str


ALLOWED_WARNINGS = frozenset(
    {
        AllowedWarning(
            "Parameter `execution_type` of function `AssetsDefinition.__init__` is currently in beta",
            "Dagster itself gives it when it binds resources to an asset check of its own.",
        ),
    }
)


class Rule(StrEnum):
    """The rules, in the order in which findings are shown; the value is the heading."""

    LOAD = "A location that does not load"
    LIST = "A list of locations that disagrees with projects/*"
    OWNER = "An asset key that two locations materialize"
    DEPENDENCY = "A dependency that no location owns"
    PARTITIONS = "Partitions that do not fit an input's"
    BACKFILL = "A partitioned asset without a backfill policy"
    INSTIGATOR = "A schedule or sensor without an explicit status or time zone"
    WARNING = "A warning while loading"
    SENSOR = "A sensor that loses events or repeats itself"


@dataclass(frozen=True)
class Finding:
    """One breach: where it is, what it is, and what to do about it."""

    rule: Rule
    where: str
    what: str
    remedy: str


def findings(
    snapshots: Sequence[Snapshot],
    lists: WorkspaceLists,
    allowed: Set[AllowedWarning] = ALLOWED_WARNINGS,
) -> list[Finding]:
    """All breaches, by rule. Dependencies are looked at only if all locations load: else owners are missing."""
    all_load = all(snapshot.load_error is None for snapshot in snapshots)
    return [
        *load_errors(snapshots),
        *drift(lists),
        *shared_keys(snapshots),
        *(unowned_dependencies(snapshots) if all_load else ()),
        *unfit_partitions(snapshots),
        *unstated_backfill_policies(snapshots),
        *implicit_instigators(snapshots),
        *load_warnings(snapshots, allowed),
    ]


def load_errors(snapshots: Sequence[Snapshot]) -> Iterator[Finding]:
    for snapshot in snapshots:
        if snapshot.load_error is not None:
            yield Finding(
                Rule.LOAD,
                snapshot.location,
                snapshot.load_error.strip(),
                "Correct the error named first. A load is given no secret, no server and no DAGSTER_HOME: "
                "read them when they are used. Dependencies between locations are checked once all locations load.",
            )


def shared_keys(snapshots: Sequence[Snapshot]) -> Iterator[Finding]:
    owners = defaultdict(list)
    for snapshot in snapshots:
        for asset in snapshot.assets:
            if asset.is_materializable:
                owners[asset.key].append(snapshot.location)
    for key, locations in sorted(owners.items()):
        if len(locations) > 1:
            yield Finding(
                Rule.OWNER,
                ", ".join(locations),
                f"{key} is materialized by each of them.",
                "Keep it in one location; the others depend on its key.",
            )


def unowned_dependencies(snapshots: Sequence[Snapshot]) -> Iterator[Finding]:
    """Keys that a location names (as a dependency, for a check, as an external asset) and no location owns."""
    owned = {
        asset.key
        for snapshot in snapshots
        for asset in snapshot.assets
        if asset.is_materializable or asset.key.split("/")[0] == SOURCES
    }
    for snapshot in snapshots:
        for key, users in sorted(_named_keys(snapshot).items()):
            if key not in owned:
                similar = get_close_matches(key, owned, n=1)
                hint = f" Did you mean {similar[0]}?" if similar else ""
                yield Finding(
                    Rule.DEPENDENCY,
                    snapshot.location,
                    f"{key} is materialized by no location; named by {', '.join(sorted(users))}.{hint}",
                    "Correct the key, or let the location that owns it define the asset. A source from outside is an "
                    f'external asset of the location that reads it: dg.AssetSpec(["{SOURCES}", "<feed>"]).',
                )


def unfit_partitions(snapshots: Sequence[Snapshot]) -> Iterator[Finding]:
    for snapshot in snapshots:
        for unfit in snapshot.unfit_partitions:
            yield Finding(
                Rule.PARTITIONS,
                snapshot.location,
                f"{unfit.asset} depends on {unfit.input}: {unfit.reason}",
                "Say which partitions it reads: dg.AssetDep(..., partition_mapping=...); all of them: "
                "dg.AllPartitionMapping().",
            )


def unstated_backfill_policies(snapshots: Sequence[Snapshot]) -> Iterator[Finding]:
    for snapshot in snapshots:
        for asset in snapshot.assets:
            if asset.is_materializable and asset.partitions and not asset.has_backfill_policy:
                yield Finding(
                    Rule.BACKFILL,
                    snapshot.location,
                    f"{asset.key} does not say how many partitions a run takes, so a year of days is 364 runs.",
                    "Say backfill_policy=dg.BackfillPolicy.single_run(), or multi_run(n), in @dg.multi_asset (of "
                    "@dg.asset it is beta), and build what context.partition_keys names: docs/schedules.md says which "
                    "is for what.",
                )


def _named_keys(snapshot: Snapshot) -> dict[str, set[str]]:
    """Each key that the location names without materializing it, with who names it."""
    named = defaultdict(set)
    for asset in snapshot.assets:
        for dep in asset.deps:
            named[dep].add(asset.key)
        if not asset.is_materializable:
            named[asset.key].add("an external asset")
    for check in snapshot.asset_checks:
        named[check.asset].add(f"check {check.name}")
    return named


def drift(lists: WorkspaceLists) -> Iterator[Finding]:
    """Names within a project that differ, and lists that name other locations than `projects/*`."""
    for project in lists.projects:
        yield from _unequal_names(project)
    yield from _workspace_yaml_drift(lists)
    paths = {f"{PROJECTS}/{project.name}" for project in lists.projects}
    where = f"{PYPROJECT} [tool.dg.workspace] projects"
    for path in sorted(paths - set(lists.dg_workspace)):
        yield Finding(Rule.LIST, where, f"{path} is not listed.", f'Add {{ path = "{path}" }}.')
    for path in sorted(set(lists.dg_workspace) - paths):
        yield Finding(Rule.LIST, where, f"{path} is no project.", f"Remove it, or add {path}/{PYPROJECT}.")
    yield from _repeated(where, lists.dg_workspace)


def _unequal_names(project: Project) -> Iterator[Finding]:
    for key, value in (("root_module", project.package), ("code_location_name", project.location_name)):
        if value != project.name:
            yield Finding(
                Rule.LIST,
                f"{PROJECTS}/{project.name}/{PYPROJECT} [tool.dg.project]",
                f"{key} is {value!r}, the folder is {project.name!r}.",
                "Give folder, package and location the same name.",
            )


def _workspace_yaml_drift(lists: WorkspaceLists) -> Iterator[Finding]:
    listed = {entry.location_name: entry.module for entry in lists.workspace_yaml}
    projects = {project.location_name: project for project in lists.projects}
    for name, project in sorted(projects.items()):
        entry = f"- python_module: {{location_name: {name}, module_name: {project.definitions_module}}}"
        if name not in listed:
            yield Finding(Rule.LIST, WORKSPACE_YAML, f"{name} is not listed.", f"Add `{entry}`.")
        elif listed[name] != project.definitions_module:
            module = listed[name] or "something other than a python_module"
            what = f"{name} loads {module}, its project says {project.definitions_module}."
            yield Finding(Rule.LIST, WORKSPACE_YAML, what, f"Write `{entry}`.")
    for name in sorted(listed.keys() - projects.keys()):
        what = f"{name} is listed but is the location of no project."
        yield Finding(Rule.LIST, WORKSPACE_YAML, what, f"Remove it, or add {PROJECTS}/{name}/{PYPROJECT}.")
    yield from _repeated(WORKSPACE_YAML, [entry.location_name for entry in lists.workspace_yaml])


def _repeated(where: str, names: Sequence[str]) -> Iterator[Finding]:
    for name, count in sorted(Counter(names).items()):
        if count > 1:
            yield Finding(Rule.LIST, where, f"{name} is listed {count} times.", "Keep one entry.")


def implicit_instigators(snapshots: Sequence[Snapshot]) -> Iterator[Finding]:
    for snapshot in snapshots:
        for schedule in snapshot.schedules:
            where = f"{snapshot.location}, schedule {schedule.name}"
            if not schedule.status_explicit:
                yield _implicit_status(where, schedule)
            if not schedule.timezone_explicit:
                what = "has no time zone, so Dagster runs it in UTC."
                remedy = 'Set execution_timezone, to "UTC" if that is meant.'
                yield Finding(Rule.INSTIGATOR, where, what, remedy)
        for sensor in snapshot.sensors:
            if not sensor.status_explicit:
                yield _implicit_status(f"{snapshot.location}, sensor {sensor.name}", sensor)


def _implicit_status(where: str, instigator: ScheduleSnapshot | SensorSnapshot) -> Finding:
    if instigator.name == IMPLICIT_SENSOR:
        what = "is Dagster's own, and stopped: some automation condition is targeted by no sensor of the location."
        remedy = (
            "Define a dg.AutomationConditionSensorDefinition with default_status=dg.DefaultSensorStatus.RUNNING "
            "whose target covers all assets and checks that have a condition."
        )
    else:
        what = "is stopped by default, and nothing says that this is meant."
        remedy = (
            "Set default_status to RUNNING (dg.DefaultScheduleStatus, dg.DefaultSensorStatus), "
            f'or give the reason: metadata={{"{OFF_METADATA_KEY}": "<why it is off>"}}.'
        )
    return Finding(Rule.INSTIGATOR, where, what, remedy)


def load_warnings(snapshots: Sequence[Snapshot], allowed: Set[AllowedWarning] = ALLOWED_WARNINGS) -> Iterator[Finding]:
    """What counts of the warnings, each once for all locations in which it shows."""
    locations = defaultdict(list)
    for snapshot in snapshots:
        for warning in snapshot.warnings:
            if counts(warning) and not any(entry.text in warning.message for entry in allowed):
                locations[warning].append(snapshot.location)
    for warning, names in sorted(locations.items(), key=lambda item: item[0].where):
        yield Finding(
            Rule.WARNING,
            f"{', '.join(names)} ({warning.where})",
            f"{warning.category}: {warning.message}",
            "Use what the warning recommends. A beta feature that we need stands in ALLOWED_WARNINGS "
            "(platform_shared/workspace/rules.py), with the reason.",
        )


def counts(warning: WarningSnapshot) -> bool:
    """Whether it is for us to act on."""
    return warning.ours or warning.category in LIFECYCLE_WARNINGS
