"""How dbt nodes become assets: layers as groups, owners, conditions and freshness from what the model says."""

import hashlib
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, DbtProject

from platform_shared.automation import (
    EVERY_MINUTE,
    Condition,
    on_any_input_partition,
    on_code_change,
    on_input_change,
)
from platform_shared.dbt.meta import model_meta


@dataclass(frozen=True)
class PlatformDbtSettings(DagsterDbtTranslatorSettings):
    """Dagster-dbt's settings with the platform's defaults.

    Code references lead from the UI to a model's file. A view is virtual: it is as new as what it reads, is made again
    when its SQL changes, and whoever reads it follows its inputs.
    """

    enable_code_references: bool = True
    enable_dbt_views_as_virtual_assets: bool = True


class PlatformDbtTranslator(DagsterDbtTranslator):
    """Keys are `schema/table`, groups are schemas; all else is what the model says in its `meta`."""

    def __init__(self, *, partitioned: bool) -> None:
        super().__init__(PlatformDbtSettings())
        self._partitioned = partitioned

    def get_asset_spec(self, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None) -> dg.AssetSpec:
        """The node's spec; sources keep the key of the contract they stand for."""
        return platform_spec(
            super().get_asset_spec(manifest, unique_id, project), manifest, unique_id, self._partitioned
        )


def platform_spec(spec: dg.AssetSpec, manifest: Mapping[str, Any], unique_id: str, partitioned: bool) -> dg.AssetSpec:
    """Dagster-dbt's spec of a node, as the platform has it. Raises ModelMetaError."""
    node = manifest["nodes"].get(unique_id)
    if node is None:
        return spec
    said = model_meta(node)
    condition = None if said.built_by_hand else said.condition or default_condition(node, partitioned)
    if condition is not None and any(_is_view(parent) for parent in _read_in_place(manifest, node)):
        condition = _through_views(condition)
    return spec.replace_attributes(
        group_name=node["schema"],
        description=node.get("description") or None,
        owners=[f"team:{said.owner}"] if said.owner else [],
        automation_condition=condition,
        code_version=code_version(manifest, unique_id),
        freshness_policy=said.freshness,
    )


def default_condition(node: Mapping[str, Any], partitioned: bool) -> Condition:
    """The condition of a model that names none, by how it is materialized."""
    if node["resource_type"] == "seed" or _is_view(node):
        return on_code_change()
    if partitioned:
        return on_input_change(at_most_every=EVERY_MINUTE)
    return on_any_input_partition(at_most_every=EVERY_MINUTE)


def code_version(manifest: Mapping[str, Any], unique_id: str) -> str:
    """Changes with all code that makes the node's rows: its own, the project's macros, and views and ephemeral models
    that it reads, which are no builds of their own."""
    node = manifest["nodes"][unique_id]
    parts = sorted({part for each in (node, *_read_in_place(manifest, node)) for part in _code(manifest, each)})
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _code(manifest: Mapping[str, Any], node: Mapping[str, Any]) -> Iterator[str]:
    yield node.get("raw_code") or node["checksum"]["checksum"]
    seen: set[str] = set()
    names = list(node.get("depends_on", {}).get("macros", []))
    while names:
        macro = manifest["macros"].get(name := names.pop())
        if macro is None or name in seen or macro["package_name"] != node["package_name"]:
            continue
        seen.add(name)
        yield macro["macro_sql"]
        names += macro["depends_on"]["macros"]


def _read_in_place(manifest: Mapping[str, Any], node: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Views and ephemeral models between the node and the tables that it reads."""
    found: dict[str, Mapping[str, Any]] = {}
    parents = list(node.get("depends_on", {}).get("nodes", []))
    while parents:
        parent_id = parents.pop()
        parent = manifest["nodes"].get(parent_id)
        if parent is not None and parent_id not in found and parent["config"]["materialized"] in _IN_PLACE:
            found[parent_id] = parent
            parents += parent.get("depends_on", {}).get("nodes", [])
    return list(found.values())


_IN_PLACE: Set[str] = {"view", "ephemeral"}


def _is_view(node: Mapping[str, Any]) -> bool:
    return bool(node["config"]["materialized"] == "view")


def _through_views(condition: Condition) -> Condition:
    """The same condition, with the inputs of a view in the view's place."""
    resolved: Condition = condition.resolve_through_virtual()  # type: ignore[attr-defined]
    return resolved
