"""Feeds of files and of S3 objects, in about ten lines of YAML."""

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal

import dagster as dg
from pydantic import BaseModel, Field, field_validator, model_validator

if TYPE_CHECKING:
    from platform_shared.contracts import Contract
    from platform_shared.ingestion.feed import Location, ObjectFeed

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_TYPE = re.compile(r"[A-Z]+( [A-Z]+)*(\(\d+(, ?\d+)?\))?")


def _text(field: str, value: str, what: str) -> str:
    """A misspelt template variable renders as an empty string: caught here."""
    if not value.strip():
        raise ValueError(f"{field} is {value!r}. Give {what}; a template variable that is misspelt renders as nothing.")
    return value


def _name(field: str, value: str) -> str:
    _text(field, value, "a name")
    if not _NAME.fullmatch(value):
        raise ValueError(f"{field} is {value!r}. Use lower-case letters, digits and underscores, a letter first.")
    return value


def _positive(field: str, value: float, remedy: str) -> None:
    if not value > 0:
        raise ValueError(f"{field} is {value!r}. {remedy} (`EnvVar.int(…)` is 0 while definitions load.)")


class ColumnAttributes(dg.Model, dg.Resolvable):
    """A column of the table: its name in the source, its DuckDB type, and what a value means."""

    name: str
    type: str
    description: str = ""
    required: bool = False


class FreshnessAttributes(dg.Model, dg.Resolvable):
    """How old the table may be: `fail_after_hours`, or `deadline_cron` with `made_within_hours`."""

    fail_after_hours: Annotated[
        float | None, Field(description="Hours without a materialization after which the owner is told.")
    ] = None
    warn_after_hours: Annotated[float | None, Field(description="Hours after which the web page warns.")] = None
    deadline_cron: Annotated[str | None, Field(description='Deadlines instead, such as "0 8 * * *".')] = None
    made_within_hours: Annotated[
        float | None, Field(description="Hours before a deadline in which a materialization counts.")
    ] = None
    timezone: Annotated[str | None, Field(description="Of the deadlines; New York by default.")] = None


class TableAttributes(dg.Model, dg.Resolvable):
    """A raw table that no other location reads, so that it has no contract: described where it is filled."""

    owner: Annotated[str, Field(description="The location (and team) that owns the table.")]
    description: str
    columns: list[ColumnAttributes]
    partitions: Annotated[
        Literal["daily", "weekly"] | None, Field(description="Business days or weeks, New York; none by default.")
    ] = None
    freshness: Annotated[
        FreshnessAttributes | None, Field(description="How old the table may be; not judged by default.")
    ] = None


def _freshness(given: FreshnessAttributes | None) -> dg.FreshnessPolicy | None:
    from platform_shared.freshness import freshness_policy

    return freshness_policy(given.model_dump(exclude_none=True), "table.freshness") if given is not None else None


def _check_table(table: TableAttributes) -> None:
    _name("table.owner", table.owner)
    _text("table.description", table.description, "what a row is")
    if not table.columns:
        raise ValueError("table.columns is empty. Name the columns with their types; nothing is guessed.")
    for column in table.columns:
        _text("table.columns.name", column.name, "the column's name in the source")
        if not _TYPE.fullmatch(column.type):
            raise ValueError(
                f"The type of column {column.name} is {column.type!r}. Use a DuckDB type in capitals, such as BIGINT, "
                "VARCHAR, DECIMAL(12,2), TIMESTAMPTZ or DATE."
            )
    names = [column.name.lower() for column in table.columns]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"table.columns names {', '.join(twice)} more than once. Name each column once.")
    _freshness(table.freshness)


