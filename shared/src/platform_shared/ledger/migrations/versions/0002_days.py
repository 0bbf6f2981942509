"""Days of feeds: with rows, or announced as empty; and when that was noted last."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_SCHEMA = "platform"


def upgrade() -> None:
    op.create_table(
        "days",
        sa.Column("feed", sa.Text, primary_key=True),
        sa.Column("day", sa.Date, primary_key=True),
        sa.Column("delivered", sa.Boolean, nullable=False),
        sa.Column("noted_at", sa.DateTime(timezone=True), nullable=False),
        schema=_SCHEMA,
    )
    op.execute(
        f"INSERT INTO {_SCHEMA}.days (feed, day, delivered, noted_at) "
        f"SELECT feed, CAST(day AS date), true, max(coalesce(finished_at, now())) "
        f"FROM {_SCHEMA}.units, unnest(days) AS day GROUP BY 1, 2"
    )


def downgrade() -> None:
    op.drop_table("days", schema=_SCHEMA)
