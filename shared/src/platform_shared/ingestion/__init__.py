"""Safe ingestion: every version of every source object is loaded once in effect, or set aside with the reason."""

from platform_shared.ingestion.csv_feed import CsvFeed, csv_feed_definitions

__all__ = ["CsvFeed", "csv_feed_definitions"]
