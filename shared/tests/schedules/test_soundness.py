"""A series waits for the blocking checks of its inputs, as conditions do."""

from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from platform_shared.partitions import BUSINESS_DAYS, COMPLETE_DAYS
from platform_shared.schedules import (
    ONLY_DUE_TAGS,
    Input,
    Limits,
    Series,
    build_partitions,
    gap_healing_sensor,
    same_day,
)
from platform_shared.schedules.soundness import Soundness, soundness
from platform_shared.tags import LOCATION_TAG

NOW = datetime(2026, 3, 3, 17, tzinfo=UTC)
MART, REPORT = dg.AssetKey("mart"), dg.AssetKey("report")
SERIES = Series(REPORT, "report_job", COMPLETE_DAYS, (Input(MART, same_day),), limits=Limits(rest=timedelta(0)))
SOUND = {"rows": True, "plausible": True}
RUN = {LOCATION_TAG: "batch", "dagster/max_retries": "0"}


@pytest.fixture
def daemon(daemon_harness):
    @dg.asset(
        key=MART,
        partitions_def=BUSINESS_DAYS,
        check_specs=[
            dg.AssetCheckSpec("rows", asset=MART, blocking=True),
            dg.AssetCheckSpec("plausible", asset=MART),
        ],
    )
    def mart():
        yield dg.MaterializeResult(
            check_results=[dg.AssetCheckResult(check_name=name, passed=passed) for name, passed in SOUND.items()]
        )

    @dg.asset_check(asset=mart, blocking=True)
    def counted():
        return dg.AssetCheckResult(passed=SOUND["rows"])

    @dg.multi_asset(
        specs=[dg.AssetSpec(REPORT, deps=[MART], partitions_def=COMPLETE_DAYS, skippable=True)],
        backfill_policy=dg.BackfillPolicy.single_run(),
        pool="batch_report",
    )
    def report(context: dg.AssetExecutionContext):
        yield from build_partitions(context, SERIES, dict.fromkeys, lambda key, _: {})

    location = dg.Definitions(
        [mart, report],
        asset_checks=[counted],
        jobs=[dg.define_asset_job("report_job", [report])],
        sensors=[gap_healing_sensor("batch", SERIES)],
    )
    SOUND.update(rows=True, plausible=True)
    return daemon_harness({"batch": location}, NOW)


def build_mart(daemon, day):
    daemon.launch(MART, partition=day, tags=RUN)
    daemon.execute_runs(may_fail=True)


def look(daemon):
    (tick,) = daemon.tick_sensors("report_gap_sensor")
    daemon.execute_runs()
    return tick.skip_reason, daemon.materialized(REPORT)


def test_what_reads_an_input_waits_until_its_blocking_check_is_green_again(daemon):
    SOUND["rows"] = False
    build_mart(daemon, "2026-03-02")
    said, built = look(daemon)
    assert said == "An input has failed a blocking check, and what reads it waits: mart: rows."
    assert built == []
    SOUND["rows"] = True
    build_mart(daemon, "2026-03-02")
    assert look(daemon) == (None, ["2026-03-02"])


def test_a_check_that_blocks_nothing_holds_nothing_up(daemon):
    SOUND["plausible"] = False
    build_mart(daemon, "2026-03-02")
    assert look(daemon) == (None, ["2026-03-02"])


def test_a_run_of_only_what_is_due_builds_nothing_of_it_and_a_persons_run_does(daemon):
    SOUND["rows"] = False
    build_mart(daemon, "2026-03-02")
    daemon.launch(REPORT, partition="2026-03-02", tags={**RUN, **ONLY_DUE_TAGS})
    daemon.execute_runs()
    assert daemon.materialized(REPORT) == []
    daemon.launch(REPORT, partition="2026-03-02", tags=RUN)
    daemon.execute_runs()
    assert daemon.materialized(REPORT) == ["2026-03-02"]


def test_what_is_being_built_is_waited_for(daemon):
    run = daemon.instance.create_run_for_job(dg.GraphDefinition("nightly").to_job(), status=dg.DagsterRunStatus.STARTED)
    event = dg.AssetMaterialization(MART, partition="2026-03-02")
    daemon.instance.report_dagster_event(materialization(event), run.run_id)
    assert soundness(daemon.instance, SERIES) == Soundness(building=("mart",))
    assert look(daemon) == ("An input is being built, and its checks are yet to come: mart.", [])
    daemon.instance.report_run_failed(daemon.instance.get_run_by_id(run.run_id))
    assert look(daemon) == (None, ["2026-03-02"])


def materialization(event):
    from dagster._core.events import DagsterEvent, StepMaterializationData

    return DagsterEvent(
        dg.DagsterEventType.ASSET_MATERIALIZATION.value, "nightly", event_specific_data=StepMaterializationData(event)
    )


def test_the_names_of_dagster_that_it_rests_on():
    """An upgrade that moves one says which."""
    for name in ("all_logs", "get_latest_asset_check_evaluation_record"):
        assert hasattr(dg.DagsterInstance, name), f"dagster has moved {name}(), by which a series waits for checks."
    assert hasattr(dg.EventLogEntry, "asset_check_evaluation")
