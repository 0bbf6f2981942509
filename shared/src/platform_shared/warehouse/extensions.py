"""DuckDB extensions from their wheels: no download at run time, signature checks on."""

import importlib.util
import os
import uuid
from pathlib import Path

import duckdb

EXTENSIONS = ("httpfs", "postgres_scanner", "ducklake")


def extension_directory(root: Path) -> Path:
    """A DuckDB `extension_directory` under `root` whose files link into the installed wheels.

    Raises RuntimeError if a wheel is missing or built for another DuckDB. Safe when several processes start at once.
    """
    version = f"v{duckdb.__version__}"
    with duckdb.connect() as connection:
        row = connection.execute("PRAGMA platform").fetchone()
    folder = root / version / str(row[0] if row else "")
    folder.mkdir(parents=True, exist_ok=True)
    for name in EXTENSIONS:
        spec = importlib.util.find_spec(f"duckdb_extension_{name}")
        if spec is None or not spec.submodule_search_locations:
            raise RuntimeError(f"The package duckdb-extension-{name.replace('_', '-')} is not installed: `make setup`.")
        binary = Path(spec.submodule_search_locations[0], "extensions", version, f"{name}.duckdb_extension")
        if not binary.exists():
            raise RuntimeError(f"duckdb-extension-{name.replace('_', '-')} carries no build for DuckDB {version}.")
        link = folder / binary.name
        if not link.is_symlink() or link.readlink() != binary:
            fresh = link.with_name(f".{link.name}.{uuid.uuid4().hex}")
            fresh.symlink_to(binary)
            os.replace(fresh, link)
    return root
