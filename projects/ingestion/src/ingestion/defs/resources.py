"""What only this location needs: S3, for the feeds whose objects lie there."""

import dagster as dg

from platform_shared.object_storage import ObjectStorage


@dg.definitions
def resources() -> dg.Definitions:
    return dg.Definitions(resources={"s3": ObjectStorage()})
