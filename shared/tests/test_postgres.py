"""The embedded Postgres: one server, whoever starts it and whatever dies, and nothing left of it in the end."""

import fcntl
import os
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import psycopg2
import pytest
from sqlalchemy.engine import make_url

from platform_shared.embedded_postgres import EmbeddedPostgresError
from platform_shared.postgres import (
    URL_VARIABLE,
    PostgresServer,
    embedded_is_running,
    postgres,
    stop_embedded,
)
from platform_shared.settings import Home, SettingsError

CONNECT = """
import sys
from pathlib import Path
from platform_shared.postgres import postgres
from platform_shared.settings import Home
print("ready", flush=True)
sys.stdin.readline()
server = postgres(Home(Path(sys.argv[1])))
with server.connect() as connection, connection.cursor() as cursor:
    cursor.execute("SELECT pg_postmaster_start_time()::text, count(*) FROM pg_namespace WHERE nspname IN "
                   "('dagster', 'platform', 'lake')")
    print(*cursor.fetchone(), sep="|", flush=True)
sys.stdin.readline()
"""


@pytest.fixture(autouse=True)
def _embedded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(URL_VARIABLE, raising=False)


@pytest.fixture
def home() -> Iterator[Home]:
    with tempfile.TemporaryDirectory(prefix="pg-") as folder:
        home = Home(Path(folder).resolve() / "home")
        yield home
        stop_embedded(home)


def servers(home: Home) -> list[psutil.Process]:
    """All processes of this home's server, backends included."""
    every = psutil.process_iter(["name", "cwd", "status"])
    return [each for each in every if each.info["name"] == "postgres" and each.info["cwd"] == str(home.postgres)]


def postmaster(home: Home) -> int:
    return int((home.postgres / "postmaster.pid").read_text().splitlines()[0])


def ask(server: PostgresServer, query: str = "SELECT current_database()") -> Any:
    connection = server.connect()
    try:
        with connection.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetchone()[0]
    finally:
        connection.close()


def start(home: Home) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", CONNECT, str(home.root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def say(process: subprocess.Popen[str], word: str = "go") -> None:
    assert process.stdin is not None
    process.stdin.write(f"{word}\n")
    process.stdin.flush()


