"""Asks Dagster's webserver what there is, starts a backfill and says how far it is."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from platform_shared.backfills.planning import Asset, BackfillError, Dimension, Part
from platform_shared.ingestion.tags import FEED_TAG

Ask = Callable[[str, Mapping[str, Any]], dict[str, Any]]
"""Answers a GraphQL query with its variables."""

# Behind all that automation and schedules ask for, which have none.
_PRIORITY = {"key": "dagster/priority", "value": "-10"}
_TRIES = {"key": "dagster/max_retries", "value": "2"}

_AUTOMATION_TAG = "dagster/from_automation_condition"
_AT_WORK = ("REQUESTED", "CANCELING", "FAILING")
_BACKFILL_DAEMON = "BACKFILL"
_LONGEST_TITLE = 100

_ASSETS = """{ assetNodes {
  assetKey { path } groupName isMaterializable tags { key value } repository { location { name } }
  backfillPolicy { maxPartitionsPerRun policyType }
  partitionKeysByDimension { name type partitionKeys }
} }"""

_UNDER_WAY = """{ partitionBackfillsOrError(limit: 100) { __typename
  ... on PartitionBackfills { results { id status assetSelection { path } tags { key value } } } } }"""

_LAUNCH = """mutation Launch($backfill: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $backfill) {
  __typename
  ... on LaunchBackfillSuccess { backfillId }
  ... on PythonError { message }
  ... on UnauthorizedError { message }
  ... on InvalidSubsetError { message }
  ... on PartitionKeysNotFoundError { message }
} }"""

_PROGRESS = """query Progress($id: String!) {
  runsOrError(filter: {statuses: [QUEUED], tags: [{key: "dagster/backfill", value: $id}]}) { ... on Runs { count } }
  instance { daemonHealth { allDaemonStatuses { daemonType lastHeartbeatTime } } }
  partitionBackfillOrError(backfillId: $id) { __typename
  ... on BackfillNotFoundError { message }
  ... on PythonError { message }
  ... on PartitionBackfill { status error { message }
    assetBackfillData { assetBackfillStatuses { __typename
      ... on AssetPartitionsStatusCounts { assetKey { path } numPartitionsTargeted numPartitionsInProgress
        numPartitionsMaterialized numPartitionsFailed }
    } } } } }"""


@dataclass(frozen=True)
class Progress:
    """How far a backfill is, in partitions of all its assets. `failed`: how many, by asset.

    `queued`: its runs that wait. `daemon_seen_at`: when the daemon that works on backfills said so last, epoch seconds.
    """

    status: str
    targeted: int
    built: int
    under_way: int
    failed: Mapping[str, int]
    queued: int
    daemon_seen_at: float | None
    error: str | None = None

    @property
    def is_over(self) -> bool:
        return self.status not in _AT_WORK

    @property
    def is_good(self) -> bool:
        return self.status in ("COMPLETED", "COMPLETED_SUCCESS") and not self.failed


def assets(ask: Ask) -> dict[str, Asset]:
    """All assets of the workspace, by key."""
    return {asset.key: asset for asset in map(_asset, ask(_ASSETS, {})["assetNodes"])}


def refuse_what_is_under_way(ask: Ask, parts: Sequence[Part]) -> None:
    """Two backfills of one asset would build its partitions twice. Raises BackfillError.

    Those of automation are let pass: they are short, and there is one for every few late files.
    """
    wanted = {part.asset.key for part in parts}
    for backfill in ask(_UNDER_WAY, {})["partitionBackfillsOrError"].get("results", []):
        both = wanted & {"/".join(key["path"]) for key in backfill["assetSelection"] or []}
        automatic = any(tag["key"] == _AUTOMATION_TAG for tag in backfill["tags"])
        if both and backfill["status"] in _AT_WORK and not automatic:
            raise BackfillError(
                f"Backfill {backfill['id']} is at work on {', '.join(sorted(both))}; wait for it, or cancel it on the "
                "page's Runs."
            )


def launch(ask: Ask, parts: Sequence[Part], title: str) -> str:
    """Starts the backfill of a stage, behind other runs in the queue, each run tried three times; returns its id.

    A title that Dagster would refuse as too long is cut.
    """
    backfill = {
        "title": title if len(title) <= _LONGEST_TITLE else f"{title[: _LONGEST_TITLE - 1]}…",
        "tags": [_PRIORITY, _TRIES],
        **_selection(parts),
    }
    answer = ask(_LAUNCH, {"backfill": backfill})["launchPartitionBackfill"]
    if "backfillId" not in answer:
        raise BackfillError(f"Dagster did not take it: {answer.get('message', answer['__typename'])}")
    return str(answer["backfillId"])


def progress(ask: Ask, backfill: str) -> Progress:
    """How far it is now."""
    data = ask(_PROGRESS, {"id": backfill})
    answer = data["partitionBackfillOrError"]
    if "status" not in answer:
        raise BackfillError(answer.get("message", answer["__typename"]))
    counts = [
        each for each in (answer["assetBackfillData"] or {}).get("assetBackfillStatuses", []) if "assetKey" in each
    ]
    failed = {"/".join(each["assetKey"]["path"]): each["numPartitionsFailed"] for each in counts}
    return Progress(
        status=answer["status"],
        targeted=sum(each["numPartitionsTargeted"] for each in counts),
        built=sum(each["numPartitionsMaterialized"] for each in counts),
        under_way=sum(each["numPartitionsInProgress"] for each in counts),
        failed={key: number for key, number in failed.items() if number},
        queued=data["runsOrError"].get("count", 0),
        daemon_seen_at=next(
            (
                daemon["lastHeartbeatTime"]
                for daemon in data["instance"]["daemonHealth"]["allDaemonStatuses"]
                if daemon["daemonType"] == _BACKFILL_DAEMON
            ),
            None,
        ),
        error=(answer["error"] or {}).get("message"),
    )


def _selection(parts: Sequence[Part]) -> dict[str, Any]:
    keys = [{"path": part.asset.key.split("/")} for part in parts]
    if parts[0].is_dynamic:
        # Dagster 1.13 reads the ranges of `partitionsByAssets` without the instance, which knows these partitions.
        return {"assetSelection": keys, "partitionNames": list(parts[0].partitions)}
    selectors = zip(keys, parts, strict=True)
    return {"partitionsByAssets": [{"assetKey": key, "partitions": {"ranges": p.ranges}} for key, p in selectors]}


def _asset(node: Mapping[str, Any]) -> Asset:
    policy = node["backfillPolicy"] or {"policyType": "MULTI_RUN", "maxPartitionsPerRun": 1}
    tags = {tag["key"]: tag["value"] for tag in node["tags"]}
    dimensions = sorted(node["partitionKeysByDimension"], key=lambda dimension: str(dimension["name"]))
    return Asset(
        key="/".join(node["assetKey"]["path"]),
        group=node["groupName"],
        location=node["repository"]["location"]["name"],
        is_materializable=node["isMaterializable"],
        dimensions=tuple(
            Dimension(
                each["name"],
                is_time=each["type"] == "TIME_WINDOW",
                keys=tuple(each["partitionKeys"]),
                is_dynamic=each["type"] == "DYNAMIC",
            )
            for each in dimensions
        ),
        at_once=None if policy["policyType"] == "SINGLE_RUN" else policy["maxPartitionsPerRun"],
        feed=tags.get(FEED_TAG),
    )
