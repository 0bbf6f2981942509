"""What is asked of Dagster's GraphQL, and by which way: a running webserver, or a process that loads the workspace."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from platform_shared.webserver import WebserverError, ask, data_of

LONGEST_LOAD_SECONDS = 180

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
"""All that one look gives; it needs the definitions."""

UPSTREAM = (
    _WHO
    + """
query Upstream($keys: [AssetKeyInput!]!) {
  assetNodes(assetKeys: $keys) { ...Who ...Checks }
  assetsLatestInfo(assetKeys: $keys) { assetKey { path } latestRun { runId status } }
}
"""
)
"""How everything above the asset is; it needs the definitions."""

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


class Asker(Protocol):
    """Answers queries. Raises WebserverError."""

    def __call__(self, query: str, variables: Mapping[str, Any], *, definitions: bool) -> dict[str, Any]:
        """The answer's data; `definitions`: whether the query needs those of the locations, or storage alone."""
        ...


class Webserver:
    """The webserver at this address."""

    def __init__(self, url: str) -> None:
        self._url = url

    def __call__(self, query: str, variables: Mapping[str, Any], *, definitions: bool) -> dict[str, Any]:
        """Its answer."""
        return ask(self._url, query, variables, seconds=60)


class Process:
    """Dagster's own command, which loads the workspace first: seconds for each location."""

    def __init__(self, workspace: Path, folder: Path, environment: Mapping[str, str]) -> None:
        self._workspace = workspace
        self._folder = folder
        self._environment = environment

    def __call__(self, query: str, variables: Mapping[str, Any], *, definitions: bool) -> dict[str, Any]:
        """Its answer; without `definitions` it loads an empty workspace."""
        command = Path(sys.executable).parent / "dagster-graphql"
        if not command.exists():
            raise WebserverError("There is no dagster-graphql in this environment; name a webserver.")
        with tempfile.TemporaryDirectory() as folder:
            workspace, answer = self._workspace, Path(folder) / "answer.json"
            if not definitions:
                workspace = Path(folder) / "workspace.yaml"
                workspace.write_text("load_from: []\n")
            arguments = ["-w", str(workspace), "-t", query, "-v", json.dumps(variables), "-o", str(answer)]
            try:
                done = subprocess.run(
                    [str(command), *arguments],
                    cwd=self._folder,
                    env={**os.environ, **self._environment},
                    capture_output=True,
                    text=True,
                    timeout=LONGEST_LOAD_SECONDS,
                    check=False,
                )
            except subprocess.TimeoutExpired:
                raise WebserverError(f"The workspace did not load within {LONGEST_LOAD_SECONDS} seconds.") from None
            if not answer.exists():
                raise WebserverError(f"dagster-graphql ended with {done.returncode}:\n{done.stderr[-2000:]}")
            return data_of(json.loads(answer.read_text()), "dagster-graphql")


def key_of(path: Sequence[str]) -> dict[str, list[str]]:
    """An asset's key as a variable of a query."""
    return {"path": list(path)}
