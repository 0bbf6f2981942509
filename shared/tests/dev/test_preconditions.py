"""What is checked before anything is started."""

import socket
from pathlib import Path

import pytest

from platform_shared.dev.preconditions import CannotStart, check_instance, check_port, home_of, only_one
from platform_shared.settings import Home


def test_without_a_home_in_the_environment_it_is_the_repositorys(tmp_path: Path) -> None:
    assert home_of(tmp_path, {}) == Home(tmp_path / ".platform")
    assert home_of(tmp_path, {"DAGSTER_HOME": str(tmp_path / "h" / "dagster")}) == Home(tmp_path / "h")


def test_a_home_without_settings_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(CannotStart, match="make setup"):
        check_instance(Home(tmp_path))


def test_a_port_that_listens_is_taken_and_one_that_did_is_free(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(CannotStart, match=rf"Port {port} is taken by pid \d+ .*make dev PORT={port + 1}"):
            check_port(port)
    check_port(port)


def test_a_home_is_held_by_one_and_free_after_it(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    with only_one(home, 3000), pytest.raises(CannotStart, match=r"pid \d+, http://127.0.0.1:3000/"), only_one(home, 1):
        pass
    with only_one(home, 3000):
        pass