class FeedComponent(dg.Component, dg.Model, dg.Resolvable):
    """What feeds have in common."""

    feed: Annotated[
        str, Field(description="Name of the feed; also of its raw table, unless a contract says otherwise.")
    ]
    contract: Annotated[
        str | None, Field(description="Key of the contract that the feed fills, such as raw/order_lines.")
    ] = None
    table: Annotated[TableAttributes | None, Field(description="The table, if no other location reads it.")] = None
    format: Annotated[Literal["csv", "json_lines", "parquet"], Field(description="Of each object; .gz and .zst too.")]
    period: Annotated[
        str | None, Field(description="SQL for the day of a row, over the columns and _source_object.")
    ] = None
    pattern: Annotated[str, Field(description="Shell pattern of object names, such as *.csv.")] = "*"
    new_columns: Annotated[
        Literal["reject", "add_column", "ignore"],
        Field(description="When an object has columns that the table lacks."),
    ] = "reject"
    most_bad_rows: Annotated[
        float, Field(description="Share of rows that do not fit above which an object is set aside whole.")
    ] = 0.01
    poll_seconds: Annotated[int, Field(description="Pause between looks at the source.")] = 5
    settle_seconds: Annotated[
        float, Field(description="How long an object must be unchanged; 0 for senders that rename into place.")
    ] = 2.0
    marker: Annotated[str | None, Field(description="Suffix of the marker that says an object is complete.")] = None
    objects_per_batch: int = 1000
    megabytes_per_batch: int = 512
    batches_in_flight: int = 2
    attempts: Annotated[int, Field(description="Tries in all before an object goes to quarantine.")] = 3
    least_objects: Annotated[int, Field(description="Fewer wait for more, up to longest_wait_minutes.")] = 1
    least_megabytes: Annotated[float, Field(description="Less waits for more, up to longest_wait_minutes.")] = 0.0
    longest_wait_minutes: float = 15.0

    @field_validator("feed")
    @classmethod
    def _check_feed(cls, value: str) -> str:
        return _name("feed", value)

    @field_validator("pattern", "contract", "period", "marker")
    @classmethod
    def _check_text(cls, value: str | None, info: Any) -> str | None:
        return None if value is None else _text(info.field_name, value, "a value, or leave the field out")

    @field_validator("poll_seconds", "objects_per_batch", "megabytes_per_batch", "batches_in_flight", "attempts")
    @classmethod
    def _check_number(cls, value: int, info: Any) -> int:
        _positive(info.field_name, value, "Use a whole number from 1 on.")
        return value

    @field_validator("settle_seconds", "least_objects", "least_megabytes", "longest_wait_minutes")
    @classmethod
    def _check_amount(cls, value: float, info: Any) -> float:
        if value < 0:
            raise ValueError(f"{info.field_name} is {value!r}. Use 0 or more.")
        return value

    @field_validator("most_bad_rows")
    @classmethod
    def _check_share(cls, value: float) -> float:
        if not 0 <= value <= 1:
            raise ValueError(f"most_bad_rows is {value!r}. Use a share from 0 (none) to 1 (all), such as 0.01.")
        return value

    @model_validator(mode="after")
    def _check_whole(self) -> "FeedComponent":
        if (self.contract is None) == (self.table is None):
            raise ValueError("Give either `contract` (a table that other locations read) or `table`, not both or none.")
        if self.table is not None:
            _check_table(self.table)
        return self

    def location(self) -> "Location":
        """Where the objects lie."""
        raise NotImplementedError

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """The feed's source, table, checks, job and sensor."""
        from platform_shared.ingestion.feed_definitions import feed_definitions

        return feed_definitions(self.build_feed())

    def build_feed(self) -> "ObjectFeed":
        """The feed as the library knows it."""
        from platform_shared.ingestion.feed import ObjectFeed
        from platform_shared.ingestion.planning import Gate, Limits
        from platform_shared.ingestion.reading import Drift, Format, ReadLimits

        return ObjectFeed(
            name=self.feed,
            contract=self._contract(),
            location=self.location(),
            format=Format(self.format),
            period=self.period,
            pattern=self.pattern,
            drift=Drift(self.new_columns),
            read_limits=ReadLimits(threshold=self.most_bad_rows),
            poll_seconds=self.poll_seconds,
            limits=Limits(
                objects_per_batch=self.objects_per_batch,
                bytes_per_batch=self.megabytes_per_batch * 1024**2,
                batches_in_flight=self.batches_in_flight,
                attempts=self.attempts,
                settle=timedelta(seconds=self.settle_seconds),
                marker=self.marker,
            ),
            gate=Gate(
                self.least_objects,
                round(self.least_megabytes * 1024**2),
                timedelta(minutes=self.longest_wait_minutes),
            ),
        )

    def _contract(self) -> "Contract":
        from platform_shared.contracts import CONTRACTS, Column, Contract
        from platform_shared.partitions import BUSINESS_DAYS, BUSINESS_WEEKS

        if self.table is None:
            by_key = {contract.key.to_user_string(): contract for contract in CONTRACTS}
            if self.contract not in by_key:
                known = ", ".join(key for key in by_key if key.startswith("raw/"))
                raise ValueError(
                    f"contract is {self.contract!r}, which platform_shared.contracts does not have. Known: {known}. "
                    "For a table that only this location reads, describe it here as `table`."
                )
            return by_key[str(self.contract)]
        return Contract(
            schema="raw",
            table=self.feed,
            owner=self.table.owner,
            description=self.table.description,
            columns=tuple(Column(c.name, c.type, c.description, c.required) for c in self.table.columns),
            partitions={None: None, "daily": BUSINESS_DAYS, "weekly": BUSINESS_WEEKS}[self.table.partitions],
            freshness=_freshness(self.table.freshness),
        )


class FeedScaffold(BaseModel):
    """What `dg scaffold defs` asks for."""

    owner: str = Field(default="", description="The location that owns the table; by default the project's folder.")
    # Not `format`: dg has a flag of that name.
    object_format: Literal["csv", "json_lines", "parquet"] = Field(default="csv", description="Format of the objects.")


class S3FeedScaffold(FeedScaffold):
    """The same, and where the objects lie."""

    bucket: str = Field(default="retailer", description="The bucket.")


