"""Read-only questions to the lake from people: one SELECT, no file, network or catalog access from SQL."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from platform_shared.warehouse.connection import LAKE, Warehouse
from platform_shared.warehouse.sql import literal

_TABLE_FUNCTIONS = {"range", "generate_series", "unnest", "duckdb_tables", "duckdb_columns", "duckdb_schemas"}
_SCALAR_FUNCTIONS_REFUSED = {"current_setting", "getenv", "getvariable", "query", "query_table"}


class RefusedQueryError(RuntimeError):
    """The query is more than a question to the lake; the message says which part is refused."""


def query(warehouse: Warehouse, sql: str) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Column names and rows. Unqualified `schema.table` names are the lake's.

    Raises RefusedQueryError if the statement is not one SELECT over tables of the lake, duckdb.Error if it fails.
    """
    with warehouse.connect(read_only=True) as connection:
        connection.execute(f"USE {LAKE}")
        row = connection.execute(f"SELECT json_serialize_sql({literal(sql)})").fetchone()
        parsed = json.loads(row[0]) if row else {"error": True, "error_message": "empty answer"}
        if parsed.get("error"):
            message = str(parsed.get("error_message"))
            raise RefusedQueryError(
                f"Only SELECT is allowed here. ({message})" if "Only SELECT" in message else message
            )
        if len(parsed["statements"]) != 1:
            raise RefusedQueryError("Ask one statement at a time.")
        _refuse(parsed)
        # Belt and braces: what the walk above does not know of cannot reach beyond the lake's own files.
        connection.execute(f"SET allowed_directories = [{literal(warehouse.data_path)}]")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        answer = connection.execute(sql)
        names = [column[0] for column in answer.description or []]
        return names, answer.fetchall()


def _refuse(parsed: Any) -> None:
    local = {name.lower() for node in _nodes(parsed) for name in _local_tables(node)}
    for node in _nodes(parsed):
        kind = node.get("type")
        if kind == "BASE_TABLE":
            catalog, schema, name = (str(node.get(part, "")) for part in ("catalog_name", "schema_name", "table_name"))
            if catalog and catalog.lower() not in {LAKE, "system", "temp"}:
                raise RefusedQueryError(f"{catalog}.{schema}.{name} is not in the lake.")
            if not schema and name.lower() not in local and any(mark in name for mark in "/\\.:*"):
                raise RefusedQueryError(f"{name!r} names a file; only tables of the lake can be asked.")
        elif kind == "TABLE_FUNCTION":
            function = str(node.get("function", {}).get("function_name", "")).lower()
            if function not in _TABLE_FUNCTIONS:
                raise RefusedQueryError(f"The table function {function} is not allowed here.")
        elif "function_name" in node and str(node["function_name"]).lower() in _SCALAR_FUNCTIONS_REFUSED:
            raise RefusedQueryError(f"The function {node['function_name']} is not allowed here.")


def _local_tables(node: dict[str, Any]) -> Sequence[str]:
    ctes = node.get("cte_map")
    return [entry["key"] for entry in ctes["map"]] if isinstance(ctes, dict) and "map" in ctes else []


def _nodes(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for part in value.values():
            yield from _nodes(part)
    elif isinstance(value, list):
        for part in value:
            yield from _nodes(part)
