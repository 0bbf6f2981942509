"""Fixtures that the tests of every location share, and how long property tests look for an example."""

from hypothesis import settings

pytest_plugins = ["platform_shared.testing.fixtures"]

settings.register_profile("fixed", derandomize=True, deadline=None)
settings.register_profile("soak", max_examples=20_000, deadline=None)
# `pytest --hypothesis-profile=soak` searches long, with new examples each time.
settings.load_profile("fixed")
