"""The warehouse: one DuckLake with its catalog in Postgres (docs/adr/0002, rules R1 to R4)."""

from platform_shared.warehouse.connection import LAKE, Warehouse
from platform_shared.warehouse.locks import LockLostError, table_lock
from platform_shared.warehouse.sql import identifier, literal
from platform_shared.warehouse.writing import (
    Rejects,
    TableName,
    Written,
    add_columns,
    create_table,
    replace_objects,
    write_parquet,
)

__all__ = [
    "LAKE",
    "LockLostError",
    "Rejects",
    "TableName",
    "Warehouse",
    "Written",
    "add_columns",
    "create_table",
    "identifier",
    "literal",
    "replace_objects",
    "table_lock",
    "write_parquet",
]
