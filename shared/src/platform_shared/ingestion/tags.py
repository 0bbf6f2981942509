"""Tags on ingestion runs."""

FEED_TAG = "platform/feed"
BATCH_TAG = "platform/batch"
ATTEMPT_TAG = "platform/attempt"
MAX_ATTEMPTS_TAG = "platform/max_attempts"
"""A failed run whose attempt is below this is asked for again by the ledger."""
