"""Resources that only this location needs."""

import dagster as dg

from batch.report_delivery import ReportDestination


@dg.definitions
def resources() -> dg.Definitions:
    return dg.Definitions(resources={"destination": ReportDestination()})
