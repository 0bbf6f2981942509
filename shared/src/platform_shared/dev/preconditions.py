"""What must hold before anything is started. Each check says what is wrong and what to do."""

import errno
import fcntl
import os
import shlex
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psutil

from platform_shared.settings import Home, platform_home

HOST = "127.0.0.1"
DEFAULT_HOME = ".platform"
LOCK = "dev.lock"


class CannotStart(RuntimeError):
    """Nothing was started; the message is for the person."""


def home_of(root: Path, environ: Mapping[str, str]) -> Home:
    """The state folder: as everywhere, and the repository's own if nothing names one."""
    if not environ.get("PLATFORM_HOME") and not environ.get("DAGSTER_HOME"):
        return Home(root / DEFAULT_HOME)
    return platform_home(environ)


def check_instance(home: Home) -> None:
    settings = home.dagster / "dagster.yaml"
    if not settings.is_file():
        raise CannotStart(f"{settings} is missing: this home is not set up. Run `make setup` once, then `make dev`.")


def check_port(port: int) -> None:
    """Raises CannotStart if the port is taken, with who has it as far as this user may know."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                holder = _holder(port)
                what = f"taken by {holder}" if holder else "taken"
            else:
                what = f"not to be had ({error.strerror})"
            another = port + 1 if 1024 <= port < 65_535 else 3000
            raise CannotStart(f"Port {port} is {what}. Choose another: make dev PORT={another}") from None


def _holder(port: int) -> str | None:
    try:
        connections = psutil.net_connections("tcp")
    except psutil.Error:
        return None
    for connection in connections:
        if connection.laddr and connection.laddr.port == port and connection.status == psutil.CONN_LISTEN:
            return _described(connection.pid)
    return None


def _described(pid: int | None) -> str | None:
    if pid is None:
        return None
    try:
        # Enough to know it by; what follows may be nobody's business.
        return f"pid {pid} ({shlex.join(psutil.Process(pid).cmdline()[:3])})"
    except psutil.Error:
        return f"pid {pid}"


def holder(home: Home) -> str | None:
    """Who works on the home (`make dev` or `make demo`), in words; None if nobody does."""
    try:
        descriptor = os.open(home.root / LOCK, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _told(descriptor)
    finally:
        os.close(descriptor)
    return None


def _told(descriptor: int) -> str:
    return os.read(descriptor, 100).decode(errors="replace").strip() or "another process"


@contextmanager
def only_one(home: Home, port: int | None) -> Iterator[None]:
    """Holds the home's lock; the kernel frees it with the process, so that one left behind blocks nobody."""
    home.root.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(home.root / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            running = _told(descriptor)
            raise CannotStart(
                f"`make dev` is running on {home.root} already: {running}. Use that one, or end it with Ctrl-C; "
                "a second one needs a home of its own (PLATFORM_HOME) and another port (PORT)."
            ) from None
        os.ftruncate(descriptor, 0)
        page = "" if port is None else f", http://{HOST}:{port}/"
        os.pwrite(descriptor, f"pid {os.getpid()}{page}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)
