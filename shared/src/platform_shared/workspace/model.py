"""What a location's snapshot holds, and its form as JSON. Imports no Dagster, so that reading snapshots is cheap."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from pydantic import TypeAdapter

from platform_shared.workspace import SHOWS_TAG


@dataclass(frozen=True)
class AssetSnapshot:
    """An asset that a location declares; keys are `schema/table`. One that it only names as a dependency is not here.

    `automation_condition` is the condition's label (its kind if it has none), `partitions` its description in words.
    """

    key: str
    group: str
    kinds: tuple[str, ...] = ()
    owners: tuple[str, ...] = ()
    description: str | None = None
    deps: tuple[str, ...] = ()
    is_materializable: bool = False
    is_executable: bool = False
    partitions: str | None = None
    automation_condition: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    code_version: str | None = None
    pools: tuple[str, ...] = ()
    has_backfill_policy: bool = False

    @property
    def shows(self) -> str | None:
        """What it is there to show, if it is; such an asset need not be built for the workspace to be up to date."""
        return self.tags.get(SHOWS_TAG)


@dataclass(frozen=True)
class CheckSnapshot:
    asset: str
    name: str
    blocking: bool = False


@dataclass(frozen=True)
class ScheduleSnapshot:
    """`timezone` is None if it is left to Dagster (UTC); `off_reason` says why it is meant to be stopped."""

    name: str
    cron: tuple[str, ...]
    default_status: str
    timezone: str | None = None
    off_reason: str | None = None

    @property
    def timezone_explicit(self) -> bool:
        return self.timezone is not None

    @property
    def status_explicit(self) -> bool:
        return status_is_explicit(self.default_status, self.off_reason)


@dataclass(frozen=True)
class SensorSnapshot:
    """`type` is the definition's class; `minimum_interval` is in seconds."""

    name: str
    type: str
    default_status: str
    minimum_interval: int | None = None
    off_reason: str | None = None

    @property
    def status_explicit(self) -> bool:
        return status_is_explicit(self.default_status, self.off_reason)


@dataclass(frozen=True)
class ResourceSnapshot:
    key: str
    type: str


@dataclass(frozen=True)
class UnfitPartitions:
    """An asset with an input whose partitions do not map to its own, and why."""

    asset: str
    input: str
    reason: str


@dataclass(frozen=True)
class WarningSnapshot:
    """A warning of the load. `ours`: the location's or the library's code caused it, not a third party by itself."""

    category: str
    message: str
    where: str
    ours: bool


@dataclass(frozen=True)
class Snapshot:
    """One location as its own process loaded it. With a `load_error` (cause, then traceback) it has no definitions."""

    location: str
    assets: tuple[AssetSnapshot, ...] = ()
    asset_checks: tuple[CheckSnapshot, ...] = ()
    jobs: tuple[str, ...] = ()
    schedules: tuple[ScheduleSnapshot, ...] = ()
    sensors: tuple[SensorSnapshot, ...] = ()
    resources: tuple[ResourceSnapshot, ...] = ()
    unfit_partitions: tuple[UnfitPartitions, ...] = ()
    warnings: tuple[WarningSnapshot, ...] = ()
    load_error: str | None = None
    seconds: float = 0.0


def status_is_explicit(default_status: str, off_reason: str | None) -> bool:
    """Running, or stopped with a reason: stopped alone is Dagster's default and may be an omission."""
    return default_status == "RUNNING" or bool(off_reason and off_reason.strip())


def to_json(snapshot: Snapshot) -> str:
    """The same text for the same definitions, but for `seconds`."""
    return json.dumps(asdict(snapshot), sort_keys=True, indent=2)


def from_json(text: str) -> Snapshot:
    return TypeAdapter(Snapshot).validate_json(text)
