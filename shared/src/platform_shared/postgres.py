"""The one Postgres behind Dagster's storage, the ledger and the warehouse's catalog.

PLATFORM_POSTGRES_URL names a server; without it an embedded one is started on first use, by whoever comes first. It is
detached, shared by all processes of one platform home and ended by `make down` only (docs/adr/0003).
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg2
from sqlalchemy.engine import URL, make_url

from platform_shared import embedded_postgres
from platform_shared.settings import Home, SettingsError, platform_home

if TYPE_CHECKING:
    from psycopg2.extensions import connection, cursor

URL_VARIABLE = "PLATFORM_POSTGRES_URL"
DATABASE = "platform"
DAGSTER_SCHEMA = "dagster"
PLATFORM_SCHEMA = "platform"
CATALOG_SCHEMA = "lake"
_SCHEMAS = (DAGSTER_SCHEMA, PLATFORM_SCHEMA, CATALOG_SCHEMA)
# Any fixed number: whoever sets up a fresh database holds this advisory lock, so that first users do not collide.
_SETUP_LOCK = 7_401_001
# Seconds, and a count; the URL may say otherwise.
_PATIENCE = {"connect_timeout": 10, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}
# How long an embedded server may refuse sessions although it is up.
_RECOVERY_SECONDS = 30


@dataclass(frozen=True)
class PostgresServer:
    """Address of the platform's database. `repr` hides the password."""

    url: URL

    def sqlalchemy_url(self, schema: str) -> str:
        """URL for SQLAlchemy, password included, whose unqualified names live in `schema`.

        The driver is named because SQLAlchemy 2.1 takes psycopg 3 by default, which dagster-postgres cannot use.
        """
        url = self.url.set(drivername="postgresql+psycopg2")
        return url.update_query_dict({"options": f"-csearch_path={schema}"}).render_as_string(hide_password=False)

    def libpq(self) -> dict[str, str]:
        """Connection parameters by their libpq names, password included where there is one."""
        url = self.url
        parameters: dict[str, str | None] = {
            "host": url.host,
            "port": str(url.port) if url.port else None,
            "user": url.username,
            "password": url.password,
            "dbname": url.database,
        }
        for name, value in url.query.items():
            parameters[name] = value if isinstance(value, str) else value[-1]
        return {name: value for name, value in parameters.items() if value}

    def connect(self) -> "connection":
        """A new psycopg2 connection that notices a dead server within half a minute."""
        return psycopg2.connect(**{**_PATIENCE, **self.libpq()})


def postgres(home: Home | None = None) -> PostgresServer:
    """The platform's Postgres, started if it is the embedded one and down, with database and schemas in place."""
    configured = os.environ.get(URL_VARIABLE)
    if configured:
        url = make_url(configured)
        if url.get_backend_name() != "postgresql":
            raise SettingsError(f"{URL_VARIABLE} must be a postgresql:// URL, it starts with {url.drivername}://")
        server = PostgresServer(url)
    else:
        server = PostgresServer(_embedded_url(home or platform_home()))
    _prepare(server)
    return server


def _embedded_url(home: Home) -> URL:
    deadline = time.monotonic() + _RECOVERY_SECONDS
    while True:
        address = embedded_postgres.start(home.postgres)
        try:
            _create_database(PostgresServer(address))
        except psycopg2.OperationalError:
            # It was killed a moment ago, or restarts because one of its processes was.
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return address.set(database=DATABASE)


def _create_database(admin: PostgresServer) -> None:
    with _session(admin) as cursor:
        cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,))
        if cursor.fetchone() is None:
            cursor.execute("SELECT pg_advisory_lock(%s)", (_SETUP_LOCK,))
            cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,))
            if cursor.fetchone() is None:
                cursor.execute(f"CREATE DATABASE {DATABASE}")


def _prepare(server: PostgresServer) -> None:
    with _session(server) as cursor:
        cursor.execute("SELECT count(*) FROM pg_namespace WHERE nspname = ANY(%s)", (list(_SCHEMAS),))
        (present,) = cursor.fetchone()
        if present < len(_SCHEMAS):
            cursor.execute("SELECT pg_advisory_lock(%s)", (_SETUP_LOCK,))
            for schema in _SCHEMAS:
                cursor.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")


@contextmanager
def first_use(server: PostgresServer, table: str) -> Iterator[bool]:
    """Held while others make their tables in a fresh database (Dagster, DuckLake): several at once collide.

    `table` (`schema.name`) is the last that they make. Yields whether it is missing; once it is there, nobody waits.
    """
    with _session(server) as cursor:
        missing = _is_missing(cursor, table)
        if missing:
            cursor.execute("SELECT pg_advisory_lock(%s)", (_SETUP_LOCK,))
            missing = _is_missing(cursor, table)
        yield missing


def _is_missing(cursor: "cursor", table: str) -> bool:
    cursor.execute("SELECT to_regclass(%s) IS NULL", (table,))
    return bool(cursor.fetchone()[0])


@contextmanager
def _session(server: PostgresServer) -> "Iterator[cursor]":
    connection = server.connect()
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            yield cursor
    finally:
        connection.close()


def embedded_is_running(home: Home) -> bool:
    """Whether this home's embedded server is up, without starting it."""
    return embedded_postgres.is_running(home.postgres)


def stop_embedded(home: Home) -> bool:
    """Ends this home's embedded server (fast shutdown: open sessions are rolled back). False if it was not running."""
    return embedded_postgres.stop(home.postgres)
