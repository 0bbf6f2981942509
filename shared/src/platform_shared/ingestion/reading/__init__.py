"""Reads files of CSV, JSON lines and Parquet into immutable files of good and of bad rows."""

from platform_shared.ingestion.reading.batch import read_batch
from platform_shared.ingestion.reading.shapes import (
    PROVENANCE,
    REJECTS,
    Drift,
    Format,
    Partition,
    ReadBatch,
    ReadLimits,
    ReadObject,
    Shape,
    Source,
    rejects_table,
)

__all__ = [
    "PROVENANCE",
    "REJECTS",
    "Drift",
    "Format",
    "Partition",
    "ReadBatch",
    "ReadLimits",
    "ReadObject",
    "Shape",
    "Source",
    "read_batch",
    "rejects_table",
]