class FileFeedScaffolder(dg.Scaffolder[Any]):
    """Writes a `defs.yaml` that loads as it stands: a feed of the folder's name, with one column to be replaced."""

    @classmethod
    def get_scaffold_params(cls) -> type[FeedScaffold]:
        """Its flags."""
        return FeedScaffold

    def scaffold(self, request: dg.ScaffoldRequest[Any]) -> None:
        """In the order in which a person fills it in, with a comment on where the rest is described."""
        import yaml

        folder = request.target_path.parent if request.append else request.target_path
        feed = re.sub(r"[^a-z0-9]+", "_", folder.name.lower()).strip("_")
        feed = feed if _NAME.fullmatch(feed) else f"feed_{feed}"
        owner = request.params.owner or (request.project_root.name if request.project_root else "ingestion")
        attributes = self.attributes(request.params, feed, owner)
        if request.scaffold_format != "yaml":
            dg.scaffold_component(request, attributes)
            return
        component = {"type": request.type_name, "attributes": attributes}
        lines = [
            f"# {self.comment(attributes)} Replace the column by the source's own;",
            "# docs/ingestion.md has the other fields: days, batches, bad rows, new columns, markers.",
            yaml.safe_dump(component, sort_keys=False, default_flow_style=None, width=120),
        ]
        with (folder / "defs.yaml").open("a" if request.append else "w", encoding="utf-8") as file:
            file.write("---\n" * request.append + "\n".join(lines))

    def attributes(self, params: Any, feed: str, owner: str) -> dict[str, Any]:
        """What the component is told."""
        return {"feed": feed, **self.place(params, feed), "format": params.object_format, **_scaffolded(feed, owner)}

    def place(self, params: Any, feed: str) -> dict[str, str]:
        """Where the objects lie, if the feed's name does not say it."""
        return {}

    def comment(self, attributes: Mapping[str, Any]) -> str:
        """What happens now."""
        return f"Files that are delivered into landing/{attributes['feed']}/ become rows of raw.{attributes['feed']}."


class S3FeedScaffolder(FileFeedScaffolder):
    """The same, with a bucket and a prefix."""

    @classmethod
    def get_scaffold_params(cls) -> type[FeedScaffold]:
        """Its flags."""
        return S3FeedScaffold

    def place(self, params: Any, feed: str) -> dict[str, str]:
        """Bucket and prefix."""
        return {"bucket": params.bucket, "prefix": f"{feed}/"}

    def comment(self, attributes: Mapping[str, Any]) -> str:
        """What happens now."""
        return (
            f"Objects below s3://{attributes['bucket']}/{attributes['prefix']} become rows of raw.{attributes['feed']}."
        )


def _scaffolded(feed: str, owner: str) -> dict[str, Any]:
    column = {"name": "id", "type": "BIGINT", "required": True, "description": "Key of the row."}
    return {"table": {"owner": owner, "description": f"What the source sends as {feed}.", "columns": [column]}}


@dg.scaffold_with(FileFeedScaffolder)
class FileFeedComponent(FeedComponent):
    """Files in a folder of the landing zone become rows of a raw table: each version once, or set aside and told."""

    folder: Annotated[str | None, Field(description="Folder in the landing zone; by default the feed's name.")] = None

    @field_validator("folder")
    @classmethod
    def _check_folder(cls, value: str | None) -> str | None:
        if value is None:
            return None
        _text("folder", value, "a folder of the landing zone, or leave the field out")
        if value.startswith("/") or ".." in value.split("/"):
            raise ValueError(f"folder is {value!r}. Name a folder below the landing zone, such as orders/eu.")
        return value

    def location(self) -> "Location":
        """The folder."""
        from platform_shared.ingestion.feed import Landing

        return Landing(self.folder or self.feed)


@dg.scaffold_with(S3FeedScaffolder)
class S3FeedComponent(FeedComponent):
    """Objects below a prefix of an S3 bucket become rows of a raw table: each version once, or set aside and told."""

    bucket: Annotated[
        str | Mapping[str, str],
        Field(description="The bucket, or one for each environment: {local: …, staging: …, production: …}."),
    ]
    prefix: Annotated[str, Field(description="Keys of the feed start with it, such as customer_data/.")]

    @field_validator("bucket")
    @classmethod
    def _check_bucket(cls, value: str | Mapping[str, str]) -> str | Mapping[str, str]:
        from platform_shared.settings import Environment

        buckets = {"bucket": value} if isinstance(value, str) else {f"bucket.{k}": v for k, v in value.items()}
        for field, bucket in buckets.items():
            _text(field, bucket, "the name of a bucket")
        if not isinstance(value, str) and (unlike := {*value} ^ {*Environment}):
            raise ValueError(
                f"bucket has {', '.join(value)}. Give one for each of {', '.join(Environment)} "
                f"(missing or unknown: {', '.join(sorted(unlike))}), or one name for all."
            )
        return value

    @field_validator("prefix")
    @classmethod
    def _check_prefix(cls, value: str) -> str:
        _text("prefix", value, "a prefix")
        if not value.endswith("/") or value.startswith("/"):
            raise ValueError(f"prefix is {value!r}. Start without and end with a slash, such as customer_data/.")
        return value

    def location(self) -> "Location":
        """The bucket and the prefix."""
        from platform_shared.ingestion.feed import BucketPrefix

        return BucketPrefix(self.bucket, self.prefix)
