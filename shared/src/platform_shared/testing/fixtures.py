"""Fixtures for the tests of every location; the root's conftest.py declares this module as a pytest plugin.

One embedded Postgres serves a test session. Each test that asks for `platform_home` gets a folder and a database of its
own, copied in 40 ms from one with all tables in place; the database is gone when the test ends, and the server when the
session does. One S3 server serves a session likewise, empty for each test that asks for it. Dagster is imported by the
fixtures that need it: most tests of the repository do not.
"""

import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from platform_shared.settings import Home

if TYPE_CHECKING:
    from platform_shared.postgres import PostgresServer
    from platform_shared.testing.daemon import DaemonHarness, Location
    from platform_shared.testing.faulty_proxy import FaultyProxy
    from platform_shared.testing.s3_server import S3Server

    OpenHarness = Callable[[Mapping[str, Location], datetime], DaemonHarness]


@pytest.fixture(scope="session")
def postgres_server() -> "Iterator[PostgresServer]":
    """The session's Postgres: its database has the tables of Dagster and of the ledger, and no rows.

    Tests do not use this database, they get copies (`platform_home`).
    """
    import dagster as dg

    from platform_shared.ledger import Ledger
    from platform_shared.postgres import URL_VARIABLE, postgres, stop_embedded

    with tempfile.TemporaryDirectory(prefix="platform-") as folder, pytest.MonkeyPatch.context() as environment:
        home = Home(Path(folder).resolve())
        environment.delenv(URL_VARIABLE, raising=False)
        environment.setenv("PLATFORM_HOME", str(home.root))
        environment.setenv("DAGSTER_HOME", str(home.dagster))
        home.dagster.mkdir()
        storage = "storage: {custom: {module: platform_shared.instance, class: PlatformPostgresStorage, config: {}}}\n"
        (home.dagster / "dagster.yaml").write_text(storage + "telemetry: {enabled: false}\n")
        try:
            server = postgres(home)
            # No test outlives this server: writing through to the disk would only take time.
            for setting in ("fsync", "synchronous_commit", "full_page_writes"):
                _administer(server, f"ALTER SYSTEM SET {setting} = off")
            _administer(server, "SELECT pg_reload_conf()")
            with dg.DagsterInstance.get():
                Ledger(server).close()
            environment.undo()
            yield server
        finally:
            stop_embedded(home)


@pytest.fixture
def platform_home(postgres_server: "PostgresServer", tmp_path: Path) -> Iterator[Home]:
    """An empty platform of the test's own; PLATFORM_HOME, DAGSTER_HOME and PLATFORM_POSTGRES_URL name it."""
    with _home_of_its_own(postgres_server, tmp_path) as home:
        yield home


@pytest.fixture(scope="module")
def module_home(postgres_server: "PostgresServer", tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """As `platform_home`, one for all tests of a module: for processes that take seconds to start."""
    with _home_of_its_own(postgres_server, tmp_path_factory.mktemp("module")) as home:
        yield home


@pytest.fixture
def daemon_harness(platform_home: Home) -> "Iterator[OpenHarness]":
    """Opens a `DaemonHarness` over the given locations at the given instant, in `platform_home`; closed at the end."""
    from platform_shared.testing.daemon import DaemonHarness

    with ExitStack() as stack:
        yield lambda locations, now: stack.enter_context(DaemonHarness(locations, platform_home, now))


@pytest.fixture(scope="session")
def s3_process() -> "Iterator[S3Server]":
    """The session's S3 server; tests use it through `s3_server`."""
    from platform_shared.testing.s3_server import s3_server

    with s3_server() as server:
        yield server


@pytest.fixture
def s3_server(s3_process: "S3Server", monkeypatch: pytest.MonkeyPatch) -> "S3Server":
    """An S3 server without a bucket, which the test may kill; PLATFORM_S3_ENDPOINT_URL and AWS_* name it."""
    s3_process.start()
    s3_process.reset()
    for name, value in s3_process.environment.items():
        monkeypatch.setenv(name, value)
    return s3_process


@pytest.fixture
def s3_proxy(s3_server: "S3Server", monkeypatch: pytest.MonkeyPatch) -> "Iterator[FaultyProxy]":
    """A proxy in front of `s3_server` that misbehaves when told; PLATFORM_S3_ENDPOINT_URL names the proxy."""
    from platform_shared.testing.faulty_proxy import faulty_proxy

    with faulty_proxy(s3_server.endpoint_url) as proxy:
        monkeypatch.setenv("PLATFORM_S3_ENDPOINT_URL", proxy.url)
        yield proxy


@contextmanager
def _home_of_its_own(server: "PostgresServer", folder: Path) -> Iterator[Home]:
    from platform_shared.postgres import DATABASE, URL_VARIABLE, PostgresServer

    database = f"test_{uuid.uuid4().hex[:12]}"
    _administer(server, f"CREATE DATABASE {database} TEMPLATE {DATABASE}")
    home = Home(folder.resolve() / "platform")
    home.root.mkdir()
    url = PostgresServer(server.url.set(database=database)).url
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PLATFORM_HOME", str(home.root))
        environment.setenv("DAGSTER_HOME", str(home.dagster))
        environment.setenv(URL_VARIABLE, url.render_as_string(hide_password=False))
        yield home
    _administer(server, f"DROP DATABASE {database} WITH (FORCE)")


def _administer(server: "PostgresServer", statement: str) -> None:
    """Runs a statement that no transaction may hold."""
    from platform_shared.postgres import PostgresServer

    connection = PostgresServer(server.url.set(database="postgres")).connect()
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)
    finally:
        connection.close()
