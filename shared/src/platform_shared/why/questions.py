"""What is asked of Dagster's GraphQL, and who answers: a running webserver, or one that is started for it."""

import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from platform_shared.webserver import WebserverError, ask

LONGEST_LOAD_SECONDS = 180
_SECONDS_TO_END = 20
_LOOK_EVERY_SECONDS = 0.2
_HOST = "127.0.0.1"

Asker = Callable[[str, Mapping[str, Any]], dict[str, Any]]
"""Answers a query with its variables. Raises WebserverError."""

_WHO = """
fragment Who on AssetNode {
  assetKey { path }
  owners { __typename ... on TeamAssetOwner { team } ... on UserAssetOwner { email } }
  repository { location { name } }
  isPartitioned
  assetMaterializations(limit: 1) { timestamp runId partition }
}
fragment Checks on AssetNode {
  assetChecksOrError { __typename ... on AssetChecks { checks { name blocking
    executionForLatestMaterialization { status runId timestamp evaluation { description } } } } }
}
"""

DEFINITIONS = (
    _WHO
    + """
fragment State on InstigationState {
  status repositoryLocationName ticks(limit: 1) { status timestamp error { message causes { message } } }
}
query Why($key: AssetKeyInput!, $limit: Int!) {
  workspaceOrError { ... on Workspace { locationEntries {
    name loadStatus locationOrLoadError { __typename ... on PythonError { message causes { message } } } } } }
  instance { daemonHealth { allDaemonStatuses { daemonType required lastHeartbeatTime
    lastHeartbeatErrors { message } } } }
  assetNodes { assetKey { path } dependencyKeys { path } }
  assetNodeOrError(assetKey: $key) { __typename ... on AssetNode {
    ...Who isMaterializable
    automationCondition { label expandedLabel }
    internalFreshnessPolicy { __typename
      ... on TimeWindowFreshnessPolicy { failWindowSeconds warnWindowSeconds }
      ... on CronFreshnessPolicy { deadlineCron lowerBoundDeltaSeconds timezone } }
    freshnessStatusInfo { freshnessStatus }
    ...Checks
    targetingInstigators { __typename
      ... on Sensor { name sensorType sensorState { ...State } }
      ... on Schedule { name scheduleState { ...State } } }
    dependencies { asset { ...Who ...Checks } }
  } }
  assetsLatestInfo(assetKeys: [$key]) { latestRun { runId status } }
  assetConditionEvaluationRecordsOrError(assetKey: $key, limit: $limit) { __typename
    ... on AssetConditionEvaluationRecords { records { evaluationId timestamp numRequested runIds rootUniqueId
      evaluationNodes {
        uniqueId userLabel expandedLabel numTrue numCandidates isPartitioned operatorType childUniqueIds
        entityKey { __typename ... on AssetKey { path } ... on AssetCheckhandle { name assetKey { path } } } } } } }
  runsOrError(filter: {statuses: [QUEUED, NOT_STARTED, STARTING, STARTED, CANCELING]}, limit: 500) {
    ... on Runs { results { runId status creationTime assetSelection { path } tags { key value } } } }
  partitionBackfillsOrError(status: REQUESTED) {
    ... on PartitionBackfills { results { id timestamp assetSelection { path } } } }
}
"""
)
"""All that one look gives."""

UPSTREAM = (
    _WHO
    + """
query Upstream($keys: [AssetKeyInput!]!) {
  assetNodes(assetKeys: $keys) { ...Who ...Checks }
  assetsLatestInfo(assetKeys: $keys) { assetKey { path } latestRun { runId status } }
}
"""
)
"""How everything above the asset is."""

RUN = """
query Run($run: ID!) { runOrError(runId: $run) { ... on Run {
  runId jobName status creationTime endTime tags { key value }
  eventConnection { events { __typename
    ... on ExecutionStepFailureEvent { stepKey error { message causes { message } } }
    ... on RunFailureEvent { message error { message causes { message } } } } } } } }
"""


def of_partition(evaluations: Sequence[str]) -> str:
    """A query for what one partition's parts said in each of these evaluations, as `e0`, `e1`, …"""
    asked = "\n".join(
        f"  e{number}: assetConditionEvaluationForPartition("
        f'assetKey: $key, evaluationId: "{id_}", partition: $partition)'
        " { evaluationNodes { ... on SpecificPartitionAssetConditionEvaluationNode { uniqueId status } } }"
        for number, id_ in enumerate(evaluations)
    )
    return f"query OfPartition($key: AssetKeyInput!, $partition: String!) {{\n{asked}\n}}"


def true_partitions(parts: Sequence[str]) -> str:
    """A query for the partitions that said yes to each of these parts of an evaluation, as `p0`, `p1`, …"""
    asked = "\n".join(
        f"  p{number}: truePartitionsForAutomationConditionEvaluationNode("
        f'assetKey: $key, evaluationId: $evaluation, nodeUniqueId: "{id_}")'
        for number, id_ in enumerate(parts)
    )
    return f"query TruePartitions($key: AssetKeyInput!, $evaluation: ID!) {{\n{asked}\n}}"


class Webserver:
    """The webserver at this address; calling it asks. Raises WebserverError."""

    def __init__(self, url: str) -> None:
        self._url = url

    def __call__(self, query: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        """The answer's data."""
        return ask(self._url, query, variables, seconds=60)


@contextmanager
def temporary_webserver(workspace: Path, folder: Path, environment: Mapping[str, str]) -> Iterator[Webserver]:
    """A webserver over this workspace, started in `folder` and ended with the context. Raises WebserverError.

    It answers once it has loaded all locations, those that do not load with their error.
    """
    command = Path(sys.executable).parent / "dagster-webserver"
    if not command.exists():
        raise WebserverError("There is no dagster-webserver in this environment; name a running one.")
    with socket.create_server((_HOST, 0)) as probe:
        port = probe.getsockname()[1]
    prefix = f"/{secrets.token_hex(8)}"
    arguments = ["-h", _HOST, "-p", str(port), "-w", str(workspace), "--path-prefix", prefix]
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            [str(command), *arguments],
            cwd=folder,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            url = f"http://{_HOST}:{port}{prefix}"
            if not _answers(process, url):
                log.seek(0)
                raise WebserverError(f"The workspace does not load:\n{log.read()[-2000:]}")
            yield Webserver(url)
        finally:
            process.terminate()
            try:
                process.wait(_SECONDS_TO_END)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _answers(process: "subprocess.Popen[bytes]", url: str) -> bool:
    deadline = time.monotonic() + LONGEST_LOAD_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with suppress(WebserverError):
            ask(url, "{ version }", {})
            return True
        time.sleep(_LOOK_EVERY_SECONDS)
    return False


def key_of(path: Sequence[str]) -> dict[str, list[str]]:
    """An asset's key as a variable of a query."""
    return {"path": list(path)}
