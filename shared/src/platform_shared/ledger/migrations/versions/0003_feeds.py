"""Feeds: what their last look saw, and when what is known of them must be compared anew; source times of units."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_SCHEMA = "platform"


def upgrade() -> None:
    op.create_table(
        "feeds",
        sa.Column("feed", sa.Text, primary_key=True),
        sa.Column("epoch", sa.Text, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("looked_at", sa.DateTime(timezone=True)),
        sa.Column("tick_seconds", sa.Float),
        sa.Column("listing_seconds", sa.Float),
        sa.Column("listed_objects", sa.BigInteger),
        sa.Column("listed_whole_at", sa.DateTime(timezone=True)),
        schema=_SCHEMA,
    )
    op.add_column("units", sa.Column("changed_at", sa.DateTime(timezone=True)), schema=_SCHEMA)
    op.add_column("units", sa.Column("reject_count", sa.BigInteger), schema=_SCHEMA)


def downgrade() -> None:
    op.drop_column("units", "reject_count", schema=_SCHEMA)
    op.drop_column("units", "changed_at", schema=_SCHEMA)
    op.drop_table("feeds", schema=_SCHEMA)
