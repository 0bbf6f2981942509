"""One location's code servers: the one that serves, its successor while it loads, its predecessors while they drain.

A successor loads the code on a socket of its own. Only once it answers does its socket take the place of the public
one, by a rename: there is no moment without a server, and code that does not load never serves. Webserver and daemon
open a connection for each call, see another server id within a second and read the new definitions. The predecessor
gets SIGTERM, on which a code server waits for the runs that it has started; they end on the code that they began with.
"""

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from platform_shared.dev.background import Background
from platform_shared.dev.child import Kind
from platform_shared.dev.processes import Child, Program, descendants
from platform_shared.workspace.projects import Project

SECONDS_FOR_CALLS_IN_FLIGHT = 5.0
"""How long a predecessor goes on untouched: a sensor's tick that it is evaluating would fail with it."""

_LOOK_EVERY_SECONDS = 0.03
_LOOK_FOR_RUNS_EVERY_SECONDS = 2.0


class Outcome(Enum):
    SERVED = "the code loads and is served"
    KEPT = "the code does not load, what was served before still is"
    ERROR_SERVED = "the code does not load, and the page shows its error"


@dataclass(frozen=True)
class Start:
    """How a location's code servers are started."""

    python: Path
    root: Path
    environment: Mapping[str, str]
    start: Callable[[Program], Awaitable[Child]]


@dataclass(frozen=True)
class _Server:
    child: Child
    socket: Path


class Location:
    """The code servers of one project behind one socket; `on_death` hears of one that ended by itself while serving."""

    def __init__(
        self, project: Project, socket: Path, how: Start, on_death: Callable[["Location", Child], None]
    ) -> None:
        self.project = project
        self.socket = socket
        self.error = ""
        self._how = how
        self._on_death = on_death
        self._generation = 0
        self._prepared: _Server | None = None
        self._serving: Child | None = None
        self._loading: Child | None = None
        self._loading_since = 0.0
        self._servers: list[Child] = []
        self._one_at_a_time = asyncio.Lock()
        self._background = Background()

    @property
    def name(self) -> str:
        return self.project.location_name

    @property
    def servers(self) -> list[Child]:
        """All that were started and whose processes, or those of their runs, may still be there."""
        return list(self._servers)

    async def close(self) -> None:
        """From here on its servers may end: no one is told."""
        await self._background.cancel()

    async def prepare(self) -> None:
        """Starts the first server as far as its imports; `load` goes on from there."""
        self._prepared = await self._launch()

    async def load(self) -> Outcome:
        """Loads the code as it is now and serves it if that works; else `error` says why not."""
        async with self._one_at_a_time:
            prepared, self._prepared = self._prepared, None
            if await self._succeed(prepared or await self._launch()):
                self.error = ""
                return Outcome.SERVED
            if self._serving is not None and self._serving.running:
                return Outcome.KEPT
            # With nothing to go on serving, a server that keeps the error lets the page show it.
            await self._succeed(await self._launch("--lazy-load-user-code"))
            return Outcome.ERROR_SERVED

    def give_up_load(self, seconds: float) -> None:
        """Ends the load that is under way if it takes longer than so many seconds."""
        if self._loading is not None and time.monotonic() - self._loading_since > seconds:
            self._loading.send(signal.SIGKILL)

    async def _succeed(self, server: _Server) -> bool:
        """Lets the server load and, if it then answers, take over."""
        successor = self._loading = server.child
        self._loading_since = time.monotonic()
        successor.go()
        answers = await _answers(server)
        self._loading = None
        if not answers:
            code = await successor.ended()
            self.error = successor.error or f"its code server ended with {code} before it answered"
            self._background.start(self._forget(successor))
            return False
        successor.quiet = False
        os.replace(server.socket, self.socket)
        predecessor, self._serving = self._serving, successor
        self._background.start(self._watch(successor))
        if predecessor is not None:
            self._background.start(self._retire(predecessor))
        return True

    async def _launch(self, *flags: str) -> _Server:
        self._generation += 1
        socket = self.socket.with_suffix(f".{self._generation}")
        arguments = ["api", "grpc", "--socket", str(socket), "--location-name", self.name]
        # As in an image, nothing beside the installed packages can be imported by chance.
        arguments += ["--module-name", self.project.definitions_module, "--empty-working-directory", *flags]
        how = self._how
        child = await how.start(
            Program(self.name, Kind.CODE_SERVER, tuple(arguments), how.environment, how.root, how.python)
        )
        # What is wrong with the code is said in a few lines, once; that it loads with warnings is for `make check`.
        child.quiet = True
        self._servers.append(child)
        return _Server(child, socket)

    async def _watch(self, server: Child) -> None:
        await server.ended()
        if server is self._serving:
            self._on_death(self, server)

    async def _retire(self, predecessor: Child) -> None:
        try:
            await asyncio.wait_for(predecessor.ended(), SECONDS_FOR_CALLS_IN_FLIGHT)
        except TimeoutError:
            predecessor.send(signal.SIGTERM)
        await self._forget(predecessor)

    async def _forget(self, server: Child) -> None:
        """Once its runs have ended too: until then its id is not given to another process."""
        await server.ended()
        while descendants([server]):
            await asyncio.sleep(_LOOK_FOR_RUNS_EVERY_SECONDS)
        self._servers.remove(server)


async def _answers(server: _Server) -> bool:
    """Waits until the server listens, which it does once its code is loaded. False if it ends instead."""
    while server.child.running:
        try:
            _, writer = await asyncio.open_unix_connection(server.socket)
        except (FileNotFoundError, ConnectionRefusedError):
            await asyncio.sleep(_LOOK_EVERY_SECONDS)
            continue
        # A connection left open would hold up the server's end.
        writer.close()
        return True
    return False
