"""What every child of `make dev` is started as: `python -m platform_shared.dev.child CONTROL KIND ROOT ARGUMENT…`.

CONTROL is the descriptor of a socket whose other end the supervisor holds. It closes when the supervisor ends, however
it ends, and then the child and all that it has started end too. Until the supervisor says `go` the child only imports:
a webserver that serves before its locations answer shows them as errors. ROOT is the repository's, to tell its files
from others in the report of an error.

Imports nothing but the standard library: Dagster's run workers import this module again.
"""

import gc
import importlib.metadata
import json
import os
import runpy
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable
from enum import StrEnum

GO = b"go\n"
SECONDS_TO_END = 8.0
"""How long a child whose supervisor is gone may take to end before it and its group are killed."""


class Kind(StrEnum):
    CODE_SERVER = "code-server"
    DAEMON = "daemon"
    WEBSERVER = "webserver"
    MODULE = "module"


# Command and the distribution that installs it.
_COMMANDS = {
    Kind.CODE_SERVER: ("dagster", "dagster"),
    Kind.DAEMON: ("dagster-daemon", "dagster"),
    Kind.WEBSERVER: ("dagster-webserver", "dagster-webserver"),
}


def main(arguments: list[str]) -> int:
    """Runs one command in this process once the supervisor says so."""
    descriptor, kind, root = int(arguments[0]), Kind(arguments[1]), arguments[2]
    # Importing and evaluating automation conditions make many small objects that stay: with the usual thresholds the
    # first takes a quarter longer, the second twice as long.
    gc.set_threshold(200_000, 50, 100)
    _restore_signals()
    os.set_inheritable(descriptor, False)
    control = socket.socket(fileno=descriptor)
    go = threading.Event()
    threading.Thread(target=_obey, args=(control, go), name="supervisor", daemon=True).start()
    command = _command(kind, arguments[3:])
    go.wait()
    try:
        command()
    except Exception as error:
        from platform_shared.dev.errors import summary

        traceback.print_exc()
        _report(control, summary(error, root))
        return 1
    except SystemExit as error:
        if isinstance(error.code, str):
            _report(control, error.code)
        raise
    return 0


def _restore_signals() -> None:
    """A script that starts something with `&` makes it ignore SIGINT, and all its children inherit that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _obey(control: socket.socket, go: threading.Event) -> None:
    """Passes on `go`, and ends this process group when the supervisor is gone."""
    try:
        while control.recv(len(GO)):
            go.set()
    except OSError:
        pass
    os.killpg(os.getpid(), signal.SIGTERM)
    time.sleep(SECONDS_TO_END)
    os.killpg(os.getpid(), signal.SIGKILL)


def _command(kind: Kind, arguments: list[str]) -> Callable[[], object]:
    """The command to run, with what it needs imported."""
    if kind is Kind.MODULE:
        sys.argv = arguments
        return lambda: runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)
    script, distribution = _COMMANDS[kind]
    sys.argv = [script, *arguments]
    scripts = importlib.metadata.distribution(distribution).entry_points.select(group="console_scripts", name=script)
    (entry_point,) = scripts
    command: Callable[[], object] = entry_point.load()
    return command


def _report(control: socket.socket, error: str) -> None:
    try:
        control.sendall(json.dumps({"error": error}).encode())
    except OSError:
        return


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
