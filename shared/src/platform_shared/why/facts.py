"""What the answers say, as values: no words yet, and nothing of GraphQL beyond this module."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from platform_shared.alerts.definitions import owners
from platform_shared.freshness import in_words

Path = tuple[str, ...]
"""An asset's key."""


class Said(StrEnum):
    """What a part of a condition said. Not asked: an earlier part had ruled it out, which is not a no."""

    YES = "yes"
    NO = "no"
    SOME = "some"
    NOT_ASKED = "not asked"


@dataclass(frozen=True)
class Part:
    """A part of a condition as it was evaluated, about `asset`, or about its `check`.

    `true` of `asked` partitions said yes (`asked` is None for all of them); an unpartitioned asset counts as one.
    `partitions` names those that said yes, where somebody has asked for their names.
    """

    id: str
    label: str | None
    text: str
    operator: str
    asset: Path
    check: str | None
    partitioned: bool
    true: int
    asked: int | None
    children: tuple["Part", ...] = ()
    partitions: tuple[str, ...] = ()
    said: Said = Said.NOT_ASKED


@dataclass(frozen=True)
class Evaluation:
    """A record of an evaluation: it is written when an answer changes or something is requested."""

    id: str
    at: datetime
    requested: int
    run_ids: tuple[str, ...]
    condition: Part


@dataclass(frozen=True)
class Who:
    """An asset, whose it is, and the location that makes it."""

    asset: Path
    owners: tuple[str, ...]
    location: str

    @property
    def name(self) -> str:
        """The key as people write it."""
        return "/".join(self.asset)


@dataclass(frozen=True)
class Check:
    """A blocking check, and its result on the newest materialization: None if there is none yet."""

    name: str
    status: str | None
    run_id: str | None
    at: datetime | None
    description: str | None = None

    @property
    def failed(self) -> bool:
        """Whether it stops what is downstream."""
        return self.status in ("FAILED", "EXECUTION_FAILED")


@dataclass(frozen=True)
class Parent:
    """An input: when it was last built, which blocking checks it has, and which runs or backfills build it now.

    `failed_run`: its newest run, if that failed and did not build it.
    """

    who: Who
    materialized: datetime | None
    checks: tuple[Check, ...]
    building: tuple[str, ...] = ()
    failed_run: str | None = None


@dataclass(frozen=True)
class Instigator:
    """A sensor or schedule (`kind`) that may ask for the asset, its last tick, and the error of that."""

    kind: str
    name: str
    location: str
    running: bool
    looked: datetime | None
    error: str | None


@dataclass(frozen=True)
class FailedRun:
    """The asset's newest run, which failed, also while it is being tried again. `tries` of `allowed` are used;
    `will_retry`: the instance tries again."""

    run_id: str
    at: datetime
    error: str
    tries: int
    allowed: int
    will_retry: bool


@dataclass(frozen=True)
class Facts:
    """All that is known of an asset. `who` is None for one that no loaded location defines.

    `sensors` evaluate its condition; `others` ask for it or for a job with it in any other way. `upstream` is all that
    it comes from, its parents included.
    """

    asset: Path
    now: datetime
    who: Who | None
    known: tuple[str, ...]
    location_errors: Mapping[str, str]
    condition: str | None = None
    skipped: bool = False
    materializable: bool = True
    partitioned: bool = False
    materialized: datetime | None = None
    policy: str | None = None
    freshness: str | None = None
    sensors: tuple[Instigator, ...] = ()
    others: tuple[Instigator, ...] = ()
    automation_heartbeat: datetime | None = None
    checks: tuple[Check, ...] = ()
    parents: tuple[Parent, ...] = ()
    upstream: tuple[Parent, ...] = ()
    building: tuple[str, ...] = ()
    evaluations: tuple[Evaluation, ...] = ()
    failed: FailedRun | None = None
    partition: str | None = None


# What comes before is the same for all: the command that failed.
_DBT_ERRORS = "Errors parsed from dbt logs:"
_OF_PARTITION = {"TRUE": Said.YES, "FALSE": Said.NO}


def evaluation_of(record: Mapping[str, Any], answers: Mapping[str, str] | None = None) -> Evaluation:
    """A record; `answers` are those of one partition, by node, and count for parts about the asset itself."""
    nodes = {node["uniqueId"]: node for node in record["evaluationNodes"]}
    root = record["rootUniqueId"]
    target = _entity(nodes[root]["entityKey"])[0]
    return Evaluation(
        str(record["evaluationId"]),
        instant(record["timestamp"]),
        record["numRequested"] or 0,
        tuple(record["runIds"]),
        _part(nodes, root, target, answers or {}),
    )


