import dagster as dg

from platform_shared.location import load_location


@dg.definitions
def defs() -> dg.Definitions:
    return load_location(__file__)
