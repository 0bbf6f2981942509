"""How dbt nodes become assets: layers as groups, owners from `meta`, a condition by partitioning."""

from collections.abc import Mapping
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DbtProject

from platform_shared.automation import Condition


class PlatformDbtTranslator(DagsterDbtTranslator):
    """Keys are `schema/table`, groups are schemas, owners stand in the model's `meta.owner`."""

    def __init__(self, condition: Condition) -> None:
        super().__init__()
        self._condition = condition

    def get_asset_spec(self, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None) -> dg.AssetSpec:
        """The node's spec; sources keep the key of the contract they stand for."""
        spec = super().get_asset_spec(manifest, unique_id, project)
        node = manifest.get("nodes", {}).get(unique_id)
        if node is None:
            return spec
        owner = node.get("meta", {}).get("owner") or node["config"].get("meta", {}).get("owner")
        return spec.replace_attributes(
            group_name=node["schema"],
            description=node.get("description") or None,
            owners=[f"team:{owner}"] if owner else [],
            automation_condition=self._condition,
        )
