"""The migrations make the tables that the code declares."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from platform_shared.ledger.migrate import HEAD, ensure_schema
from platform_shared.ledger.tables import METADATA
from platform_shared.postgres import PLATFORM_SCHEMA, postgres
from platform_shared.settings import Home


@pytest.fixture
def empty(platform_home: Home) -> Iterator[sa.Engine]:
    """A database whose ledger has never been used."""
    engine = sa.create_engine(postgres(platform_home).sqlalchemy_url(PLATFORM_SCHEMA))
    with engine.begin() as connection:
        connection.execute(sa.text(f"DROP SCHEMA {PLATFORM_SCHEMA} CASCADE"))
        connection.execute(sa.text(f"CREATE SCHEMA {PLATFORM_SCHEMA}"))
    yield engine
    engine.dispose()


def revision(engine: sa.Engine) -> str | None:
    with engine.begin() as connection:
        found = connection.scalar(sa.text(f"SELECT version_num FROM {PLATFORM_SCHEMA}.alembic_version"))
    return None if found is None else str(found)


def test_the_migrations_make_exactly_the_declared_tables(empty: sa.Engine, platform_home: Home) -> None:
    ensure_schema(empty)
    # From another schema: Alembic leaves the schema's name out of what it finds in the default one.
    outside = sa.create_engine(postgres(platform_home).sqlalchemy_url("public"))
    options = {
        "include_schemas": True,
        "include_name": lambda name, kind, _: kind != "schema" or name == PLATFORM_SCHEMA,
        "version_table_schema": PLATFORM_SCHEMA,
        "compare_server_default": True,
    }
    with outside.begin() as connection:
        assert sa.inspect(connection).get_table_names(PLATFORM_SCHEMA)
        assert compare_metadata(MigrationContext.configure(connection, opts=options), METADATA) == []
    outside.dispose()


def test_the_newest_revision_is_the_one_that_the_code_expects() -> None:
    config = Config()
    config.set_main_option("script_location", str(files("platform_shared.ledger") / "migrations"))
    assert ScriptDirectory.from_config(config).get_current_head() == HEAD


def test_first_users_at_once_migrate_once(empty: sa.Engine) -> None:
    with ThreadPoolExecutor(4) as threads:
        for done in [threads.submit(ensure_schema, empty) for _ in range(4)]:
            done.result()
    assert revision(empty) == HEAD


def test_a_migrated_schema_is_left_alone(empty: sa.Engine) -> None:
    ensure_schema(empty)
    with empty.begin() as connection:
        connection.execute(
            sa.text("INSERT INTO messages (key, route, subject, body, created_at) VALUES ('k', 'r', 's', 'b', now())")
        )
    ensure_schema(empty)
    with empty.begin() as connection:
        assert connection.scalar(sa.text("SELECT count(*) FROM messages")) == 1


def test_a_newer_schema_is_left_as_it_is(empty: sa.Engine) -> None:
    """Locations of the release before go on while others are deployed."""
    ensure_schema(empty)
    with empty.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    ensure_schema(empty)
    assert revision(empty) == "9999"


def test_migrations_only_add() -> None:
    """What the release before reads and writes stays, so that both can run at once."""
    for file in (files("platform_shared.ledger") / "migrations" / "versions").iterdir():
        if "def upgrade()" in (file.read_text() if file.name.endswith(".py") else ""):
            upgrade = file.read_text().split("def upgrade()")[1].split("def downgrade()")[0]
            assert not [word for word in ("drop_", "alter_column", "rename") if word in upgrade], file.name
