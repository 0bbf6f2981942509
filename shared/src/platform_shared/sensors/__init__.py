"""Parts of sensors that follow assets: every event in order, and a gate that gathers small ones."""

from platform_shared.sensors.materializations import materializations_after
from platform_shared.sensors.threshold import Gathered, Threshold

__all__ = ["Gathered", "Threshold", "materializations_after"]
