"""Parts of sensors that follow assets: each event in order, a gate for small ones, a place in each of several."""

from platform_shared.sensors.materializations import materializations_after
from platform_shared.sensors.places import Places, look_at_each, newest_materializations
from platform_shared.sensors.threshold import Gathered, Threshold

__all__ = ["Gathered", "Places", "Threshold", "look_at_each", "materializations_after", "newest_materializations"]
