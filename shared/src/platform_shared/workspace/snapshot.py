"""Loads one location in this process and prints its snapshot: `python -m platform_shared.workspace.snapshot MODULE`."""

import argparse
import importlib
import os
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import replace

import dagster as dg

from platform_shared.workspace import OFF_METADATA_KEY
from platform_shared.workspace.introspection import (
    Execution,
    condition_label,
    execution,
    repository,
    sensor_metadata,
    unfit_partitions,
)
from platform_shared.workspace.load_warnings import recorded_warnings, short_path, top_package
from platform_shared.workspace.model import (
    AssetSnapshot,
    CheckSnapshot,
    ResourceSnapshot,
    ScheduleSnapshot,
    SensorSnapshot,
    Snapshot,
    UnfitPartitions,
    to_json,
)

KIND_TAG = "dagster/kind/"


def snapshot(location: str, definitions_module: str) -> Snapshot:
    """What the module defines and what loading it warned of; an error of the module is part of the result."""
    ours = {top_package(definitions_module), "platform_shared"}
    # This file runs as `__main__`: what Dagster warns of while it resolves for us, it means for the location.
    with recorded_warnings(ours | {"__main__"}) as warned:
        try:
            loaded = describe(location, load(definitions_module))
        except (Exception, SystemExit) as error:
            loaded = Snapshot(location, load_error=told(error, ours))
    return replace(loaded, warnings=tuple(sorted(warned, key=lambda w: (w.where, w.category, w.message))))


def told(error: BaseException, ours: Set[str]) -> str:
    """The error that caused it and the innermost line of ours that led to it, then the whole traceback.

    Dagster wraps an error of a file below `defs/` in others, whose last line names no cause.
    """
    cause = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    lines = [
        f"{short_path(frame.f_code.co_filename)}:{line}: "
        for frame, line in traceback.walk_tb(cause.__traceback__)
        if top_package(str(frame.f_globals.get("__name__"))) in ours
    ]
    summary = f"{lines[-1] if lines else ''}{type(cause).__name__}: {cause}"
    return "\n".join([summary, "", *"".join(traceback.format_exception(error)).splitlines()])


def load(module: str) -> dg.Definitions:
    """The module's `defs` (a Definitions, or what `@dg.definitions` made of a function), resolved as a server does."""
    found = getattr(importlib.import_module(module), "defs", None)
    definitions = found() if callable(found) and not isinstance(found, dg.Definitions) else found
    if not isinstance(definitions, dg.Definitions):
        raise TypeError(
            f"{module} has no `defs` that is a dagster.Definitions. Write "
            "`@dg.definitions` over `def defs() -> dg.Definitions:` there."
        )
    dg.Definitions.validate_loadable(definitions)
    return definitions


def describe(location: str, definitions: dg.Definitions) -> Snapshot:
    """The snapshot of loaded definitions, all lists sorted."""
    resolved = repository(definitions)
    return Snapshot(
        location,
        assets=tuple(sorted(_assets(definitions, resolved), key=lambda asset: asset.key)),
        asset_checks=tuple(sorted(_checks(resolved), key=lambda check: (check.asset, check.name))),
        jobs=tuple(sorted(name for name in resolved.job_names if not name.startswith("__"))),
        schedules=tuple(sorted(map(_schedule, resolved.schedule_defs), key=lambda schedule: schedule.name)),
        sensors=tuple(sorted(map(_sensor, resolved.sensor_defs), key=lambda sensor: sensor.name)),
        resources=tuple(sorted(_resources(definitions), key=lambda resource: resource.key)),
        unfit_partitions=tuple(
            UnfitPartitions(_key(asset), _key(parent), reason)
            for asset, parent, reason in sorted(unfit_partitions(resolved))
        ),
    )


def _assets(definitions: dg.Definitions, resolved: dg.RepositoryDefinition) -> Iterator[AssetSnapshot]:
    """What the location declares; Dagster also lists a stand-in for each key that is only named as a dependency."""
    made, sources = resolved.assets_defs_by_key, resolved.source_assets_by_key
    for spec in definitions.resolve_all_asset_specs():
        if spec.key in made:
            yield _asset(spec, execution(made[spec.key]))
        elif spec.key in sources:
            yield _asset(spec, Execution(False, sources[spec.key].is_observable, frozenset(), False))


def _asset(spec: dg.AssetSpec, how: Execution) -> AssetSnapshot:
    return AssetSnapshot(
        key=_key(spec.key),
        group=spec.group_name or "default",
        kinds=tuple(sorted(tag.removeprefix(KIND_TAG) for tag in spec.tags if tag.startswith(KIND_TAG))),
        owners=tuple(sorted(spec.owners)),
        description=spec.description,
        deps=tuple(sorted(_key(dep.asset_key) for dep in spec.deps)),
        is_materializable=how.materializable,
        is_executable=how.executable,
        partitions=str(spec.partitions_def) if spec.partitions_def else None,
        automation_condition=condition_label(spec.automation_condition) if spec.automation_condition else None,
        tags={tag: value for tag, value in spec.tags.items() if not tag.startswith(KIND_TAG)},
        code_version=spec.code_version,
        pools=tuple(sorted(how.pools)),
        has_backfill_policy=how.has_backfill_policy,
    )


def _key(key: dg.AssetKey) -> str:
    return "/".join(key.path)


def _checks(resolved: dg.RepositoryDefinition) -> set[CheckSnapshot]:
    """Checks of their own and those that an asset's definition brings along."""
    owners = [*resolved.assets_defs_by_key.values(), *resolved.asset_checks_defs_by_key.values()]
    return {
        CheckSnapshot(_key(spec.asset_key), spec.name, spec.blocking) for owner in owners for spec in owner.check_specs
    }


def _resources(definitions: dg.Definitions) -> Iterator[ResourceSnapshot]:
    for key, resource in (definitions.resources or {}).items():
        yield ResourceSnapshot(key, type(resource).__name__)


def _schedule(schedule: dg.ScheduleDefinition) -> ScheduleSnapshot:
    cron = schedule.cron_schedule
    return ScheduleSnapshot(
        name=schedule.name,
        cron=(cron,) if isinstance(cron, str) else tuple(cron),
        default_status=schedule.default_status.value,
        timezone=schedule.execution_timezone,
        off_reason=_off_reason(schedule.metadata),
    )


def _sensor(sensor: dg.SensorDefinition) -> SensorSnapshot:
    return SensorSnapshot(
        name=sensor.name,
        type=type(sensor).__name__,
        default_status=sensor.default_status.value,
        minimum_interval=sensor.minimum_interval_seconds,
        off_reason=_off_reason(sensor_metadata(sensor)),
    )


def _off_reason(metadata: Mapping[str, dg.MetadataValue]) -> str | None:
    return str(metadata[OFF_METADATA_KEY].value) if OFF_METADATA_KEY in metadata else None


def main(argv: Sequence[str] | None = None) -> None:
    """Prints the snapshot alone on stdout: what the location prints while it loads goes to stderr."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("definitions_module")
    parser.add_argument("--location", required=True, help="the location's name")
    arguments = parser.parse_args(argv)
    with os.fdopen(os.dup(sys.stdout.fileno()), "w") as out:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        out.write(to_json(snapshot(arguments.location, arguments.definitions_module)))


if __name__ == "__main__":
    main()
