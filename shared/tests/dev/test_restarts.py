"""How often what ends by itself is started again."""

import pytest

from platform_shared.dev.restarts import DELAYS, WINDOW_SECONDS, delay


@pytest.mark.parametrize("ends", range(1, len(DELAYS) + 1))
def test_the_first_ends_are_followed_by_ever_later_restarts(ends: int) -> None:
    assert delay([100.0] * ends, 100.0) == DELAYS[ends - 1]


def test_what_ends_again_and_again_is_given_up() -> None:
    assert delay([100.0] * (len(DELAYS) + 1), 100.0) is None


def test_what_ran_for_long_is_forgiven() -> None:
    now = 100.0 + WINDOW_SECONDS + 1
    assert delay([100.0] * 10 + [now], now) == DELAYS[0]
