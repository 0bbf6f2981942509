"""Brings the ledger's schema to the newest revision; whoever uses the ledger first does it."""

from importlib.resources import files

import sqlalchemy as sa

from platform_shared.postgres import PLATFORM_SCHEMA

_MIGRATION_LOCK = 7_401_002
HEAD = "0004"
"""Newest revision; a test holds it against `migrations/versions`."""


def ensure_schema(engine: sa.Engine) -> None:
    """Runs missing migrations, one process at a time. Costs one query when there is nothing to do.

    A newer schema than this code knows is left as it is: migrations only add, so that locations of the release before
    go on while the others are deployed, and after a step back.
    """
    with engine.begin() as connection:
        if (_revision(connection) or "") >= HEAD:
            return
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
        if (_revision(connection) or "") >= HEAD:
            return
        from alembic import command
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(files("platform_shared.ledger") / "migrations"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _revision(connection: sa.Connection) -> str | None:
    table = f"{PLATFORM_SCHEMA}.alembic_version"
    if connection.scalar(sa.text("SELECT to_regclass(:table)"), {"table": table}) is None:
        return None
    revision = connection.scalar(sa.text(f"SELECT version_num FROM {table}"))
    return None if revision is None else str(revision)
