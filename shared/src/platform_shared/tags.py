"""Tags that the platform puts on runs."""

LOCATION_TAG = "platform/location"
"""Names the location that a run is of; the instance limits runs by it."""
