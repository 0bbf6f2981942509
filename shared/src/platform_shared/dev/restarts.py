"""When a child that ended by itself is started again: a pure decision."""

from collections.abc import Sequence

DELAYS = (0.0, 1.0, 3.0)
"""Seconds before the first, second and third restart within the window; then it is given up."""
WINDOW_SECONDS = 60.0


def delay(ends: Sequence[float], now: float) -> float | None:
    """How long to wait before the next start, or None to give up. `ends`: when it ended, the last time included."""
    recent = sum(1 for end in ends if now - end <= WINDOW_SECONDS)
    return DELAYS[recent - 1] if 0 < recent <= len(DELAYS) else None
