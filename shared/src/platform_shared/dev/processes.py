"""Starts, watches and ends the children and whatever they have started."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import psutil

from platform_shared.dev.child import GO, Kind
from platform_shared.dev.environment import working_folder

_CHUNK = 65_536
_LONGEST_LINE = 1_000_000
_LOOK_EVERY_SECONDS = 0.1
_SECONDS_TO_READ_A_REPORT = 1.0


@dataclass(frozen=True)
class Program:
    """One child to start: its name for people, what it runs and how."""

    name: str
    kind: Kind
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    root: Path
    python: Path = field(default_factory=lambda: Path(sys.executable))


class Child:
    """A started program. It waits for `go`, and leads a session of its own: Ctrl-C reaches the supervisor only."""

    def __init__(self, program: Program, process: asyncio.subprocess.Process, control: socket.socket) -> None:
        self.program = program
        self.error: str | None = None
        """What it could not do, as it reported it before it ended."""
        self.quiet = False
        """Whether what it prints is for its log only."""
        self._process = process
        self._control = control
        self._ended = asyncio.create_task(self._wait())

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return not self._ended.done()

    def go(self) -> None:
        # One that has ended already does not hear it; whoever waits for it is told.
        with suppress(OSError):
            self._control.send(GO)

    async def ended(self) -> int:
        """Its exit code, once it has ended; negative if a signal ended it."""
        return await asyncio.shield(self._ended)

    def send(self, number: signal.Signals) -> None:
        if self.running:
            try:
                # Not by asyncio: it looks whether the process has ended, and if so takes its exit code from its waiter.
                os.kill(self.pid, number)
            except ProcessLookupError:
                return

    def disown(self) -> None:
        """Lets it and what it has started end as if the supervisor were gone."""
        with suppress(OSError):
            self._control.shutdown(socket.SHUT_RDWR)

    async def _wait(self) -> int:
        report = asyncio.create_task(_received(self._control))
        code = await self._process.wait()
        # All is there once the process has ended; a process that it forked may hold the other end open.
        await asyncio.wait([report], timeout=_SECONDS_TO_READ_A_REPORT)
        if report.done() and report.result():
            self.error = str(json.loads(report.result())["error"])
        report.cancel()
        self._control.close()
        return code


async def _received(control: socket.socket) -> bytes:
    loop = asyncio.get_running_loop()
    received = b""
    try:
        while chunk := await loop.sock_recv(control, _CHUNK):
            received += chunk
    except OSError:
        pass
    return received


async def start(program: Program, on_line: Callable[[Child, str], None]) -> Child:
    """Starts the program; each line that it or its descendants print is handed to `on_line`."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    output, printing = os.pipe()
    try:
        process = await asyncio.create_subprocess_exec(
            *(str(program.python), "-m", "platform_shared.dev.child"),
            *(str(theirs.fileno()), program.kind, str(program.root)),
            *program.arguments,
            stdin=asyncio.subprocess.DEVNULL,
            # A pipe of our own: asyncio's would keep the child from counting as ended while a run holds it open.
            stdout=printing,
            stderr=printing,
            pass_fds=(theirs.fileno(),),
            env=program.environment,
            cwd=working_folder(program.root),
            start_new_session=True,
        )
    except BaseException:
        ours.close()
        os.close(output)
        raise
    finally:
        theirs.close()
        os.close(printing)
    child = Child(program, process, ours)
    reading = os.fdopen(output, "rb", buffering=0)
    await asyncio.get_running_loop().connect_read_pipe(lambda: _Lines(partial(on_line, child)), reading)
    return child


class _Lines(asyncio.Protocol):
    def __init__(self, on_line: Callable[[str], None]) -> None:
        self._on_line = on_line
        self._rest = b""

    def data_received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > _LONGEST_LINE:
            lines, self._rest = [*lines, self._rest], b""
        for line in lines:
            self._on_line(line.decode(errors="replace").rstrip("\r"))

    def connection_lost(self, error: Exception | None) -> None:
        if self._rest:
            self._on_line(self._rest.decode(errors="replace"))


def descendants(children: Collection[Child]) -> list[psutil.Process]:
    """What the children have started and is still there, also if the child itself is gone."""
    sessions = {child.pid for child in children}
    found: dict[int, psutil.Process] = {}
    for process in psutil.process_iter():
        try:
            if process.pid not in sessions and os.getsid(process.pid) in sessions:
                found[process.pid] = process
        except OSError:
            continue
    for child in children:
        if child.running:
            try:
                below = psutil.Process(child.pid).children(recursive=True)
            except psutil.Error:
                continue
            found |= {process.pid: process for process in below}
    return [process for process in found.values() if _alive(process)]


def signal_all(processes: Iterable[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        try:
            process.send_signal(number)
        except psutil.Error:
            continue


async def until_gone(children: Collection[Child], seconds: float, hurry: asyncio.Event) -> bool:
    """Waits until the children and their descendants have ended, at most so long; `hurry` ends the wait."""
    deadline = asyncio.get_running_loop().time() + seconds
    while any(child.running for child in children) or descendants(children):
        if hurry.is_set() or asyncio.get_running_loop().time() > deadline:
            return False
        await asyncio.sleep(_LOOK_EVERY_SECONDS)
    return True


def _alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False
