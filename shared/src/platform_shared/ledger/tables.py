"""The ledger's tables. A change here needs a migration in `migrations/versions`; a test compares the two."""

import sqlalchemy as sa

from platform_shared.postgres import PLATFORM_SCHEMA

METADATA = sa.MetaData(schema=PLATFORM_SCHEMA)

UNITS = sa.Table(
    "units",
    METADATA,
    sa.Column("feed", sa.Text, primary_key=True),
    sa.Column("object_id", sa.Text, primary_key=True),
    sa.Column("version", sa.Text, primary_key=True),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("first_seen_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("batch_id", sa.Text),
    sa.Column("lease_holder", sa.Text),
    sa.Column("lease_expires_at", sa.DateTime(timezone=True)),
    sa.Column("retry_at", sa.DateTime(timezone=True)),
    sa.Column("content_sha256", sa.Text),
    sa.Column("row_count", sa.BigInteger),
    sa.Column("days", sa.ARRAY(sa.Text)),
    sa.Column("reason", sa.Text),
    sa.Column("finished_at", sa.DateTime(timezone=True)),
    sa.Column("changed_at", sa.DateTime(timezone=True)),
    sa.Column("reject_count", sa.BigInteger),
    sa.Column("outages", sa.Integer, nullable=False, server_default="0"),
    sa.Column("waiting_since", sa.DateTime(timezone=True)),
    sa.Index("units_feed_state", "feed", "state"),
    sa.Index("units_batch", "batch_id"),
)

FEEDS = sa.Table(
    "feeds",
    METADATA,
    sa.Column("feed", sa.Text, primary_key=True),
    sa.Column("epoch", sa.Text, nullable=False),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("looked_at", sa.DateTime(timezone=True)),
    sa.Column("tick_seconds", sa.Float),
    sa.Column("listing_seconds", sa.Float),
    sa.Column("listed_objects", sa.BigInteger),
    sa.Column("listed_whole_at", sa.DateTime(timezone=True)),
)

DAYS = sa.Table(
    "days",
    METADATA,
    sa.Column("feed", sa.Text, primary_key=True),
    sa.Column("day", sa.Date, primary_key=True),
    sa.Column("delivered", sa.Boolean, nullable=False),
    sa.Column("noted_at", sa.DateTime(timezone=True), nullable=False),
)

MESSAGES = sa.Table(
    "messages",
    METADATA,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("route", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("delivered_at", sa.DateTime(timezone=True)),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("last_error", sa.Text),
    sa.Index("messages_undelivered", "created_at", postgresql_where=sa.text("delivered_at IS NULL")),
)
