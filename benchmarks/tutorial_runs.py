"""The usual way of tutorials to load many files: each is a partition, and a run of its own."""

import os
from pathlib import Path

import dagster as dg

from platform_shared.warehouse import Warehouse, literal

FOLDER = Path(os.environ["BENCH_FOLDER"])
TABLE = "lake.raw.tutorial_runs"


@dg.asset(partitions_def=dg.StaticPartitionsDefinition(sorted(path.stem for path in FOLDER.glob("*.csv"))))
def order_lines(context: dg.AssetExecutionContext) -> None:
    """One file's lines."""
    path = FOLDER / f"{context.partition_key}.csv"
    with Warehouse.of().connect() as connection:
        connection.execute(f"INSERT INTO {TABLE} SELECT * FROM read_csv({literal(str(path))}, header = true)")


defs = dg.Definitions(assets=[order_lines])
