"""dbt's sources and models are what the contracts promise."""

import json

import dagster as dg
import pytest

from analytics.dbt_project import DBT_PROJECT_DIR
from analytics.definitions import defs
from platform_shared.contracts import CONTRACTS, DAILY_SALES, HOUSEHOLD_SPEND, RAW_ORDER_LINES
from platform_shared.dbt.manifest import checked_manifest


@pytest.fixture(scope="module")
def manifest():
    return json.loads(checked_manifest(DBT_PROJECT_DIR).read_text())


@pytest.fixture(scope="module")
def specs():
    return {spec.key: spec for spec in defs().resolve_all_asset_specs()}


def declared(node):
    return {name: column["data_type"] for name, column in node["columns"].items()}


def promised(contract):
    return {name: type_.lower() for name, type_ in contract.types.items()}


def test_every_source_is_a_contract_column_by_column(manifest):
    contracts = {(contract.schema, contract.table): contract for contract in CONTRACTS}
    sources = manifest["sources"].values()
    assert sources
    for source in sources:
        assert declared(source) == promised(contracts[source["schema"], source["name"]])


@pytest.mark.parametrize("contract", [DAILY_SALES, HOUSEHOLD_SPEND], ids=lambda c: c.table)
def test_a_mart_has_the_promised_columns_and_description(manifest, contract):
    node = manifest["nodes"][f"model.retailer.{contract.table}"]
    assert declared(node) == promised(contract)
    assert node["description"].strip() == contract.description
    assert {name: c["description"] for name, c in node["columns"].items()} == {
        column.name: column.description for column in contract.columns
    }


@pytest.mark.parametrize("contract", [DAILY_SALES, HOUSEHOLD_SPEND], ids=lambda c: c.table)
def test_a_mart_is_the_promised_asset(specs, contract):
    spec = specs[contract.key]
    assert spec.partitions_def == contract.partitions
    assert list(spec.owners) == [f"team:{contract.owner}"]
    assert spec.group_name == contract.schema
    assert spec.automation_condition is not None


def test_the_source_is_the_asset_of_ingestion(specs):
    staging = specs[dg.AssetKey(["staging", "stg_order_lines"])]
    assert [dep.asset_key for dep in staging.deps] == [RAW_ORDER_LINES.key]


def test_dbt_tests_are_blocking_checks():
    graph = defs().resolve_asset_graph()
    checks = {key.name: graph.get(key).blocking for key in graph.asset_check_keys}
    assert checks["unique_household_spend_household_id"]
    assert len(checks) >= 10
