"""Fixtures of the fault tests. Their helper modules are found by name, as the processes that they start find them."""

import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from platform_shared.settings import Home

sys.path.insert(0, str(Path(__file__).parent))

if TYPE_CHECKING:
    from ingestion_world import World


@pytest.fixture
def open_world(platform_home: Home) -> "Iterator[Callable[..., World]]":
    """Opens a world in `platform_home`, closed with the test."""
    from ingestion_world import World

    with ExitStack() as stack:

        def open_one(**options: Any) -> World:
            world = World(platform_home, **options)
            stack.callback(world.close)
            return world

        yield open_one


@pytest.fixture
def world(open_world: "Callable[..., World]") -> "World":
    """A feed of files."""
    return open_world()


@pytest.fixture
def own_postgres(monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    """A home with an embedded Postgres of its own, which the test may kill: as shipped, with fsync."""
    from platform_shared.postgres import URL_VARIABLE, stop_embedded

    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        home = Home(Path(folder).resolve())
        monkeypatch.delenv(URL_VARIABLE, raising=False)
        monkeypatch.setenv("PLATFORM_HOME", str(home.root))
        monkeypatch.setenv("DAGSTER_HOME", str(home.dagster))
        try:
            yield home
        finally:
            stop_embedded(home)