def _part(nodes: Mapping[str, Mapping[str, Any]], id_: str, target: Path, answers: Mapping[str, str]) -> Part:
    node = nodes[id_]
    asset, check = _entity(node["entityKey"])
    part = Part(
        id=id_,
        label=node["userLabel"],
        text=" ".join(node["expandedLabel"]),
        operator=node["operatorType"],
        asset=asset,
        check=check,
        partitioned=node["isPartitioned"],
        true=node["numTrue"] or 0,
        asked=node["numCandidates"],
        children=tuple(_part(nodes, child, target, answers) for child in node["childUniqueIds"]),
    )
    of_partition = answers.get(id_) if part.partitioned and asset == target and check is None else None
    if of_partition is None:
        return replace(part, said=_said(part))
    said = _OF_PARTITION.get(of_partition, Said.NOT_ASKED)
    return replace(part, said=said, true=int(said is Said.YES), asked=int(said is not Said.NOT_ASKED))


def _said(part: Part) -> Said:
    if part.asked == 0 and not part.true:
        return Said.NOT_ASKED
    if not part.true:
        return Said.NO
    return Said.SOME if part.asked is not None and part.true < part.asked else Said.YES


def _entity(key: Mapping[str, Any]) -> tuple[Path, str | None]:
    return (tuple(key["path"]), None) if "path" in key else (tuple(key["assetKey"]["path"]), key["name"])


def facts_of(asset: Path, data: Mapping[str, Any], now: datetime, skip: Iterable[str] = ()) -> Facts:
    """What the one look gives. `skip`: the assets that the daemon's environment takes out of automation."""
    entries = data["workspaceOrError"].get("locationEntries", [])
    errors = {
        entry["name"]: innermost(entry["locationOrLoadError"])
        for entry in entries
        if (entry["locationOrLoadError"] or {}).get("__typename") == "PythonError"
    }
    errors |= {entry["name"]: "it is still loading" for entry in entries if entry["loadStatus"] == "LOADING"}
    records = data["assetConditionEvaluationRecordsOrError"].get("records", [])
    node = data["assetNodeOrError"]
    found = Facts(
        asset=asset,
        now=now,
        who=None,
        known=tuple("/".join(each["assetKey"]["path"]) for each in data["assetNodes"]),
        location_errors=errors,
        skipped="/".join(asset) in set(skip),
        automation_heartbeat=_heartbeat(data, "ASSET"),
        evaluations=tuple(evaluation_of(record) for record in records),
    )
    if node["__typename"] != "AssetNode":
        return found
    condition, policy, fresh = node["automationCondition"], node["internalFreshnessPolicy"], node["freshnessStatusInfo"]
    built = node["assetMaterializations"]
    return replace(
        found,
        who=_who(node),
        condition=(condition["label"] or " ".join(condition["expandedLabel"])) if condition else None,
        materializable=node["isMaterializable"],
        partitioned=node["isPartitioned"],
        materialized=_milliseconds(built[0]["timestamp"]) if built else None,
        policy=in_words(policy) if policy else None,
        freshness=fresh["freshnessStatus"] if fresh else None,
        sensors=tuple(_instigator(each) for each in node["targetingInstigators"] if _is_automation(each)),
        others=tuple(_instigator(each) for each in node["targetingInstigators"] if not _is_automation(each)),
        checks=_checks(node),
        parents=tuple(_parent(each["asset"], data) for each in node["dependencies"]),
        building=_building(asset, data),
    )


def ancestors(asset: Path, data: Mapping[str, Any]) -> list[Path]:
    """Everything that the asset comes from, the nearest first."""
    inputs = {
        tuple(node["assetKey"]["path"]): [tuple(key["path"]) for key in node["dependencyKeys"]]
        for node in data["assetNodes"]
    }
    found: dict[Path, None] = {}
    level = inputs.get(asset, [])
    while level:
        new = [key for key in dict.fromkeys(level) if key not in found and key != asset]
        found |= dict.fromkeys(new)
        level = [key for each in new for key in inputs.get(each, [])]
    return list(found)


def upstream_of(data: Mapping[str, Any]) -> tuple[Parent, ...]:
    """The answer about the ancestors."""
    runs = {tuple(info["assetKey"]["path"]): info["latestRun"] for info in data["assetsLatestInfo"]}
    return tuple(
        replace(_parent(node, None), failed_run=failed_run_of(node, runs.get(tuple(node["assetKey"]["path"]))))
        for node in data["assetNodes"]
    )


def failed_run_of(node: Mapping[str, Any], run: Mapping[str, Any] | None) -> str | None:
    """The id of the newest run of an asset if that failed and has not built the asset."""
    if run is None or run["status"] != "FAILURE":
        return None
    return None if run["runId"] in {each["runId"] for each in node["assetMaterializations"]} else str(run["runId"])


