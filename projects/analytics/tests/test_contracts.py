"""dbt's sources and models are what the contracts promise."""

import json

import dagster as dg
import pytest

from analytics.dbt_project import DBT_PROJECT_DIR
from analytics.definitions import defs
from platform_shared.contracts import (
    CONTRACTS,
    COUPON_USAGE,
    DAILY_SALES,
    HOUSEHOLD_DAYS,
    HOUSEHOLD_SPEND,
    PRODUCTS,
    PROMOTION_LIFT,
    RAW_HOUSEHOLDS,
    RAW_ORDER_LINES,
    RAW_PRODUCTS,
    RAW_PROMOTIONS,
)
from platform_shared.dbt.manifest import checked_manifest

MARTS = [DAILY_SALES, HOUSEHOLD_SPEND, COUPON_USAGE, HOUSEHOLD_DAYS, PROMOTION_LIFT, PRODUCTS]


@pytest.fixture(scope="module")
def manifest():
    return json.loads(checked_manifest(DBT_PROJECT_DIR).read_text())


@pytest.fixture(scope="module")
def specs():
    return {spec.key: spec for spec in defs().resolve_all_asset_specs()}


def declared(node):
    return {name: (column["data_type"], column["description"]) for name, column in node["columns"].items()}


def promised(contract):
    return {column.name: (column.type.lower(), column.description) for column in contract.columns}


def test_every_source_is_a_contract_column_by_column(manifest):
    contracts = {(contract.schema, contract.table): contract for contract in CONTRACTS}
    sources = manifest["sources"].values()
    assert {source["name"] for source in sources} == {"order_lines", "households", "promotions", "products"}
    for source in sources:
        contract = contracts[source["schema"], source["name"]]
        assert declared(source) == promised(contract)
        assert source["description"] == contract.description


@pytest.mark.parametrize("contract", MARTS, ids=lambda c: c.table)
def test_a_mart_has_the_promised_columns_and_description(manifest, contract):
    node = manifest["nodes"][f"model.retailer.{contract.table}"]
    assert declared(node) == promised(contract)
    assert node["description"].strip() == contract.description


@pytest.mark.parametrize("contract", MARTS, ids=lambda c: c.table)
def test_a_mart_is_the_promised_asset(specs, contract):
    spec = specs[contract.key]
    assert spec.partitions_def == contract.partitions
    assert list(spec.owners) == [f"team:{contract.owner}"]
    assert spec.group_name == contract.schema
    assert spec.automation_condition is not None


@pytest.mark.parametrize(
    ("model", "contract"),
    [
        ("staging/stg_order_lines", RAW_ORDER_LINES),
        ("staging/stg_households", RAW_HOUSEHOLDS),
        # Through ephemeral models, which are no assets.
        ("marts/promotion_lift", RAW_PROMOTIONS),
        ("marts/products", RAW_PRODUCTS),
    ],
)
def test_a_source_is_the_asset_of_ingestion(specs, model, contract):
    deps = {dep.asset_key for dep in specs[dg.AssetKey(model.split("/"))].deps}
    assert {key for key in deps if key.path[0] == "raw"} == {contract.key}
    assert specs[contract.key].partitions_def == contract.partitions


def test_severity_decides_whether_a_test_blocks():
    graph = defs().resolve_asset_graph()
    blocking = {key.name: graph.get(key).blocking for key in graph.asset_check_keys}
    assert blocking["unique_household_spend_household_id"]
    assert blocking["customer_segments_add_up"]
    assert {name for name, blocks in blocking.items() if not blocks} == {"quantity_is_positive", "households_are_known"}


def test_every_asset_of_the_project_says_what_it_is(manifest, specs):
    for node in manifest["nodes"].values():
        if node["resource_type"] in {"model", "seed", "snapshot"}:
            assert node["description"], node["name"]
            assert node["columns"], node["name"]
            undescribed = [name for name, c in node["columns"].items() if not (c["description"] and c["data_type"])]
            assert not undescribed, node["name"]
            if node["config"]["materialized"] != "ephemeral":
                spec = specs[dg.AssetKey([node["schema"], node["name"]])]
                assert list(spec.owners) == ["team:analytics"]
                assert spec.group_name == node["schema"]
                files = [each.file_path for each in spec.metadata["dagster/code_references"].code_references]
                assert any(file.endswith(node["original_file_path"]) for file in files)


def test_one_dbt_at_a_time():
    ops = [node for node in defs().resolve_implicit_global_asset_job_def().nodes if "dbt_models" in node.name]
    assert len(ops) == 3
    assert {node.definition.pool for node in ops} == {"dbt_retailer"}
