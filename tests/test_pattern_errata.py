"""Forms that documents teach and that Dagster refuses or misunderstands, each beside the one that works.

An upgrade of Dagster that changes one of them fails here; docs/patterns has the rows.
"""

import importlib
import inspect
import json
import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import Mock

import dagster as dg
import pytest
from dagster_aws.s3 import S3Resource

from platform_shared.dbt.manifest import StaleManifestError, checked_manifest
from platform_shared.ingestion.bucket import Bucket
from platform_shared.object_storage import ObjectStorage
from platform_shared.testing.s3_server import S3Server

AC = dg.AutomationCondition
KEY = dg.AssetKey("orders")
CONFIG = {"ops": {"orders": {"config": {"day": "2025-03-03"}}}}
UNSET = "NOT_SET_ANYWHERE"
NOWHERE = Path("nowhere")


class OrdersConfig(dg.Config):
    day: str


@dg.asset
def orders(config: OrdersConfig) -> None: ...


orders_job = dg.define_asset_job("orders_job", [orders])
definitions = dg.Definitions([orders], jobs=[orders_job])


class Api(dg.ConfigurableResource):
    token: str = ""


@dg.resource(config_schema={"token": str})
def old_api(context: Any) -> str:
    return str(context.resource_config["token"])


def ticked(function: Callable[..., Any], **target: Any) -> Any:
    """What a tick of a sensor with this function comes to."""
    sensor = dg.sensor(name="s", **target)(function)
    with dg.DagsterInstance.ephemeral() as instance:
        return sensor.evaluate_tick(dg.build_sensor_context(instance=instance))


