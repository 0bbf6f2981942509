from collections.abc import Callable
from pathlib import Path

import duckdb

from demo_world.products import products_object


def test_the_snapshot_is_the_source(source_file: Callable[[str], str], tmp_path: Path) -> None:
    thing = products_object()
    path = tmp_path / "products.csv.gz"
    path.write_bytes(thing.content)
    ours = f"(FROM read_csv('{path}', all_varchar = true, header = true))"
    theirs = f"(SELECT COLUMNS(*)::VARCHAR FROM read_parquet('{source_file('products')}'))"
    connection = duckdb.connect()
    assert connection.execute(f"SELECT count(*) FROM {theirs}").fetchone() == (thing.rows,) == (92_331,)
    for left, right in ((ours, theirs), (theirs, ours)):
        assert connection.execute(f"SELECT count(*) FROM ({left} EXCEPT ALL {right})").fetchone() == (0,)


def test_it_always_has_the_same_bytes() -> None:
    assert products_object() == products_object()
