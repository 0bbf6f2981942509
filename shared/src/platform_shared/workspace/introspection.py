"""The names of Dagster that the snapshot needs and that are exported but not marked public. All of them are here.

None is behind an underscore, and nothing that is marked public tells the same without a webserver (GraphQL does);
`shared/tests/workspace/test_introspection.py` names each, so that an upgrade that moves one says which.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import dagster as dg


class Execution(NamedTuple):
    """How an asset definition executes: whether it materializes, whether it runs at all (or observes), its pools, and
    whether it says how many partitions a run of a backfill takes."""

    materializable: bool
    executable: bool
    pools: frozenset[str]
    has_backfill_policy: bool


def repository(definitions: dg.Definitions) -> dg.RepositoryDefinition:
    """The resolved definitions, with what resolving adds: partitioned jobs' schedules, the implicit sensor."""
    return definitions.get_repository_def()


def execution(asset: dg.AssetsDefinition) -> Execution:
    """An external asset has no node and therefore no pools."""
    pools = frozenset(asset.node_def.pools) if asset.is_executable else frozenset()
    return Execution(asset.is_materializable, asset.is_executable, pools, asset.backfill_policy is not None)


def unfit_partitions(resolved: dg.RepositoryDefinition) -> Iterator[tuple[dg.AssetKey, dg.AssetKey, str]]:
    """Assets, with an input whose partitions cannot be mapped to theirs, and why; Dagster's loading does not look.

    Of an input in another location it knows the partitions only if this location names them too.
    """
    graph = resolved.asset_graph
    for node in graph.asset_nodes:
        for parent in graph.get_parents(node):
            if parent.partitions_def is not None and not node.is_external:
                try:
                    graph.get_partition_mapping(node.key, parent.key).validate_partition_mapping(
                        parent.partitions_def, node.partitions_def
                    )
                # Some mappings raise an error of definitions, others Dagster's own assertion.
                except Exception as error:
                    yield node.key, parent.key, str(error)


def condition_label(condition: dg.AutomationCondition) -> str:  # type: ignore[type-arg]
    """The label that the UI shows, else the kind of the outermost operator."""
    return condition.get_label() or condition.name


def sensor_metadata(sensor: dg.SensorDefinition) -> Mapping[str, dg.MetadataValue]:
    """What `metadata=` of any kind of sensor was given; for schedules the same attribute is marked public."""
    return sensor.metadata