def moved_twice(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    context.update_cursor("1")
    return dg.SensorResult(cursor="1")


def moved_once(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    return dg.SensorResult(cursor="1")


def asks(context: dg.SensorEvaluationContext) -> dg.RunRequest:
    return dg.RunRequest(run_key="1")


def plain() -> dg.RunRequest:
    return dg.RunRequest()


def interval(seconds: int) -> int:
    return dg.sensor(job=orders_job, minimum_interval_seconds=seconds)(asks).minimum_interval_seconds + 0


def follows(context: dg.SensorEvaluationContext, event: dg.EventLogEntry) -> dg.RunRequest:
    return dg.RunRequest(run_key="1")


def asset_sensor_ticked(direct: bool) -> Any:
    sensor = dg.asset_sensor(asset_key=KEY, job=orders_job, name="s")(follows)
    with dg.DagsterInstance.ephemeral() as instance:
        instance.report_runless_asset_event(dg.AssetMaterialization(KEY))
        context = dg.build_sensor_context(instance=instance, definitions=definitions)
        return sensor(context) if direct else sensor.evaluate_tick(context).run_requests


def token_seen(**given: Any) -> Any:
    return dg.build_sensor_context(**given).resources.api.token


def built(function: Any, **config: Any) -> Any:
    with dg.build_resources({"api": function}, resource_config=config or None) as resources:
        return resources.api


def git_project(token: str | None = None, **attributes: Any) -> Any:
    """What a `DbtProjectComponent` with these attributes in YAML makes of a project in git."""
    from dagster_dbt import DbtProjectComponent

    project = {"repo_url": "https://git.invalid/shop.git", "repo_relative_path": "dbt", "target": "dev"}
    given = {"project": project | ({"token": token} if token else {}), **attributes}
    model = DbtProjectComponent.get_model_cls().model_validate(given)
    return DbtProjectComponent.resolve_from_model(dg.ResolutionContext.default(), model).project


def dbt_models(manifest: Path) -> Any:
    from dagster_dbt import dbt_assets

    return dbt_assets(manifest=manifest)(lambda context: None)


def says_what_to_run(project: Path) -> str:
    try:
        return str(checked_manifest(project))
    except StaleManifestError as error:
        return str(error)


def scheduled(function: Callable[..., Any], **options: Any) -> Any:
    """What a tick of a schedule with this function asks for."""
    schedule = dg.schedule(cron_schedule="0 * * * *", job=orders_job, name="s", **options)(function)
    at = datetime(2026, 3, 2, 5, tzinfo=UTC)
    with dg.DagsterInstance.ephemeral() as instance:
        return schedule.evaluate_tick(dg.build_schedule_context(instance, scheduled_execution_time=at)).run_requests


def called(function: Callable[..., Any], **options: Any) -> Any:
    schedule = dg.schedule(cron_schedule="0 * * * *", job=orders_job, name="s", **options)(function)
    return schedule(dg.build_schedule_context())


def bare_config(context: dg.ScheduleEvaluationContext) -> Any:
    return dg.RunConfig(ops={})


def request(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    return dg.RunRequest(run_config=CONFIG)


MARCH = dg.DailyPartitionsDefinition("2026-03-01", end_date="2026-03-04")


def range_run(*made: Any) -> bool:
    """A run over three partitions at once."""
    ends = ("2026-03-01", "2026-03-03")
    tags = dict(zip(("dagster/asset_partition_range_start", "dagster/asset_partition_range_end"), ends, strict=True))
    with dg.DagsterInstance.ephemeral() as instance:
        return dg.materialize(made, tags=tags, instance=instance).success


@dg.asset(partitions_def=MARCH, backfill_policy=dg.BackfillPolicy.single_run())
def valued() -> int:
    return 1


@dg.asset(partitions_def=MARCH, backfill_policy=dg.BackfillPolicy.single_run())
def unvalued() -> None: ...


@dg.asset
def table() -> None: ...


@dg.asset
def by_value(table: Any) -> None: ...


@dg.asset(deps=[table])
def by_name() -> None: ...


@dg.asset
def undefined_input(nowhere: Any) -> None: ...


@dg.asset_check(asset=table)
def by_value_check(table: Any) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=True)


@dg.asset_check(asset=table)
def by_query_check() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=True)


@dg.asset
def misspelt(api: Api) -> None:
    api.tokn()  # type: ignore[attr-defined]


@dg.asset
def old_style(context: dg.AssetExecutionContext) -> None:
    context.op_execution_context.op_config["day"]


def materialized(*made: Any, **options: Any) -> bool:
    with dg.DagsterInstance.ephemeral() as instance:
        return dg.materialize(made, instance=instance, **options).success


def loads(*made: Any, **more: Any) -> bool:
    dg.Definitions.validate_loadable(dg.Definitions(made, **more))
    return True


def error_of(function: Callable[[], Any]) -> str:
    try:
        return str(function())
    except Exception as error:
        return type(error).__name__


def first_week(**options: Any) -> str:
    return dg.WeeklyPartitionsDefinition("2025-01-06", **options).get_partition_keys()[0]


def newest_day(**options: Any) -> str:
    days = dg.DailyPartitionsDefinition("2026-03-01", timezone="America/New_York", **options)
    return days.get_partition_keys(current_time=datetime(2026, 3, 3, 17, tzinfo=UTC))[-1]


def context() -> dg.SensorEvaluationContext:
    return dg.build_sensor_context()


def bound(request: dg.RunRequest) -> bool:
    return bool(dg.validate_run_config(definitions.resolve_job_def("orders_job"), request.run_config))


@dataclass(frozen=True)
class Erratum:
    """`says` matches what `wrong` comes to: the error's type and words, or the value; `right` returns `gives`."""

    wrong: Callable[[], Any]
    says: str
    right: Callable[[], Any]
    gives: Any


ERRATA = {
    "A15 an argument that SensorResult does not have is dropped": Erratum(
        lambda: dg.SensorResult(runs=[dg.RunRequest()]).run_requests,
        r"(None|\[\])$",
        lambda: len(dg.SensorResult(run_requests=[dg.RunRequest()]).run_requests or ()),
        1,
    ),
    "A33 a reason to skip beside requests": Erratum(
        lambda: dg.SensorResult(skip_reason="quiet", run_requests=[dg.RunRequest()]),
        "CheckError: .*single skip reason",
        lambda: str(dg.SensorResult(skip_reason="quiet", cursor="1").skip_reason.skip_message),
        "quiet",
    ),
    "A38 a schedule without a target": Erratum(
        lambda: dg.schedule(cron_schedule="0 * * * *")(plain),
        "CheckError: .*Must provide target, job, or job_name",
        lambda: dg.schedule(cron_schedule="0 * * * *", job=orders_job, name="s")(plain).job_name,
        "orders_job",
    ),
    "A39 an argument that RunRequest does not have is dropped": Erratum(
        lambda: dg.RunRequest(ops=CONFIG["ops"]).run_config,
        r"\{\}$",
        lambda: dg.RunRequest(run_config=dg.RunConfig(ops={"orders": OrdersConfig(day="2025-03-03")})).run_config[
            "ops"
        ],
        CONFIG["ops"],
    ),
    "B06 there is no AssetSensor": Erratum(
        lambda: dg.AssetSensor,
        "AttributeError: .*AssetSensor",
        lambda: dg.asset_sensor(asset_key=KEY, job=orders_job, name="s")(follows).name,
        "s",
    ),
    "B07 the key of an asset sensor as a list": Erratum(
        lambda: dg.asset_sensor(asset_key=["orders"], job=orders_job)(follows),
        'ParameterCheckError: Param "asset_key" is not a AssetKey',
        lambda: dg.asset_sensor(asset_key=dg.AssetKey(["orders"]), job=orders_job)(follows).asset_key,
        KEY,
    ),
    "B09 the resource is not the client": Erratum(
        lambda: S3Resource(region_name="us-east-1").list_objects_v2,
        "AttributeError: .*has no attribute 'list_objects_v2'",
        lambda: callable(ObjectStorage(endpoint_url="http://s3.invalid").get_client().list_objects_v2),
        True,
    ),
    "B16 the cursor moved twice": Erratum(
        lambda: ticked(moved_twice, job=orders_job),
        "DagsterInvariantViolationError: .*cursor",
        lambda: ticked(moved_once, job=orders_job).cursor,
        "1",
    ),
    "B17 a request without a target": Erratum(
        lambda: ticked(asks),
        "Exception: .*lacking a specified target",
        lambda: len(ticked(asks, job=orders_job).run_requests),
        1,
    ),
    "B18 configuration for an op of another name": Erratum(
        lambda: bound(dg.RunRequest(run_config={"ops": {"process_orders": CONFIG["ops"]["orders"]}})),
        "DagsterInvalidConfigError: .*process_orders",
        lambda: bound(dg.RunRequest(run_config=CONFIG)),
        True,
    ),
    "B25 a selection of names": Erratum(
        lambda: ticked(lambda context: dg.RunRequest(asset_selection=["orders"]), target=[orders]),
        "CheckError: .*Expected .*AssetKey",
        lambda: len(ticked(lambda context: dg.RunRequest(asset_selection=[KEY]), target=[orders]).run_requests),
        1,
    ),
    "B28 a cursor that is no text": Erratum(
        lambda: context().update_cursor(1767225600.0),
        'ParameterCheckError: Param "cursor" is not a str',
        lambda: json.loads(json.dumps({"at": 1767225600.0}))["at"],
        1767225600.0,
    ),
    "B35 a variable of the environment for a plain str": Erratum(
        lambda: built(old_api, api={"config": {"token": {"env": "HOME"}}}),
        "DagsterInvalidConfigError: .*token",
        lambda: built(Api(token=dg.EnvVar("HOME"))).token,
        os.environ.get("HOME"),
    ),
    "B36 an interval from EnvVar.int is 0": Erratum(
        lambda: interval(dg.EnvVar.int(UNSET)),
        "0$",
        lambda: interval(int(os.getenv(UNSET, "300"))),
        300,
    ),
    "B38 there is no package dagster_test": Erratum(
        lambda: importlib.import_module("dagster_test"),
        "ModuleNotFoundError: No module named 'dagster_test'",
        lambda: callable(importlib.import_module("moto").mock_aws),
        True,
    ),
    "B39 definitions do not bring their resources into the context": Erratum(
        lambda: token_seen(definitions=dg.Definitions([orders], resources={"api": Api(token="t")})),
        "DagsterUnknownResourceError",
        lambda: token_seen(resources={"api": Api(token="t")}),
        "t",
    ),
    "B40 an asset sensor that is called is a generator": Erratum(
        lambda: inspect.isgenerator(asset_sensor_ticked(direct=True)),
        "True$",
        lambda: [request.run_key for request in asset_sensor_ticked(direct=False)],
        ["1"],
    ),
    "B47 a logger with arguments of its own": Erratum(
        lambda: context().log.info("looked", cursor="1"),
        "TypeError: .*unexpected keyword argument 'cursor'",
        lambda: context().log.info("looked from %s", "1", extra={"sensor_cursor": "1"}),
        None,
    ),
    "B48 an error in the words of the logger hides the one that happened": Erratum(
        lambda: context().log.error("failed", error="why", stacktrace=""),
        "TypeError: .*unexpected keyword argument 'error'",
        lambda: context().log.exception("failed"),
        None,
    ),
    "B49 the last run key is not a memory": Erratum(
        lambda: dg.build_sensor_context(cursor="1").last_run_key,
        "None$",
        lambda: dg.build_sensor_context(cursor="1").cursor,
        "1",
    ),
    "D07 a cron tick without a cron": Erratum(
        lambda: AC.cron_tick_passed(),
        "TypeError: .*missing 1 required positional argument: 'cron_schedule'",
        lambda: AC.cron_tick_passed("0 9 * * *", "America/New_York").name,
        "cron_tick_passed(cron_schedule=0 9 * * *, cron_timezone=America/New_York)",
    ),
    "D18 a selection as text": Erratum(
        lambda: AC.eager().ignore("orders"),
        'ParameterCheckError: Param "selection" is not a AssetSelection',
        lambda: AC.eager().ignore(dg.AssetSelection.assets("orders")) == AC.eager(),
        False,
    ),
    "D19 the condition of what is downstream, in the singular": Erratum(
        lambda: AC.any_downstream_condition(),
        "AttributeError: .*any_downstream_condition",
        lambda: AC.any_downstream_conditions().name,
        "ANY_DOWNSTREAM_CONDITIONS",
    ),
    "D23 updates since a cron without a cron": Erratum(
        lambda: AC.all_deps_updated_since_cron(),
        "TypeError: .*missing 1 required positional argument: 'cron_schedule'",
        lambda: AC.all_deps_updated_since_cron("0 9 * * *").get_label(),
        "all_deps_updated_since_cron(0 9 * * *, UTC)",
    ),
    "F31 dbt's target beside the project": Erratum(
        lambda: git_project(dbt={"target": "dev"}),
        "ValidationError: .*dbt\n.*Extra inputs are not permitted",
        lambda: git_project().target,
        "dev",
    ),
    "F32 a token that is not there": Erratum(
        lambda: git_project(token=f"{{{{ env.{UNSET} }}}}").token,
        "None$",
        lambda: git_project(token='{{ env("HOME") }}').token,
        os.environ.get("HOME"),
    ),
    "F34 a manifest that nobody has prepared": Erratum(
        lambda: dbt_models(NOWHERE / "target/manifest.json"),
        "DagsterDbtManifestNotFoundError: .*does not exist",
        lambda: says_what_to_run(NOWHERE).partition(" (")[0],
        "The dbt project nowhere has no prepared manifest. Run `make manifest`",
    ),
    "A02 a misspelt asset in a job": Erratum(
        lambda: loads(orders, jobs=[dg.define_asset_job("j", ["ordrs"])]),
        "DagsterInvalidDefinitionError",
        lambda: loads(orders, jobs=[dg.define_asset_job("j", [orders])]),
        True,
    ),
    "A03 a package is no module with assets": Erratum(
        lambda: len(dg.load_assets_from_modules([ModuleType("package")])),
        "0$",
        lambda: len(dg.load_assets_from_modules([sys.modules[__name__]])) > 5,
        True,
    ),
    "A05 a run configuration with a run key": Erratum(
        lambda: dg.RunConfig(run_key="1"),
        "TypeError: .*unexpected keyword argument 'run_key'",
        lambda: scheduled(lambda context: dg.RunRequest(run_key="1", run_config=CONFIG))[0].run_key,
        "1",
    ),
    "A06 a bare run configuration from a schedule": Erratum(
        lambda: scheduled(bare_config),
        "CheckError: .*is not one of \\['RunRequest', 'SkipReason'\\]",
        lambda: scheduled(request)[0].run_config,
        CONFIG,
    ),
    "A09 should_execute does not count when the schedule is called": Erratum(
        lambda: called(request, should_execute=lambda context: False).run_config == CONFIG,
        "True$",
        lambda: len(scheduled(request, should_execute=lambda context: False)),
        0,
    ),
    "A25 a multi-asset sensor with keys": Erratum(
        lambda: dg.multi_asset_sensor(asset_keys=[KEY]),
        "TypeError: .*unexpected keyword argument 'asset_keys'",
        lambda: dg.multi_asset_sensor(monitored_assets=[KEY], job=orders_job, name="s")(asks).name,
        "s",
    ),
    "A26 the newest materializations are of a method": Erratum(
        lambda: dg.MultiAssetSensorEvaluationContext.latest_materialization_by_key,
        "AttributeError: .*latest_materialization_by_key",
        lambda: callable(dg.MultiAssetSensorEvaluationContext.latest_materialization_records_by_key),
        True,
    ),
    "B19 the configuration of an op that has none": Erratum(
        lambda: materialized(old_style),
        "TypeError: 'NoneType' object is not subscriptable",
        lambda: materialized(orders, run_config=CONFIG),
        True,
    ),
    "B20 an input that nobody makes": Erratum(
        lambda: loads(undefined_input),
        "DagsterInvalidDefinitionError: Input asset .*nowhere.* is not produced",
        lambda: loads(by_name, table),
        True,
    ),
    "B21 an asset sensor with several keys": Erratum(
        lambda: dg.asset_sensor(asset_keys=[["orders"]], job=orders_job),
        "TypeError: .*unexpected keyword argument 'asset_keys'",
        lambda: dg.sensor(target=[orders], name="s")(asks).name,
        "s",
    ),
    "B22 assets by their names": Erratum(
        lambda: dg.RunRequest(asset_selection=["orders"]),
        "CheckError: .*Expected .*AssetKey",
        lambda: dg.RunRequest(asset_selection=[KEY]).asset_selection,
        [KEY],
    ),
    "B42 a backfill of the latest only": Erratum(
        lambda: dg.BackfillPolicy.latest_only(),
        "AttributeError: .*latest_only",
        lambda: dg.BackfillPolicy.multi_run(7).max_partitions_per_run,
        7,
    ),
    "B43 a value for several partitions at once": Erratum(
        lambda: range_run(valued),
        "CheckError: .*does not support persisting an output associated with multiple partitions",
        lambda: range_run(unvalued),
        True,
    ),
    "B44 a cursor read as a dict": Erratum(
        lambda: (dg.build_sensor_context(cursor='{"orders": 1}').cursor or {})["orders"],
        "TypeError: string indices must be integers",
        lambda: json.loads(dg.build_sensor_context(cursor='{"orders": 1}').cursor or "{}")["orders"],
        1,
    ),
    "B45 a cursor written as a dict": Erratum(
        lambda: context().update_cursor({"orders": 1}),
        'ParameterCheckError: Param "cursor" is not a str',
        lambda: context().update_cursor(json.dumps({"orders": 1})),
        None,
    ),
    "F04 the value of an asset that gives none": Erratum(
        lambda: materialized(table, by_value),
        "FileNotFoundError",
        lambda: materialized(table, by_name),
        True,
    ),
    "F07 a tag with a space": Erratum(
        lambda: dg.AssetSpec("x", tags={"tier": "very high"}),
        "DagsterInvalidDefinitionError: Invalid tag value",
        lambda: dg.AssetSpec("x", tags={"tier": "very-high"}).tags["tier"],
        "very-high",
    ),
    "F08 an owner that is neither a team nor an address": Erratum(
        lambda: dg.AssetSpec("x", owners=["batch"]),
        "DagsterInvalidDefinitionError: Invalid owner",
        lambda: list(dg.AssetSpec("x", owners=["team:batch"]).owners),
        ["team:batch"],
    ),
    "F12 a cron with seconds": Erratum(
        lambda: dg.ScheduleDefinition(job=orders_job, cron_schedule="0 0 9 * * *", name="s"),
        "DagsterInvalidDefinitionError: .*5 fields",
        lambda: dg.ScheduleDefinition(job=orders_job, cron_schedule="0 9 * * *", name="s").cron_schedule,
        "0 9 * * *",
    ),
    "F18 a week that begins on a Monday": Erratum(
        lambda: first_week(),
        "2025-01-12$",
        lambda: first_week(day_offset=1),
        "2025-01-06",
    ),
    "F19 the same name twice": Erratum(
        lambda: dg.StaticPartitionsDefinition(["a", "a"]),
        "DagsterInvalidDefinitionError: Partition keys must be unique",
        lambda: len(dg.StaticPartitionsDefinition(["a", "b"]).get_partition_keys()),
        2,
    ),
    "F20 today is no partition unless it is said": Erratum(
        lambda: newest_day(),
        "2026-03-02$",
        lambda: newest_day(end_offset=1),
        "2026-03-03",
    ),
    "F24 three dimensions": Erratum(
        lambda: dg.MultiPartitionsDefinition(dict.fromkeys("abc", MARCH)),
        "DagsterInvalidInvocationError: .*only supports multi-partitions definitions with 2",
        lambda: len(dg.MultiPartitionsDefinition(dict.fromkeys("ab", MARCH)).get_partition_keys()),
        9,
    ),
    "F28 a resource that is a Mock knows every method": Erratum(
        lambda: materialized(misspelt, resources={"api": Mock()}),
        "True$",
        lambda: error_of(lambda: materialized(misspelt, resources={"api": Api()})),
        "AttributeError",
    ),
    "F29 a check that asks for a value": Erratum(
        lambda: materialized(table, by_value_check),
        "FileNotFoundError",
        lambda: materialized(table, by_query_check),
        True,
    ),
    "F54 a required field that is left out": Erratum(
        lambda: OrdersConfig(),
        "ValidationError: .*day",
        lambda: OrdersConfig(day="2025-03-03").day,
        "2025-03-03",
    ),
    "F17 an ellipsis for the configuration": Erratum(
        lambda: dg.RunRequest(run_key="1", run_config={...}),
        'ParameterCheckError: Param "run_config"',
        lambda: bound(dg.RunRequest(run_key="1", run_config=CONFIG)),
        True,
    ),
    "F17 an instant in a cursor": Erratum(
        lambda: json.dumps({"a.csv": datetime(2025, 3, 3, tzinfo=UTC)}),
        "TypeError: Object of type datetime is not JSON serializable",
        lambda: json.dumps({"a.csv": datetime(2025, 3, 3, tzinfo=UTC).isoformat()}),
        '{"a.csv": "2025-03-03T00:00:00+00:00"}',
    ),
}


@pytest.mark.filterwarnings("ignore::dagster.BetaWarning")
@pytest.mark.parametrize("erratum", ERRATA.values(), ids=ERRATA.keys())
def test_the_wrong_form_fails_and_the_right_one_works(erratum: Erratum) -> None:
    try:
        came = str(erratum.wrong())
    except Exception as error:
        came = f"{type(error).__name__}: {error}"
    assert re.match(erratum.says, came, re.DOTALL), came
    assert erratum.right() == erratum.gives


def test_an_empty_prefix_has_no_contents(s3_server: S3Server) -> None:
    """B10: S3 leaves the list out."""
    s3_server.make_bucket("shop")
    client = ObjectStorage().get_client()
    with pytest.raises(KeyError, match="Contents"):
        client.list_objects_v2(Bucket="shop", Prefix="nothing/")["Contents"]
    assert list(Bucket(client, "shop", "nothing/").walk()) == []


@pytest.mark.filterwarnings("ignore::dagster.BetaWarning")
def test_a_token_that_is_called_for_by_name_says_so_when_it_is_not_there() -> None:
    """F32"""
    with pytest.raises(Exception, match=f"Environment variable {UNSET} is not set"):
        git_project(token=f'{{{{ env("{UNSET}") }}}}')
