"""Safe ingestion: every version of every source object is loaded once in effect, or set aside with the reason."""
