"""Fixtures that the tests of every location share."""

pytest_plugins = ["platform_shared.testing.fixtures"]
