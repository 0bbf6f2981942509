"""Names every internal of Dagster that the daemon harness and the simulation rest on (docs/adr/0006).

When an upgrade of Dagster fails here, only `platform_shared/testing` has to follow; the message says what has moved.
"""

import ast
import importlib
import inspect
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

import platform_shared

TESTING = Path(str(platform_shared.__file__)).parent / "testing"
REACH_IN = ("daemon.py", "simulation.py")

IMPORTED: dict[str, tuple[str, ...]] = {
    "dagster._core.definitions.reconstruct.ReconstructableJob": (),
    "dagster._core.definitions.freshness.FreshnessState": (),
    "dagster._core.definitions.freshness.FreshnessStateChange": (
        "key",
        "new_state",
        "previous_state",
        "state_change_timestamp",
    ),
    "dagster._core.events.AssetMaterializationPlannedData": ("asset_key", "partition"),
    "dagster._core.events.StepMaterializationData": ("materialization",),
    "dagster._core.execution.backfill.PartitionBackfill": (),
    "dagster._core.execution.submit_asset_runs.submit_asset_run": (
        "run_id",
        "run_request",
        "run_request_index",
        "instance",
        "workspace_process_context",
        "workspace",
        "run_request_execution_data_cache",
        "debug_crash_flags",
        "logger",
    ),
    "dagster._core.launcher.sync_in_memory_run_launcher.SyncInMemoryRunLauncher": ("inst_data",),
    "dagster._core.remote_origin.InProcessCodeLocationOrigin": ("loadable_target_origin", "location_name"),
    "dagster._core.test_utils.create_run_for_test": ("instance", "job_name", "asset_selection", "status", "tags"),
    "dagster._core.test_utils.freeze_time": ("new_now",),
    "dagster._core.types.loadable_target_origin.LoadableTargetOrigin": ("executable_path", "module_name", "attribute"),
    "dagster._core.workspace.context.WorkspaceProcessContext": ("instance", "workspace_load_target"),
    "dagster._core.workspace.load_target.InProcessWorkspaceLoadTarget": ("origin",),
    "dagster._daemon.asset_daemon.AssetDaemon": ("settings", "pre_sensor_interval_seconds"),
    "dagster._daemon.auto_run_reexecution.event_log_consumer.EventLogConsumerDaemon": (),
    "dagster._daemon.backfill.execute_backfill_iteration": ("workspace_process_context", "logger"),
    "dagster._daemon.freshness.FreshnessDaemon": ("interval_seconds",),
    "dagster._daemon.run_coordinator.queued_run_coordinator_daemon.QueuedRunCoordinatorDaemon": ("interval_seconds",),
    "dagster._daemon.sensor.execute_sensor_iteration": (
        "workspace_process_context",
        "logger",
        "threadpool_executor",
        "submit_threadpool_executor",
        "sensor_tick_futures",
    ),
    "dagster._daemon.sensor.get_elapsed": ("state",),
    "dagster._daemon.utils.DaemonErrorCapture": (),
    "dagster._scheduler.scheduler.launch_scheduled_runs": (
        "workspace_process_context",
        "logger",
        "end_datetime_utc",
        "iteration_times",
        "threadpool_executor",
        "scheduler_run_futures",
        "max_catchup_runs",
        "max_tick_retries",
    ),
}
"""What they import, and the parameters that they pass by name or position."""

