"""Alembic's environment: migrates over the connection that `platform_shared.ledger.migrate` hands it."""

from alembic import context

from platform_shared.ledger.tables import METADATA
from platform_shared.postgres import PLATFORM_SCHEMA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    include_schemas=True,
    version_table_schema=PLATFORM_SCHEMA,
)
with context.begin_transaction():
    context.run_migrations()
