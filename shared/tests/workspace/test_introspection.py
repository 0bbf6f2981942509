"""Names each attribute of Dagster that is exported but not marked public and that snapshots rest on.

A failure here after an upgrade says which one moved.
"""

import dagster as dg

from platform_shared.workspace import introspection
from platform_shared.workspace.rules import IMPLICIT_SENSOR


@dg.asset(pool="warehouse", automation_condition=dg.AutomationCondition.eager())
def made() -> None: ...


def test_get_repository_def_lists_the_implicit_automation_sensor() -> None:
    resolved = introspection.repository(dg.Definitions(assets=[made]))
    assert [sensor.name for sensor in resolved.sensor_defs] == [IMPLICIT_SENSOR]
    assert resolved.sensor_defs[0].default_status is dg.DefaultSensorStatus.STOPPED


def test_is_materializable_is_executable_pools_and_backfill_policy_of_an_asset() -> None:
    days = dg.DailyPartitionsDefinition("2025-01-01")

    @dg.multi_asset(specs=[dg.AssetSpec("daily", partitions_def=days)], backfill_policy=dg.BackfillPolicy.single_run())
    def daily() -> None: ...

    external = introspection.repository(dg.Definitions(assets=[dg.AssetSpec("outside")])).assets_defs_by_key
    assert introspection.execution(made) == (True, True, frozenset({"warehouse"}), False)
    assert introspection.execution(external[dg.AssetKey("outside")]) == (False, False, frozenset(), False)
    assert introspection.execution(daily) == (True, True, frozenset(), True)


def test_partitions_that_do_not_fit() -> None:
    days = dg.DailyPartitionsDefinition("2025-01-01")
    stores = dg.DynamicPartitionsDefinition(name="stores")
    sales = dg.AssetSpec("sales", partitions_def=days)

    def reading(mapping: dg.PartitionMapping | None) -> list[tuple[dg.AssetKey, dg.AssetKey]]:
        @dg.asset(deps=[dg.AssetDep("sales", partition_mapping=mapping)], partitions_def=stores)
        def profiles() -> None: ...

        resolved = introspection.repository(dg.Definitions(assets=[sales, profiles]))
        return [(asset, parent) for asset, parent, _ in introspection.unfit_partitions(resolved)]

    static = dg.StaticPartitionsDefinition
    parts = dg.MultiPartitionsDefinition({"shift": static(["early", "late"]), "store": static(["31"])})
    along = dg.MultiToSingleDimensionPartitionMapping("store")

    @dg.asset(deps=[dg.AssetDep("sales", partition_mapping=along)], partitions_def=parts)
    def shares() -> None: ...

    resolved = introspection.repository(dg.Definitions(assets=[sales, shares]))
    assert [asset.path for asset, *_ in introspection.unfit_partitions(resolved)] == [["shares"]]

    assert reading(None) == [(dg.AssetKey("profiles"), dg.AssetKey("sales"))]
    assert reading(dg.AllPartitionMapping()) == []


def test_get_label_and_name_of_a_condition() -> None:
    assert introspection.condition_label(dg.AutomationCondition.eager()) == "eager"
    assert introspection.condition_label(dg.AutomationCondition.missing()) == "missing"


def test_metadata_of_a_sensor() -> None:
    @dg.sensor(metadata={"platform/off": "by hand"})
    def by_hand() -> None: ...

    assert introspection.sensor_metadata(by_hand)["platform/off"].value == "by hand"
