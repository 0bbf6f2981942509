"""What the partitioned reports have in common: their place, their tags and how their files are named."""

from pathlib import Path
from typing import Any

import dagster as dg

from platform_shared.contracts import Contract
from platform_shared.files import write_atomically
from platform_shared.resources import PlatformFolders
from platform_shared.schedules import Series
from platform_shared.tags import LOCATION_TAG

RUN_TAGS = {LOCATION_TAG: "batch", "dagster/max_retries": "2"}
"""Of the runs of a job that nothing but its schedule asks for."""

GAP_RUN_TAGS = {**RUN_TAGS, "dagster/max_retries": "0"}
"""Of the runs of a job whose gaps a sensor fills: what fails is a gap, and tried again as such."""

EFFECT_RUN_TAGS = {LOCATION_TAG: "batch", "dagster/max_retries": "0"}
"""Of the runs of an op job: its ops say themselves what is tried again."""


def report_spec(series: Series, description: str, *inputs: Contract | dg.AssetDep, suffix: str = "csv") -> dg.AssetSpec:
    """The asset of a series: files, one a partition. Skippable, since a run may find nothing due."""
    return dg.AssetSpec(
        series.key,
        deps=[each if isinstance(each, dg.AssetDep) else each.key for each in inputs],
        description=description,
        group_name="reports",
        owners=["team:batch"],
        kinds={"python", suffix},
        partitions_def=series.partitions,
        skippable=True,
    )


def report_file(folders: PlatformFolders, series: Series, partition: str, suffix: str = "csv") -> Path:
    """The file of a partition: of an hour in its day's folder, and without colons, which some systems refuse."""
    day, _, hour = partition[:10], partition[10:11], partition[11:].replace(":", "")
    folder = folders.home().reports / series.key.path[-1]
    return folder / day / f"{hour}.{suffix}" if hour else folder / f"{day}.{suffix}"


def write_report(
    folders: PlatformFolders, series: Series, partition: str, text: str, suffix: str = "csv"
) -> dict[str, Any]:
    """Writes the file of a partition; returns where it is, as metadata."""
    file = report_file(folders, series, partition, suffix)
    write_atomically(file, text)
    place = file.relative_to(folders.home().reports)
    return {"file": dg.MetadataValue.text(f"reports/{place} in the platform's home folder")}
