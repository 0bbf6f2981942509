"""Units of ingestion and the outbox."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_SCHEMA = "platform"


def upgrade() -> None:
    op.create_table(
        "units",
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
        schema=_SCHEMA,
    )
    op.create_index("units_feed_state", "units", ["feed", "state"], schema=_SCHEMA)
    op.create_index("units_batch", "units", ["batch_id"], schema=_SCHEMA)
    op.create_table(
        "messages",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("route", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("delivered_at", sa.DateTime(timezone=True)),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("last_error", sa.Text),
        schema=_SCHEMA,
    )
    op.create_index(
        "messages_undelivered",
        "messages",
        ["created_at"],
        schema=_SCHEMA,
        postgresql_where=sa.text("delivered_at IS NULL"),
    )


def downgrade() -> None:
    op.drop_table("messages", schema=_SCHEMA)
    op.drop_table("units", schema=_SCHEMA)
