from pathlib import Path

import pytest

from platform_shared.settings import Environment, SettingsError, environment, local_home, platform_home


def test_the_home_is_the_folder_that_holds_dagster_home(tmp_path):
    assert platform_home({"DAGSTER_HOME": str(tmp_path / "dagster")}).root == tmp_path


def test_platform_home_alone_is_enough(tmp_path):
    assert platform_home({"PLATFORM_HOME": str(tmp_path)}).dagster == tmp_path / "dagster"


def test_two_homes_that_differ_are_refused(tmp_path):
    with pytest.raises(SettingsError, match="Unset DAGSTER_HOME"):
        platform_home({"PLATFORM_HOME": str(tmp_path), "DAGSTER_HOME": str(tmp_path / "other")})


def test_no_home_names_the_command_to_run():
    with pytest.raises(SettingsError, match="make setup"):
        platform_home({})


def test_commands_for_people_fall_back_to_the_checkout(tmp_path):
    assert local_home(tmp_path, {}).root == tmp_path / ".platform"
    assert local_home(tmp_path, {"PLATFORM_HOME": "/elsewhere"}).root == Path("/elsewhere")


def test_the_environment_is_local_unless_said_otherwise():
    assert environment({}) is Environment.LOCAL
    assert environment({"PLATFORM_ENVIRONMENT": "production"}) is Environment.PRODUCTION


def test_an_unknown_environment_is_an_error_that_lists_the_known():
    with pytest.raises(SettingsError, match="local, staging, production"):
        environment({"PLATFORM_ENVIRONMENT": "prod"})