USED: dict[str, tuple[str, ...]] = {
    "dagster._core.definitions.reconstruct.ReconstructableJob.get_definition.cache_clear": (),
    "dagster._core.definitions.reconstruct.ReconstructableJob.get_repository_definition.cache_clear": (),
    "dagster._core.execution.backfill.PartitionBackfill.from_asset_partitions": (
        "backfill_id",
        "asset_graph",
        "partition_names",
        "asset_selection",
        "backfill_timestamp",
        "dynamic_partitions_store",
    ),
    "dagster._core.launcher.sync_in_memory_run_launcher.SyncInMemoryRunLauncher.launch_run": ("context",),
    "dagster._core.storage.noop_compute_log_manager.NoOpComputeLogManager": (),
    "dagster._core.workspace.context.WorkspaceProcessContext.create_request_context": (),
    "dagster._daemon.asset_daemon.AssetDaemon._run_iteration_impl": (
        "workspace_process_context",
        "threadpool_executor",
        "amp_tick_futures",
        "debug_crash_flags",
    ),
    "dagster._daemon.auto_run_reexecution.event_log_consumer.EventLogConsumerDaemon.run_iteration": (
        "workspace_process_context",
    ),
    "dagster._daemon.freshness.FreshnessDaemon.run_iteration": ("workspace_process_context",),
    "dagster._daemon.run_coordinator.queued_run_coordinator_daemon.QueuedRunCoordinatorDaemon.run_iteration": (
        "workspace_process_context",
        "fixed_iteration_time",
    ),
    "dagster._daemon.utils.DaemonErrorCapture.process_exception": ("exc_info", "logger", "log_message"),
    "dagster.DagsterInstance.add_backfill": (),
    "dagster.DagsterInstance.all_logs": ("run_id", "of_type"),
    "dagster.DagsterInstance.get_backfills": (),
    "dagster.DagsterInstance.get_instigator_state": ("origin_id", "selector_id"),
    "dagster.DagsterInstance.get_latest_asset_check_evaluation_record": ("asset_check_key",),
    "dagster.DagsterInstance.get_ticks": ("origin_id", "selector_id", "limit"),
    "dagster.DagsterInstance.optimize_for_webserver": ("statement_timeout", "pool_recycle", "max_overflow"),
    "dagster.DagsterInstance.report_dagster_event": (),
    "dagster.DagsterInstance.report_run_canceled": (),
    "dagster.DagsterInstance.run_coordinator": (),
    "dagster.DagsterInstance.run_launcher": (),
    "dagster.DagsterInstance.scheduler": (),
    "dagster.DagsterInstance.start_schedule": (),
    "dagster.DagsterInstance.start_sensor": (),
    "dagster.DagsterInstance.stop_schedule": ("schedule_origin_id", "schedule_selector_id", "remote_schedule"),
    "dagster.DagsterInstance.stop_sensor": ("instigator_origin_id", "selector_id", "remote_sensor"),
}
"""What they call on these, and on the instance beyond what is marked public."""


def find(name: str) -> Any:
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:end]))
        except ModuleNotFoundError:
            continue
        for part in parts[end:]:
            found = getattr(found, part)
        return found
    raise ModuleNotFoundError(name)


@pytest.mark.parametrize("name", [*IMPORTED, *USED])
def test_an_internal_is_where_it_was(name: str) -> None:
    try:
        found = find(name)
    except (AttributeError, ModuleNotFoundError) as error:
        pytest.fail(f"dagster {dg.__version__} has moved {name} ({error}): testing/ has to follow.")
    wanted = {**IMPORTED, **USED}[name]
    if wanted:
        # A record of Dagster's has its fields as annotations, and takes any arguments.
        known = {*inspect.signature(found).parameters, *getattr(found, "__annotations__", ())}
        gone = [parameter for parameter in wanted if parameter not in known]
        assert not gone, f"dagster {dg.__version__} has renamed {gone} of {name}: testing/ has to follow."


def test_this_list_is_what_they_import() -> None:
    imports = {
        f"{node.module}.{alias.name}"
        for name in REACH_IN
        for node in ast.walk(ast.parse((TESTING / name).read_text()))
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("dagster.")
        for alias in node.names
    }
    assert imports == IMPORTED.keys()


def test_no_other_module_for_tests_imports_internals() -> None:
    others = [path for path in TESTING.glob("*.py") if path.name not in REACH_IN]
    assert others
    assert [path.name for path in others if "dagster._" in path.read_text()] == []
