"""How the demo world is started."""

import socket
from pathlib import Path

import pytest

from platform_shared import object_storage
from platform_shared.dev import world
from platform_shared.dev.preconditions import only_one
from platform_shared.dev.world import (
    ENDPOINT_VARIABLE,
    ObjectStore,
    made_known,
    object_store,
    provided_by,
    world_arguments,
)
from platform_shared.settings import Home


def test_its_s3_server_has_a_free_port_and_is_found_by_the_environment() -> None:
    store = object_store({})
    assert store is not None
    with socket.create_server(("127.0.0.1", store.port)):
        assert store.arguments == ("demo_world.object_store", "--port", str(store.port))
    assert store.environment[ENDPOINT_VARIABLE] == f"http://127.0.0.1:{store.port}"


@pytest.mark.parametrize("value", ["http://s3.example:9000", ""])
def test_who_says_where_s3_is_gets_no_server(value: str) -> None:
    assert object_store({ENDPOINT_VARIABLE: value}) is None


def test_without_a_demo_world_there_is_no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world, "DEMO_MODULE", "no_such_module")
    assert object_store({}) is None


def test_it_plays_in_s3_where_the_environment_says_where_that_is() -> None:
    landing = Path("/landing")
    assert (
        world_arguments(landing, {}) == world_arguments(landing, {ENDPOINT_VARIABLE: ""}) == ["--landing", "/landing"]
    )
    told = world_arguments(landing, ObjectStore(9000).environment)
    assert told == ["--landing", "/landing", "--s3-endpoint", "http://127.0.0.1:9000"]


def test_the_platform_reads_the_same_variable() -> None:
    # Written twice: the supervisor would need boto3's 0.3 s to read it there.
    assert object_storage.ENDPOINT_VARIABLE == ENDPOINT_VARIABLE


def test_commands_in_another_terminal_find_what_a_running_one_serves(tmp_path: Path) -> None:
    home = Home(tmp_path)
    assert provided_by(home) == {}
    with only_one(home, 3000), made_known(home, {"A": "1"}):
        assert provided_by(home) == {"A": "1"}
    assert provided_by(home) == {}


def test_what_a_killed_one_said_counts_no_more(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with made_known(home, {"A": "1"}):
        assert provided_by(home) == {}