def retried_run_of(asset: Path, data: Mapping[str, Any]) -> str | None:
    """The id of the run of which a run that builds the asset now is another try."""
    for run in _runs(asset, data):
        for tag in run["tags"]:
            if tag["key"] == "dagster/parent_run_id":
                return str(tag["value"])
    return None


def failed_run(run: Mapping[str, Any]) -> FailedRun:
    """The run, with its first error in a line: of dbt's errors the first that dbt itself tells."""
    tags = {tag["key"]: tag["value"] for tag in run["tags"]}
    events = run["eventConnection"]["events"]
    errors = [innermost(each["error"]) for each in events if each.get("error")]
    told = [each["message"] for each in events if each["__typename"] == "RunFailureEvent"]
    tries = int(tags.get("dagster/retry_number", 0)) + 1
    return FailedRun(
        run["runId"],
        instant(run["endTime"] or run["creationTime"]),
        _first_line([*errors, *told]),
        tries,
        max(tries, int(tags.get("dagster/max_retries", 0)) + 1),
        tags.get("dagster/will_retry") == "true",
    )


def _first_line(errors: Sequence[str]) -> str:
    lines = [line for error in errors for line in error.split(_DBT_ERRORS)[-1].strip().splitlines()]
    return next(iter(lines), "no error was recorded")


def innermost(error: Mapping[str, Any]) -> str:
    """The message of the innermost cause."""
    causes = error.get("causes") or []
    return str((causes[-1] if causes else error)["message"]).strip()


def instant(seconds: float) -> datetime:
    """The instant, UTC, of seconds since 1970."""
    return datetime.fromtimestamp(float(seconds), UTC)


def _milliseconds(value: str | float) -> datetime:
    return instant(float(value) / 1000)


def _who(node: Mapping[str, Any]) -> Who:
    return Who(tuple(node["assetKey"]["path"]), owners(node), node["repository"]["location"]["name"])


def _heartbeat(data: Mapping[str, Any], daemon: str) -> datetime | None:
    statuses = data["instance"]["daemonHealth"]["allDaemonStatuses"]
    times = [each["lastHeartbeatTime"] for each in statuses if each["daemonType"] == daemon]
    return instant(times[0]) if times and times[0] else None


def _is_automation(instigator: Mapping[str, Any]) -> bool:
    return instigator["__typename"] == "Sensor" and instigator["sensorType"] in ("AUTOMATION", "AUTO_MATERIALIZE")


def _instigator(found: Mapping[str, Any]) -> Instigator:
    state = found["sensorState"] if found["__typename"] == "Sensor" else found["scheduleState"]
    tick = next(iter(state["ticks"]), None)
    return Instigator(
        str(found["__typename"]).lower(),
        found["name"],
        state["repositoryLocationName"],
        state["status"] == "RUNNING",
        instant(tick["timestamp"]) if tick else None,
        innermost(tick["error"]).splitlines()[0] if tick and tick["error"] else None,
    )


def _parent(node: Mapping[str, Any], data: Mapping[str, Any] | None) -> Parent:
    who, built = _who(node), node["assetMaterializations"]
    return Parent(
        who,
        _milliseconds(built[0]["timestamp"]) if built else None,
        _checks(node),
        _building(who.asset, data) if data else (),
    )


def _checks(node: Mapping[str, Any]) -> tuple[Check, ...]:
    checks = node["assetChecksOrError"].get("checks", [])
    return tuple(_check(check) for check in checks if check["blocking"])


def _check(check: Mapping[str, Any]) -> Check:
    result = check["executionForLatestMaterialization"]
    if not result:
        return Check(check["name"], None, None, None)
    description = (result["evaluation"] or {}).get("description")
    return Check(check["name"], result["status"], result["runId"], instant(result["timestamp"]), description)


def _building(asset: Path, data: Mapping[str, Any]) -> tuple[str, ...]:
    backfills = data["partitionBackfillsOrError"].get("results", [])
    return (
        *(f"run {each['runId'][:8]} ({each['status'].lower()})" for each in _runs(asset, data)),
        *(f"backfill {each['id'][:8]}" for each in backfills if _selects(each, asset)),
    )


def _runs(asset: Path, data: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """What is under way."""
    return [each for each in data["runsOrError"].get("results", []) if _selects(each, asset)]


def _selects(each: Mapping[str, Any], asset: Path) -> bool:
    return list(asset) in [key["path"] for key in each["assetSelection"] or ()]


def with_partition_names(part: Part, names: Mapping[str, Sequence[str]]) -> Part:
    """The same part with the names of the partitions that said yes, where they are known."""
    return replace(
        part,
        partitions=tuple(names.get(part.id, ())),
        children=tuple(with_partition_names(child, names) for child in part.children),
    )
