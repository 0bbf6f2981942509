"""Segments of households: a model that is trained weekly, and what it says of each household every four hours."""

from datetime import date, datetime

import dagster as dg

from batch.household_segments import (
    SegmentModel,
    read_households,
    score,
    summary,
    to_csv,
    to_markdown,
    train,
)
from batch.reporting import RUN_TAGS
from platform_shared import clock
from platform_shared.automation import on_code_change
from platform_shared.contracts import HOUSEHOLD_SPEND
from platform_shared.files import write_atomically
from platform_shared.partitions import BUSINESS_TIME_ZONE, business_date
from platform_shared.resources import PlatformFolders, WarehouseResource
from platform_shared.schedules import BusinessHours, Overlap, why_not_now

HOURS = BusinessHours(BUSINESS_TIME_ZONE, opens=8, closes=20, busy_from=11, busy_to=18)
BATCH, SMALL_BATCH = 1_000, 250
"""Households at a time; a small batch while people need the machine."""


class SegmentsConfig(dg.Config):
    """How to work; the schedule sets both by its own time. Without a day, today's in New York is taken."""

    as_of: str = ""
    batch_size: int = BATCH

    def day(self) -> date:
        """The business day that recency counts from."""
        return date.fromisoformat(self.as_of) if self.as_of else business_date(clock.utc_now())


@dg.asset(
    key=["reports", "household_segment_model"],
    deps=[HOUSEHOLD_SPEND.key],
    group_name="reports",
    owners=["team:batch"],
    kinds={"python", "scikitlearn"},
    code_version="1",
    automation_condition=on_code_change(),
    pool="batch_household_segment_model",
    description="A clustering of households by how lately, how often and for how much they buy. Downstream gets it by "
    "value, from Dagster's IO manager.",
)
def household_segment_model(config: SegmentsConfig, warehouse: WarehouseResource) -> dg.Output[SegmentModel]:
    with warehouse.read() as connection:
        households = read_households(connection)
    model = train(households, config.day())
    return dg.Output(model, metadata={"households": model.households, "segments": ", ".join(sorted(model.names))})


@dg.asset(
    key=["reports", "household_segments"],
    deps=[HOUSEHOLD_SPEND.key],
    ins={"model": dg.AssetIn(["reports", "household_segment_model"])},
    group_name="reports",
    owners=["team:batch"],
    kinds={"python", "csv"},
    automation_condition=on_code_change(),
    pool="batch_household_segments",
    description="The segment of each household, as CSV.",
)
def household_segments(
    config: SegmentsConfig, model: SegmentModel, warehouse: WarehouseResource, folders: PlatformFolders
) -> dg.MaterializeResult:  # type: ignore[type-arg]
    with warehouse.read() as connection:
        households = read_households(connection)
    scored = list(score(model, households, config.day(), config.batch_size))
    segments = summary(scored)
    name = "household_segments.csv"
    write_atomically(folders.home().reports / name, to_csv(scored))
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": len(scored),
            "sales_value": float(sum(segment.sales_value for segment in segments)),
            "batch_size": config.batch_size,
            "segments": dg.MetadataValue.md(to_markdown(segments)),
            "file": dg.MetadataValue.text(f"reports/{name} in the platform's home folder"),
        }
    )


segment_model_job = dg.define_asset_job(
    "segment_model_job", [household_segment_model], description="Trains the model of household segments.", tags=RUN_TAGS
)
household_segments_job = dg.define_asset_job(
    "household_segments_job",
    [household_segments],
    description="Says of each household which segment it is in.",
    tags=RUN_TAGS,
)
segments_refresh_job = dg.define_asset_job(
    "segments_refresh_job",
    [household_segment_model, household_segments],
    description="Trains the model and says of each household which segment it is in; or says so alone.",
    tags=RUN_TAGS,
)


def config_at(instant: datetime) -> SegmentsConfig:
    """For a run that is asked for at this instant: its day in New York, and a batch by the hour."""
    return SegmentsConfig(
        as_of=HOURS.local(instant).date().isoformat(), batch_size=SMALL_BATCH if HOURS.is_busy(instant) else BATCH
    )


def why_not_segments(instance: dg.DagsterInstance) -> str | None:
    """Why nobody is to ask for segments now: a run that makes them, or their model, is queued or at work."""
    jobs = (household_segments_job, segments_refresh_job, segment_model_job)
    return next(filter(None, (why_not_now(instance, job.name, Overlap.SKIP) for job in jobs)), None)


def is_there(context: dg.ScheduleEvaluationContext, key: dg.AssetKey) -> bool:
    """Whether the asset was ever built: on a fresh platform a schedule may be faster than its input."""
    return context.instance.get_latest_materialization_event(key) is not None


segment_model_weekly_schedule = dg.ScheduleDefinition(
    name="segment_model_weekly_schedule",
    job=segment_model_job,
    cron_schedule="0 5 * * 1",
    execution_timezone=BUSINESS_TIME_ZONE,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    should_execute=lambda context: (
        is_there(context, HOUSEHOLD_SPEND.key) and why_not_segments(context.instance) is None
    ),
    description="On Mondays at five in New York, once there are households to learn from.",
)


@dg.schedule(
    name="household_segments_four_hourly_schedule",
    job=household_segments_job,
    cron_schedule="0 */4 * * *",
    execution_timezone=BUSINESS_TIME_ZONE,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Every four hours while people are at work, in small batches while they are busy.",
)
def household_segments_four_hourly_schedule(
    context: dg.ScheduleEvaluationContext,
) -> dg.RunRequest | dg.SkipReason:
    at = context.scheduled_execution_time
    why_not = HOURS.why_closed(at) or why_not_segments(context.instance)
    if why_not:
        return dg.SkipReason(why_not)
    if not is_there(context, household_segment_model.key):
        return dg.SkipReason("There is no model yet; it comes by itself once there are households.")
    return dg.RunRequest(run_config=dg.RunConfig(ops={household_segments.op.name: config_at(at)}))
