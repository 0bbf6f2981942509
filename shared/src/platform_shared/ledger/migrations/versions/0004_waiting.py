"""Why and since when units wait: failures that are no object's, and objects that are rewritten all the time."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_SCHEMA = "platform"


def upgrade() -> None:
    op.add_column("units", sa.Column("outages", sa.Integer, nullable=False, server_default="0"), schema=_SCHEMA)
    op.add_column("units", sa.Column("waiting_since", sa.DateTime(timezone=True)), schema=_SCHEMA)


def downgrade() -> None:
    op.drop_column("units", "waiting_since", schema=_SCHEMA)
    op.drop_column("units", "outages", schema=_SCHEMA)
