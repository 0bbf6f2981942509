"""Starts all of `make dev`, keeps it running and ends it without leaving a process or a run behind."""

import asyncio
import importlib.util
import json
import os
import secrets
import shutil
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from platform_shared.dev import announcements, changes, restarts
from platform_shared.dev.background import Background
from platform_shared.dev.child import Kind
from platform_shared.dev.crew import OURSELVES, Crew
from platform_shared.dev.editing import Editing
from platform_shared.dev.environment import child_environment
from platform_shared.dev.locations import Location, Start
from platform_shared.dev.output import Terminal
from platform_shared.dev.preconditions import HOST, CannotStart
from platform_shared.dev.processes import Child, Program
from platform_shared.dev.sockets import private_folder
from platform_shared.dev.stopping import Impatience, stop
from platform_shared.dev.world import DEMO_MODULE, made_known, object_store, world_arguments
from platform_shared.settings import Home
from platform_shared.webserver import WEBSERVER_VARIABLE
from platform_shared.workspace.loading import interpreter
from platform_shared.workspace.projects import Project

DAEMON, WEBSERVER, DEMO, S3 = "daemon", "webserver", "demo", "s3"
DEMO_ARGUMENTS = ("--days", "14", "--today", "--per-minute", "6")

SECONDS_FOR_SLOW_LOCATIONS = 20.0
"""The web page waits no longer; a location that comes later appears by itself."""

_LOOK_EVERY_SECONDS = 0.03


@dataclass(frozen=True)
class Options:
    """What to run. `grace` is how many seconds runs are given to end when all is stopped.

    Without a `port` there is no web page, and edits are not watched. `demo` is for the demo world that plays live, and
    `s3` for the S3 server that it fills.
    """

    root: Path
    home: Home
    projects: tuple[Project, ...]
    port: int | None
    demo: bool
    s3: bool
    verbose: bool
    grace: float


