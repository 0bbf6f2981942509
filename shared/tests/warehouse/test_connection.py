"""Connections to the lake: what they may do, and what they do not tell."""

import dataclasses
import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import psycopg2
import pytest

from platform_shared.postgres import PostgresServer
from platform_shared.warehouse import Warehouse
from platform_shared.warehouse.extensions import EXTENSIONS, extension_directory

PASSWORD = "p4ss'w\"ord \\ %s"


@pytest.fixture
def with_password(warehouse: Warehouse) -> Warehouse:
    """The embedded server believes any password."""
    return dataclasses.replace(warehouse, server=PostgresServer(warehouse.server.url.set(password=PASSWORD)))


def test_a_reader_cannot_write(lake: Any, warehouse: Warehouse) -> None:
    lake.put(1, "a")
    statements = [
        f"DELETE FROM {lake.table.sql}",
        f"INSERT INTO {lake.table.sql} VALUES ('b', 1)",
        "CREATE TABLE lake.raw.more (x INTEGER)",
        f"DROP TABLE {lake.table.sql}",
        "CALL ducklake_expire_snapshots('lake', older_than => now())",
    ]
    with warehouse.connect(read_only=True) as reader:
        for statement in statements:
            with pytest.raises(duckdb.Error, match="read-only"):
                reader.execute(statement)
    assert lake.rows() == [("a", 1, 2)]


def test_a_reader_may_come_first(warehouse: Warehouse) -> None:
    with warehouse.connect(read_only=True) as reader:
        assert reader.execute("SELECT count(*) FROM duckdb_tables() WHERE database_name = 'lake'").fetchone() == (0,)


def test_the_session_is_in_utc_and_within_its_limits(connection: duckdb.DuckDBPyConnection) -> None:
    settings = connection.execute(
        "SELECT current_setting('TimeZone'), current_setting('threads'), current_setting('memory_limit'), "
        "current_setting('allow_unsigned_extensions'), current_setting('temp_directory')"
    ).fetchone()
    assert settings is not None
    assert settings[:4] == ("UTC", 1, "244.1 MiB", False)
    assert Path(settings[4]).is_absolute()


def test_what_exceeds_the_memory_goes_to_the_temporary_folder(
    warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = set(os.listdir(tmp_path))
    small = dataclasses.replace(warehouse, memory_limit="40MB")
    with small.connect() as connection:
        connection.execute("CREATE TABLE t AS SELECT range AS x, md5(range::VARCHAR) AS y FROM range(1_000_000)")
        assert connection.execute("SELECT sum(size) > 0 FROM duckdb_temporary_files()").fetchone() == (True,)
        folder = Path(str((connection.execute("SELECT current_setting('temp_directory')").fetchone() or ("",))[0]))
        assert folder.is_dir()
    assert set(os.listdir(tmp_path)) == before
    assert not folder.exists()


def test_the_password_is_nowhere_to_be_seen(with_password: Warehouse) -> None:
    assert PASSWORD not in repr(with_password)
    with with_password.connect() as connection:
        for function in ("duckdb_databases", "duckdb_secrets", "duckdb_settings", "duckdb_logs", "duckdb_variables"):
            told = str(connection.execute(f"SELECT * FROM {function}()").fetchall())
            assert "p4ss" not in told, function


def attach_anew(connection: duckdb.DuckDBPyConnection, server: PostgresServer, warehouse: Warehouse) -> None:
    """What `connect` does in DuckDB, without the look at the catalog that it takes before."""
    secret = dataclasses.replace(warehouse, server=server)._catalog_secret()
    connection.execute("DETACH lake")
    connection.execute(secret.replace("CREATE SECRET", "CREATE OR REPLACE SECRET"))
    connection.execute("ATTACH 'ducklake:postgres:' AS lake (META_SECRET 'catalog', METADATA_SCHEMA 'lake')")


@pytest.mark.parametrize("host", ["127.0.0.1", "/nowhere"])
def test_an_error_does_not_tell_the_password(
    host: str, with_password: Warehouse, connection: duckdb.DuckDBPyConnection
) -> None:
    unreachable = PostgresServer(with_password.server.url.set(query={"host": host, "port": "1"}))
    with pytest.raises(psycopg2.Error) as raised, dataclasses.replace(with_password, server=unreachable).connect():
        pass
    assert host in str(raised.value)
    assert "p4ss" not in str(raised.value)
    with pytest.raises(duckdb.Error) as told:
        attach_anew(connection, unreachable, with_password)
    assert host in str(told.value)
    assert "p4ss" not in str(told.value)


def test_other_parameters_of_the_url_count_for_the_catalog_too(
    warehouse: Warehouse, relay: Callable[..., Any], connection: duckdb.DuckDBPyConnection
) -> None:
    """`sslmode` above all: without it, a server that has lost its certificate would be spoken to in clear text."""
    between, host = relay(tcp=True)
    query = {"host": host, "port": str(between.port), "application_name": "it's us"}
    server = PostgresServer(warehouse.server.url.set(query=query))
    with dataclasses.replace(warehouse, server=server).connect() as opened:
        opened.execute("CREATE SCHEMA lake.raw")
        session = warehouse.server.connect()
        with session.cursor() as cursor:
            cursor.execute("SELECT application_name FROM pg_stat_activity WHERE datname = current_database()")
            assert ("it's us",) in cursor.fetchall()
        session.close()

    with pytest.raises(duckdb.Error, match="SSL"):
        attach_anew(connection, PostgresServer(server.url.update_query_dict({"sslmode": "require"})), warehouse)


LINK = """
import sys
from pathlib import Path
from platform_shared.warehouse.extensions import extension_directory
print("ready", flush=True)
sys.stdin.readline()
for _ in range(20):
    extension_directory(Path(sys.argv[1]))
"""


def test_extensions_are_linked_by_several_processes_at_once(tmp_path: Path) -> None:
    root = tmp_path / "duckdb"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", LINK, str(root)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        errors = [process.communicate("go\n", timeout=60)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert errors == [""] * 4
    [folder] = root.glob("*/*")
    assert sorted(path.name for path in folder.iterdir()) == sorted(f"{name}.duckdb_extension" for name in EXTENSIONS)
    assert all(path.is_symlink() and path.stat().st_size > 1_000_000 for path in folder.iterdir())


def test_a_link_into_a_former_environment_is_renewed(tmp_path: Path) -> None:
    extension_directory(tmp_path)
    [link] = tmp_path.glob("*/*/ducklake.duckdb_extension")
    there = link.readlink()
    link.unlink()
    link.symlink_to(tmp_path / "gone")
    extension_directory(tmp_path)
    assert link.readlink() == there


def test_extensions_load_with_signatures_checked_and_no_network(
    warehouse: Warehouse, connection: duckdb.DuckDBPyConnection
) -> None:
    loaded = connection.execute(
        "SELECT extension_name, install_path FROM duckdb_extensions() WHERE loaded AND extension_name IN "
        "('ducklake', 'postgres_scanner') ORDER BY ALL"
    ).fetchall()
    assert [name for name, _ in loaded] == ["ducklake", "postgres_scanner"]
    assert all(str(warehouse.extensions) in path for _, path in loaded)


@pytest.mark.parametrize("package", ["pandas", "pyarrow"])
def test_no_package_that_duckdb_would_import_for_nothing(package: str) -> None:
    """Where they are installed, the first bound parameter of a process costs more than a second."""
    assert importlib.util.find_spec(package) is None
