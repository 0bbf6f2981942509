"""Which columns of its inputs a model's columns come from, read from the SQL that dbt ran.

dagster-dbt's own way asks the database for columns after dbt has ended, which holds back all events of a run on DuckDB
until then. Here every column is declared in the project, and the SQL is in dbt's target folder.
"""

import warnings
from collections.abc import Mapping
from typing import Any

import dagster as dg

LINEAGE_METADATA_KEY = "dagster/column_lineage"


def column_lineage(manifest: Mapping[str, Any], unique_id: str, compiled_sql: str) -> dg.TableColumnLineage | None:
    """The inputs of each declared column, or None if the SQL is beyond the parser."""
    from sqlglot.errors import SqlglotError
    from sqlglot.lineage import lineage

    node = manifest["nodes"][unique_id]
    schema = _declared(manifest)
    deps_by_column: dict[str, list[dg.TableColumnDep]] = {}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=dg.BetaWarning)
        try:
            for column in node["columns"]:
                root = lineage(column, compiled_sql, schema=schema, dialect="duckdb")
                found = {dep for leaf in root.walk() if (dep := _dep(leaf))}
                deps_by_column[column] = sorted(found, key=lambda dep: (dep.asset_key.path, dep.column_name))
        except (SqlglotError, ValueError):
            return None
        return dg.TableColumnLineage(deps_by_column=deps_by_column)


def _dep(node: Any) -> dg.TableColumnDep | None:
    """The column of a table at the end of a lineage; its asset's key is its table's `schema/table`."""
    from sqlglot import exp

    table = node.expression if isinstance(node.expression, exp.Table) else None
    if node.downstream or table is None:
        return None
    return dg.TableColumnDep(dg.AssetKey([table.db, table.name]), node.name.rpartition(".")[2].strip('"'))


def _declared(manifest: Mapping[str, Any]) -> dict[str, dict[str, dict[str, dict[str, str]]]]:
    """Columns with their types as the project declares them, by database, schema and table."""
    schema: dict[str, dict[str, dict[str, dict[str, str]]]] = {}
    for node in (*manifest["nodes"].values(), *manifest["sources"].values()):
        if node.get("columns"):
            table = node.get("alias") or node.get("identifier") or node["name"]
            columns = {name: column["data_type"] or "" for name, column in node["columns"].items()}
            schema.setdefault(node["database"], {}).setdefault(node["schema"], {})[table] = columns
    return schema
