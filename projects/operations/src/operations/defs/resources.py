"""Resources that only this location needs."""

import dagster as dg

from platform_shared.alerts import AlertRoutes


@dg.definitions
def resources() -> dg.Definitions:
    return dg.Definitions(resources={"routes": AlertRoutes()})
