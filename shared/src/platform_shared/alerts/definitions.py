"""Whose an asset is and what its policy says: what only its location's definitions know, by way of the webserver."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from platform_shared.alerts.freshness import AssetFacts
from platform_shared.freshness import in_words
from platform_shared.webserver import WEBSERVER_VARIABLE, ask

QUERY = """
query Owners($keys: [AssetKeyInput!]) {
  assetNodes(assetKeys: $keys) {
    assetKey { path }
    owners { __typename ... on TeamAssetOwner { team } ... on UserAssetOwner { email } }
    repository { location { name } }
    internalFreshnessPolicy {
      __typename
      ... on TimeWindowFreshnessPolicy { failWindowSeconds warnWindowSeconds }
      ... on CronFreshnessPolicy { deadlineCron lowerBoundDeltaSeconds timezone }
    }
  }
}
"""


def with_definitions(facts: Mapping[str, AssetFacts]) -> dict[str, AssetFacts]:
    """The facts with owner, location and policy; as they were if no webserver is named. Raises WebserverError."""
    url = os.environ.get(WEBSERVER_VARIABLE)
    if not url or not facts:
        return dict(facts)
    keys = [{"path": asset.split("/")} for asset in facts]
    return merged(facts, ask(url, QUERY, {"keys": keys})["assetNodes"])


def merged(facts: Mapping[str, AssetFacts], nodes: Iterable[Mapping[str, Any]]) -> dict[str, AssetFacts]:
    """The facts with what GraphQL's nodes of the assets say."""
    result = dict(facts)
    for node in nodes:
        asset = "/".join(node["assetKey"]["path"])
        policy = node["internalFreshnessPolicy"]
        result[asset] = replace(
            result.get(asset, AssetFacts()),
            owners=owners(node),
            location=node["repository"]["location"]["name"],
            policy=in_words(policy) if policy else None,
        )
    return result


def owners(node: Mapping[str, Any]) -> tuple[str, ...]:
    """Owners as definitions name them: `team:batch`, or an e-mail address."""
    return tuple(f"team:{owner['team']}" if "team" in owner else owner["email"] for owner in node["owners"])
