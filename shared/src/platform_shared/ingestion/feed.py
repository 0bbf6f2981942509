"""What a feed is: where its objects lie, what their rows look like, which table they make up, and how fast."""

import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

import dagster as dg

from platform_shared.contracts import Contract
from platform_shared.ingestion.landing import LandingFolder
from platform_shared.ingestion.objects import ObjectSource
from platform_shared.ingestion.planning import Gate, Limits
from platform_shared.ingestion.reading import Drift, Format, Partition, ReadLimits, Shape
from platform_shared.partitions import FIRST_BUSINESS_DATE, Periods, periods_of
from platform_shared.settings import environment


class Location(Protocol):
    """Where the objects of a feed lie."""

    @property
    def kinds(self) -> frozenset[str]:
        """Kinds of the external asset that stands for the source."""
        ...

    @property
    def resource_keys(self) -> frozenset[str]:
        """Dagster resources that `open` needs."""
        ...

    @property
    def description(self) -> str:
        """Where it is, in words, without paths of a machine."""
        ...

    def open(self, resources: Any) -> ObjectSource:
        """The source, by the resources of a sensor's or run's context. Raises NotSetUpError where a laptop lacks it."""
        ...


@dataclass(frozen=True)
class Landing:
    """A folder of the platform's landing zone."""

    folder: str

    kinds = frozenset({"file"})
    resource_keys = frozenset({"folders"})

    @property
    def description(self) -> str:
        """The folder's name in the landing zone."""
        return f"the folder `{self.folder}/` of the landing zone"

    def open(self, resources: Any) -> ObjectSource:
        """The folder of this process's platform."""
        return LandingFolder(resources.folders.home().landing / self.folder)


@dataclass(frozen=True)
class BucketPrefix:
    """The keys of an S3 bucket that start with a prefix; one bucket, or one for each environment."""

    bucket: str | Mapping[str, str]
    prefix: str

    kinds = frozenset({"s3"})
    resource_keys = frozenset({"s3"})

    @property
    def description(self) -> str:
        """Bucket and prefix, or the prefix where the bucket is the environment's."""
        if isinstance(self.bucket, str):
            return f"`s3://{self.bucket}/{self.prefix}`"
        return f"`{self.prefix}` of the environment's bucket"

    def open(self, resources: Any) -> ObjectSource:
        """The bucket of this process's environment, through the resource `s3`."""
        from platform_shared.ingestion.bucket import Bucket

        bucket = self.bucket if isinstance(self.bucket, str) else self.bucket[environment()]
        return Bucket(resources.s3.get_client(), bucket, self.prefix)


@dataclass(frozen=True)
class ObjectFeed:
    """A feed `name` of objects at `location` whose rows make up the contract's table.

    `pattern` (a shell pattern over object ids) says which objects are of the feed. `period` is an SQL expression over
    the source's columns and `_source_object`: the day or week of a row, where the table is partitioned. `poll_seconds`
    is the pause between looks; Dagster's sensor loop sleeps five seconds, so less is five. A look may last
    `tick_seconds`; a longer listing goes on with the next one. A day or week is complete `grace` after its end: if
    nothing came for it by then, but something for a later one, it is announced as empty, as soon as no complete one was
    loaded for the time `rest`.
    """

    name: str
    contract: Contract
    location: Location
    format: Format
    period: str | None = None
    pattern: str = "*"
    drift: Drift = Drift.REJECT
    read_limits: ReadLimits = field(default_factory=ReadLimits)
    poll_seconds: int = 5
    tick_seconds: float = 20.0
    grace: timedelta = timedelta(hours=2)
    rest: timedelta = timedelta(minutes=2)
    limits: Limits = field(default_factory=Limits)
    gate: Gate = field(default_factory=Gate)

    def __post_init__(self) -> None:
        if (self.period is None) != (self.periods is None):
            raise ValueError(
                f"The feed {self.name}: a table by day or week needs `period`, an SQL expression for the day of a row; "
                "a table without partitions must not have one."
            )

    @property
    def periods(self) -> Periods | None:
        """The table's partitioning."""
        return periods_of(self.contract.partitions)

    @property
    def source_key(self) -> dg.AssetKey:
        """The source, as the external asset at the root of the lineage."""
        return dg.AssetKey(["landing", self.name])

    def is_wanted(self, object_id: str) -> bool:
        """Whether an object is of this feed."""
        if self.limits.marker is not None and object_id.endswith(self.limits.marker):
            return False
        return self.pattern == "*" or fnmatch.fnmatchcase(object_id, self.pattern)

    def shape(self, now: datetime) -> Shape:
        """What rows look like; the open day or week at `now` is the last that they may be of."""
        partition = None
        if self.periods is not None and self.period is not None:
            day = f"CAST({self.period} AS DATE)"
            if self.periods.days == 7:
                day = f"CAST(date_trunc('week', {day}) AS DATE)"
            partition = Partition(self.periods.column, day, FIRST_BUSINESS_DATE, self.periods.open(now))
        return Shape(self.contract.columns, self.format, self.drift, partition, self.read_limits)