def hear(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline().strip()
    assert line, process.communicate()[1]
    return line


@pytest.fixture
def eight(home: Home) -> Iterator[list[subprocess.Popen[str]]]:
    """Processes that have imported all they need, and go on when they are told."""
    processes = [start(home) for _ in range(8)]
    for process in processes:
        assert hear(process) == "ready"
    yield processes
    for process in processes:
        process.kill()
        process.communicate()


def test_eight_processes_at_once_start_one_server(home: Home, eight: list[subprocess.Popen[str]]) -> None:
    for process in eight:
        say(process)
    answers = [hear(process) for process in eight]
    assert len(set(answers)) == 1, answers
    assert answers[0].endswith("|3")
    # What a first start makes under another name is gone.
    assert sorted(path.name for path in home.root.iterdir()) == ["postgres", "postgres.lock"]


def test_eight_processes_at_once_restart_a_killed_server(home: Home, eight: list[subprocess.Popen[str]]) -> None:
    first = ask(postgres(home), "SELECT pg_postmaster_start_time()::text")
    os.kill(postmaster(home), signal.SIGKILL)
    for process in eight:
        say(process)
    answers = {hear(process) for process in eight}
    assert len(answers) == 1, answers
    assert answers != {f"{first}|3"}


def test_a_killed_server_is_restarted_with_what_was_committed(home: Home) -> None:
    server = postgres(home)
    session = server.connect()
    with session, session.cursor() as cursor:
        cursor.execute("CREATE TABLE kept AS SELECT 1 AS x")
    for _ in range(3):
        os.kill(postmaster(home), signal.SIGKILL)
        # In the same process, which remembers the server, and with a session that is still open.
        assert ask(postgres(home), "SELECT count(*) FROM kept") == 1
    session.close()


def test_a_crashed_backend_does_not_matter(home: Home) -> None:
    server = postgres(home)
    session = server.connect()
    os.kill(session.info.backend_pid, signal.SIGKILL)
    assert ask(postgres(home)) == "platform"
    session.close()


def test_a_pid_file_of_before_a_reboot_does_not_matter(home: Home) -> None:
    """Its process id may be that of anything by now: here, of this process."""
    postgres(home)
    stop_embedded(home)
    lines = [str(os.getpid()), str(home.postgres), "1700000000", "5432", str(home.postgres), "", "1 2", "ready"]
    (home.postgres / "postmaster.pid").write_text("\n".join(lines))
    (home.postgres / ".s.PGSQL.5432.lock").write_text("\n".join(lines))
    assert not embedded_is_running(home)
    assert not stop_embedded(home)
    assert ask(postgres(home)) == "platform"


DIE_BEFORE_THE_END = """
import os, signal, sys
from pathlib import Path
from platform_shared.postgres import postgres
from platform_shared.settings import Home
Path.rename = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
postgres(Home(Path(sys.argv[1])))
"""


def test_a_first_start_that_was_killed_leaves_no_half_a_cluster(home: Home) -> None:
    command = [sys.executable, "-c", DIE_BEFORE_THE_END, str(home.root)]
    assert subprocess.run(command, check=False, timeout=60).returncode == -signal.SIGKILL
    [half] = home.root.glob(".postgres-*")
    (half / "global" / "pg_control").unlink()
    assert not home.postgres.exists()
    assert ask(postgres(home)) == "platform"
    assert not half.exists()


IN_A_CONTAINER = """
import ctypes, os, signal, sys
from pathlib import Path
import psutil
from platform_shared.postgres import embedded_is_running, postgres, stop_embedded
from platform_shared.settings import Home
PR_SET_CHILD_SUBREAPER = 36
assert ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
home = Home(Path(sys.argv[1]))
for _ in range(2):
    postgres(home)
    server = int((home.postgres / "postmaster.pid").read_text().split()[0])
    os.kill(server, signal.SIGKILL)
    while psutil.Process(server).status() != psutil.STATUS_ZOMBIE:
        pass
    assert not embedded_is_running(home)
postgres(home).connect().close()
assert stop_embedded(home)
assert not stop_embedded(home)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's subreapers")
def test_a_dead_server_that_nobody_reaps_is_dead(home: Home) -> None:
    """In a container whose first process does not reap, it stays as a zombie, and its process id in use."""
    command = [sys.executable, "-c", IN_A_CONTAINER, str(home.root)]
    done = subprocess.run(command, check=False, timeout=120, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["a blank", "it's", "x" * 110, "ünï"], ids=["blank", "quote", "long", "unicode"])
def test_a_home_of_any_name(name: str) -> None:
    with tempfile.TemporaryDirectory(prefix="pg-") as folder:
        home = Home(Path(folder).resolve() / name)
        try:
            server = postgres(home)
            assert ask(server) == "platform"
            sockets = Path(server.libpq()["host"])
            assert (sockets == home.postgres) == (name != "x" * 110), "only what is too long for a socket is elsewhere"
            assert stat.S_IMODE(sockets.stat().st_mode) == 0o700
            os.kill(postmaster(home), signal.SIGKILL)
            assert ask(postgres(home)) == "platform"
        finally:
            assert stop_embedded(home)
        assert not servers(home)
        assert sockets.exists() == (sockets == home.postgres)


def test_a_home_below_private_folders(tmp_path: Path) -> None:
    """Run by root, the server has another user, who must get there; pytest's own folders let nobody else in."""
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    home = Home(private / "home")
    try:
        assert ask(postgres(home)) == "platform"
        assert stat.S_IMODE(home.postgres.stat().st_mode) == 0o700
    finally:
        assert stop_embedded(home)


def test_stopping_leaves_nothing_even_if_the_starter_was_killed(home: Home) -> None:
    process = start(home)
    try:
        assert hear(process) == "ready"
        say(process)
        hear(process)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    finally:
        process.kill()
    assert embedded_is_running(home)
    session = postgres(home).connect()
    assert stop_embedded(home)
    assert not embedded_is_running(home)
    assert not servers(home)
    assert not list(home.postgres.glob(".s.PGSQL*"))
    assert not (home.postgres / "postmaster.pid").exists()
    assert not stop_embedded(home)
    with pytest.raises(psycopg2.Error), session.cursor() as cursor:
        cursor.execute("SELECT 1")


def test_a_server_that_another_process_restarted_is_stopped(home: Home) -> None:
    postgres(home)
    os.kill(postmaster(home), signal.SIGKILL)
    process = start(home)
    hear(process)
    say(process)
    hear(process)
    process.communicate("bye\n")
    assert stop_embedded(home)
    assert not servers(home)


def test_looking_starts_nothing(home: Home) -> None:
    assert not embedded_is_running(home)
    assert not stop_embedded(home)
    assert not home.root.exists()


def test_a_server_that_cannot_start_says_why(home: Home) -> None:
    postgres(home)
    stop_embedded(home)
    with (home.postgres / "postgresql.conf").open("a") as settings:
        settings.write("\nno_such_setting = 1\n")
    with pytest.raises(EmbeddedPostgresError, match="no_such_setting"):
        postgres(home)


def test_a_folder_of_something_else_is_not_taken(home: Home) -> None:
    home.postgres.mkdir(parents=True)
    (home.postgres / "precious").write_text("data")
    with pytest.raises(OSError, match="not empty"):
        postgres(home)
    assert (home.postgres / "precious").read_text() == "data"


def test_a_running_server_is_found_without_waiting_for_those_who_start_one(home: Home) -> None:
    postgres(home)
    with (home.root / "postgres.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert ask(postgres(home)) == "platform"


def test_the_servers_own_variables_do_not_move_it(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """dbt's environment names the server by PGHOST and PGPORT."""
    monkeypatch.setenv("PGPORT", "5999")
    monkeypatch.setenv("PGHOST", "/nowhere")
    monkeypatch.setenv("PGDATABASE", "nothing")
    assert ask(postgres(home)) == "platform"


def test_a_configured_server_is_taken_as_it_is(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    url = postgres(home).url.update_query_dict({"connect_timeout": "7", "application_name": "me"})
    monkeypatch.setenv(URL_VARIABLE, url.set(password="p4ss").render_as_string(hide_password=False))
    elsewhere = Home(home.root / "elsewhere")
    server = postgres(elsewhere)
    assert ask(server, "SELECT current_setting('application_name')") == "me"
    assert not elsewhere.root.exists()
    assert "p4ss" not in repr(server)
    assert server.libpq()["password"] == "p4ss"
    assert "p4ss" in server.sqlalchemy_url("lake")


def test_another_kind_of_database_is_refused(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(URL_VARIABLE, "mysql://somebody:secret@db/platform")
    with pytest.raises(SettingsError, match="mysql://") as raised:
        postgres(home)
    assert "secret" not in str(raised.value)


def test_names_for_libpq() -> None:
    server = PostgresServer(make_url("postgresql://u:p%40ss@db:6432/platform?sslmode=require&host=other"))
    assert server.libpq() == {
        "host": "other",
        "port": "6432",
        "user": "u",
        "password": "p@ss",
        "dbname": "platform",
        "sslmode": "require",
    }
