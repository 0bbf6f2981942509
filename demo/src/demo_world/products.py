"""The object of `products`: the product master, all 92,331 products of the real data in one gzipped CSV.

It is a snapshot: whoever sends it again sends the whole of it, under the same key. The data never changes, so that a
snapshot always has the same bytes.
"""

import tempfile
from pathlib import Path

import duckdb

from demo_world.bucket import BucketObject
from demo_world.package import data_file

FEED = "products"
KEY = "master_data/products.csv.gz"

# In one order and by one thread, so that it always gives the same bytes.
_WRITE = """
COPY (FROM read_parquet($source) ORDER BY product_id) TO $target (FORMAT csv, HEADER, COMPRESSION gzip)
"""


def products_object() -> BucketObject:
    """The snapshot."""
    with tempfile.TemporaryDirectory(prefix="products-") as folder, duckdb.connect(config={"threads": 1}) as writer:
        target = Path(folder) / "products.csv.gz"
        (rows,) = writer.execute(_WRITE, {"source": str(data_file("products")), "target": str(target)}).fetchall()[0]
        return BucketObject(KEY, target.read_bytes(), rows)