class Supervisor:
    """One run of `make dev`."""

    def __init__(self, options: Options) -> None:
        names = [OURSELVES, DAEMON, WEBSERVER, DEMO, S3, *(project.location_name for project in options.projects)]
        self._options = options
        self._crew = Crew(options.home.root / "logs", Terminal(max(map(len, names))), options.verbose)
        self._impatience = Impatience()
        self._background = Background()
        told = child_environment(os.environ, options.home, options.root)
        self._store = object_store(told) if options.s3 else None
        self._prefix = f"/{secrets.token_hex(8)}"
        self._provided = self._store.environment if self._store else {}
        if options.port is not None:
            self._provided[WEBSERVER_VARIABLE] = f"http://{HOST}:{options.port}{self._prefix}"
        self.environment = self._provided | told
        """What all children get; those of a project may get more."""
        self._folder = private_folder()
        self._others: dict[str, Child] = {}
        self._deaths: dict[str, list[float]] = {}
        self._loads: list[asyncio.Task[bool]] = []
        self._locations = {
            project.location_name: self._location(project, self._folder / f"{number}.s")
            for number, project in enumerate(options.projects)
        }
        self._editing = Editing(
            options.root,
            changes.watched(options.root, options.projects),
            self._locations,
            self._crew,
            self.environment,
        )

    async def run(self, until: Callable[[], Awaitable[int]] | None = None) -> int:
        """Serves until it is asked to stop; 0 then, however it was asked. Raises what kept it from starting.

        With `until` it serves until that is done, and returns its result, or 130 if it is asked to stop before.
        """
        with made_known(self._options.home, self._provided):
            return await self._run(until)

    async def _run(self, until: Callable[[], Awaitable[int]] | None) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._impatience.ask)
        starting = asyncio.create_task(self._start())
        asked = asyncio.create_task(self._impatience.asked.wait())
        try:
            await asyncio.wait((starting, asked), return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                # Raises what kept it from starting.
                starting.result()
                if until is None:
                    await asked
                else:
                    return await self._unless_asked(until, asked)
        finally:
            starting.cancel()
            asked.cancel()
            await asyncio.wait((starting,))
            await self._stop()
        return 0 if until is None else 130

    async def _unless_asked(self, until: Callable[[], Awaitable[int]], asked: "asyncio.Task[Literal[True]]") -> int:
        work = asyncio.ensure_future(until())
        await asyncio.wait((work, asked), return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            return work.result()
        work.cancel()
        await asyncio.wait((work,))
        return 130

    async def _start(self) -> None:
        if self._options.port is None:
            await self._start_without_page()
        else:
            await self._start_with_page(self._options.port)

    async def _start_without_page(self) -> None:
        self._crew.say(f"starting {len(self._locations)} code locations and a daemon …")
        await asyncio.gather(*(location.prepare() for location in self._locations.values()))
        await asyncio.to_thread(_start_postgres, self._options.home)
        if await self._load_all() < len(self._locations):
            raise CannotStart("A code location does not load; the error is above.")
        await self._start_daemon()

    async def _start_with_page(self, port: int) -> None:
        began = time.monotonic()
        self._crew.say(f"starting {len(self._locations)} code locations, a daemon and the web page …")
        self._background.start(self._editing.watch())
        webserver = self._webserver(port)
        # All import at once, none runs before what it needs is there. The page does not need the daemon, which is last.
        await asyncio.gather(self._launch(webserver), *(location.prepare() for location in self._locations.values()))
        await asyncio.to_thread(_start_postgres, self._options.home)
        loaded = await self._load_all(SECONDS_FOR_SLOW_LOCATIONS)
        self._keep(webserver)
        await self._page_answers(port)
        base_url = self._provided[WEBSERVER_VARIABLE]
        self._crew.say(*announcements.ready(base_url, time.monotonic() - began, loaded, len(self._locations)))
        await self._start_daemon()
        demo = self._options.demo and importlib.util.find_spec(DEMO_MODULE) is not None
        if demo:
            await self._start_demo()
        self._crew.say(*announcements.next_steps(self._options.home, self._options.root, demo))
        self._background.start(self._editing.watch_for_projects())
        self._editing.serve(self._background)

    async def _start_daemon(self) -> None:
        """The daemon, and before it the S3 server that its sensors ask. The page waits for neither."""
        programs = [self._program(DAEMON, Kind.DAEMON, "run", "-w", str(self._workspace()))]
        if self._store is not None:
            programs.insert(0, self._program(S3, Kind.MODULE, *self._store.arguments))
        for program in programs:
            await self._launch(program)
            self._keep(program)

    async def _load_all(self, timeout: float | None = None) -> int:
        """How many locations serve their code by then; the others go on trying."""
        self._loads = [asyncio.create_task(self._editing.load_first(each)) for each in self._locations.values()]
        await asyncio.wait(self._loads, timeout=timeout)
        return sum(1 for load in self._loads if load.done() and load.result())

    def _location(self, project: Project, socket: Path) -> Location:
        options = self._options
        how = Start(
            python=interpreter(options.root, project),
            root=options.root,
            environment=child_environment(os.environ, options.home, options.root, project.path, self._provided),
            start=self._crew.start,
        )
        return Location(project, socket, how, on_death=self._location_died)

    def _webserver(self, port: int) -> Program:
        arguments = ("-h", HOST, "-p", str(port), "-w", str(self._workspace()))
        return self._program(WEBSERVER, Kind.WEBSERVER, *arguments, "--path-prefix", self._prefix)

    def _program(self, name: str, kind: Kind, *arguments: str) -> Program:
        return Program(name, kind, arguments, self.environment, self._options.root)

    def _workspace(self) -> Path:
        """The file that tells webserver and daemon where the code servers listen."""
        path = self._folder / "workspace.yaml"
        entries = [
            {"grpc_server": {"socket": str(location.socket), "location_name": location.name}}
            for location in self._locations.values()
        ]
        path.write_text(json.dumps({"load_from": entries}))
        return path

    async def _launch(self, program: Program) -> None:
        self._others[program.name] = await self._crew.start(program)

    def _keep(self, program: Program) -> None:
        self._background.start(self._run_for_ever(program))

    async def _run_for_ever(self, program: Program) -> None:
        while True:
            child = self._others[program.name]
            child.go()
            if not await self._may_restart(child, announcements.START_AGAIN):
                return
            await self._launch(program)

    def _location_died(self, location: Location, server: Child) -> None:
        self._background.start(self._revive(location, server))

    async def _revive(self, location: Location, server: Child) -> None:
        if await self._may_restart(server, announcements.EDIT_IT):
            await self._editing.load_again(location)

    async def _may_restart(self, child: Child, remedy: str) -> bool:
        """Waits until it has ended and, after a pause, may be started again. False if that happens too often."""
        code = await child.ended()
        now, name = time.monotonic(), child.program.name
        deaths = self._deaths.setdefault(name, [])
        deaths.append(now)
        pause = restarts.delay(deaths, now)
        if pause is None:
            self._crew.say(announcements.given_up(name, code, remedy))
            return False
        self._crew.say(*announcements.restarted(name, code, child.error))
        await asyncio.sleep(pause)
        return True

    async def _page_answers(self, port: int) -> None:
        while True:
            try:
                _, writer = await asyncio.open_connection(HOST, port)
            except OSError:
                await asyncio.sleep(_LOOK_EVERY_SECONDS)
                continue
            writer.close()
            return

    async def _start_demo(self) -> None:
        landing = self._options.home.landing
        landing.mkdir(parents=True, exist_ok=True)
        arguments = world_arguments(landing, self.environment)
        demo = self._program(DEMO, Kind.MODULE, DEMO_MODULE, *arguments, *DEMO_ARGUMENTS)
        await self._launch(demo)
        self._others[DEMO].go()
        self._background.start(self._mourn(self._others[DEMO]))

    async def _mourn(self, child: Child) -> None:
        code = await child.ended()
        self._crew.say(announcements.over(child.program.name, code))

    async def _stop(self) -> None:
        for load in self._loads:
            load.cancel()
        await asyncio.gather(self._background.cancel(), *self._loads, return_exceptions=True)
        await asyncio.gather(*(location.close() for location in self._locations.values()))
        self._crew.say("stopping …")
        first = [self._others[name] for name in (DEMO, DAEMON, WEBSERVER) if name in self._others]
        code_servers = [server for location in self._locations.values() for server in location.servers]
        last = [self._others[S3]] if S3 in self._others else []
        await stop(first, code_servers, last, self._options.grace, self._impatience, self._crew.say)
        shutil.rmtree(self._folder, ignore_errors=True)
        self._crew.say("stopped." if self._options.port is None else "stopped. Postgres goes on: `make down` ends it.")
        self._crew.close()


def _start_postgres(home: Home) -> None:
    # Imported while the children import too; at the top the page would wait for it.
    from platform_shared.postgres import postgres

    postgres(home)
