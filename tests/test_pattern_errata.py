"""Forms that documents teach and that Dagster refuses or misunderstands, each beside the one that works.

An upgrade of Dagster that changes one of them fails here; docs/patterns has the rows.
"""

import importlib
import inspect
import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

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
