"""Parts of sensors that follow assets: every event in order, a gate that gathers small ones, and a join of several."""

from platform_shared.sensors.joined import Joined, newest_materializations
from platform_shared.sensors.materializations import materializations_after
from platform_shared.sensors.threshold import Gathered, Threshold

__all__ = ["Gathered", "Joined", "Threshold", "materializations_after", "newest_materializations"]
