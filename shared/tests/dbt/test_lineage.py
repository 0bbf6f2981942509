"""Columns and where they come from, read from SQL."""

import dagster as dg
import pytest

from platform_shared.dbt.lineage import column_lineage

NODE = "model.shop.mart"


def manifest(*columns):
    def columns_of(*names):
        return {name: {"data_type": "bigint"} for name in names}

    def node(schema, name, *names):
        return {"database": "lake", "schema": schema, "name": name, "alias": name, "columns": columns_of(*names)}

    source = {"database": "lake", "schema": "raw", "name": "visits", "identifier": "visits"}
    return {
        "nodes": {
            NODE: node("marts", "mart", *columns),
            "model.shop.sales": node("staging", "sales", "store_id", "amount", "tax"),
            "model.shop.stores": node("staging", "stores", "store_id", "region"),
        },
        "sources": {"source.shop.visits": {**source, "columns": columns_of("store_id", "visitors")}},
    }


def came_from(sql, *columns):
    lineage = column_lineage(manifest(*columns), NODE, sql)
    assert lineage is not None
    return {
        column: {f"{dep.asset_key.to_user_string()}.{dep.column_name}" for dep in deps}
        for column, deps in lineage.deps_by_column.items()
    }


SALES, STORES, VISITS = (f'"lake"."{table}"' for table in ('staging"."sales', 'staging"."stores', 'raw"."visits'))


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        (f"select store_id as shop from {SALES}", {"shop": {"staging/sales.store_id"}}),
        (
            f"select region, sum(amount + tax) as total from {SALES} join {STORES} using (store_id) group by 1",
            {"region": {"staging/stores.region"}, "total": {"staging/sales.amount", "staging/sales.tax"}},
        ),
        (
            f"with days as (select store_id, count(*) as n from {VISITS} group by 1) select store_id, n from days",
            {"store_id": {"raw/visits.store_id"}, "n": set()},
        ),
        (
            f"select coalesce(s.amount, v.visitors) as x from {SALES} s left join {VISITS} v using (store_id)",
            {"x": {"staging/sales.amount", "raw/visits.visitors"}},
        ),
        ("select 1 as one", {"one": set()}),
    ],
)
def test_a_column_names_what_it_is_made_of(sql, found):
    assert came_from(sql, *found) == found


def test_sql_beyond_the_parser_has_no_lineage_and_stops_nothing():
    assert column_lineage(manifest("x"), NODE, "select from where") is None
    assert column_lineage(manifest("not_there"), NODE, f"select store_id from {SALES}") is None


def test_a_column_is_of_an_asset():
    lineage = column_lineage(manifest("shop"), NODE, f"select store_id as shop from {SALES}")
    assert lineage.deps_by_column["shop"] == [dg.TableColumnDep(dg.AssetKey(["staging", "sales"]), "store_id")]
