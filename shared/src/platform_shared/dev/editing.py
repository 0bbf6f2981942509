"""Edit, save, see: watches the sources and has each touched location loaded again."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from pathlib import Path

from watchfiles import Change, awatch

from platform_shared.dev import announcements, changes
from platform_shared.dev.background import Background
from platform_shared.dev.child import Kind
from platform_shared.dev.crew import Crew
from platform_shared.dev.locations import Location, Outcome
from platform_shared.dev.processes import Program
from platform_shared.workspace.projects import PROJECTS

QUIET_MILLISECONDS = 300
LONGEST_BURST_MILLISECONDS = 5_000
"""Saves without so long a pause between them are one edit, unless they go on for longer than a burst."""

SECONDS_TO_LOAD = 15.0
"""A load that takes longer is given up when a newer edit comes: it may be the one that repairs an endless loop."""

MANIFEST_MODULE = "platform_shared.dbt.manifest"


class Editing:
    """Reloads locations after edits. Those that come while a location is loading are its next load, all together.

    Daemon and webserver are not restarted: of our code they import only where the database is, which cannot change
    under a running platform, and definitions they read from the code servers.
    """

    def __init__(
        self,
        root: Path,
        watched: changes.Watched,
        locations: Mapping[str, Location],
        crew: Crew,
        environment: Mapping[str, str],
    ) -> None:
        self._root = root
        self._watched = watched
        self._locations = locations
        self._crew = crew
        self._environment = environment
        self._edits_of_locations = {name: _Edits() for name in locations}
        self._edits_of_dbt = {folder: _Edits() for folder in watched.others}
        self._one_parse_at_a_time = asyncio.Lock()

    async def load_first(self, location: Location) -> bool:
        """The first load. One that fails is tried again with its dbt projects parsed: they may have changed since."""
        if await location.load() is Outcome.SERVED:
            return True
        folders = changes.dbt_projects_of(location.name, self._watched)
        parsed = [await self._parse(folder) for folder in folders]
        if parsed and all(parsed) and await location.load() is Outcome.SERVED:
            return True
        self._crew.say(*announcements.not_loaded(location.name, location.error))
        return False

    async def load_again(self, location: Location, began: float | None = None) -> None:
        """Loads the code as it is now and says what came of it; `began` is when that was asked for."""
        began = time.monotonic() if began is None else began
        outcome = await location.load()
        if outcome is Outcome.SERVED:
            self._crew.say(announcements.reloaded(location.name, time.monotonic() - began))
        elif outcome is Outcome.KEPT:
            self._crew.say(*announcements.not_reloaded(location.name, location.error))
        else:
            self._crew.say(*announcements.not_loaded(location.name, location.error))

    async def watch(self) -> None:
        """Notes edits until cancelled."""
        async for paths in self._changed(*self._watched.folders):
            self.note(paths)

    async def watch_for_projects(self) -> None:
        """Says it when a project appears: daemon and webserver read the list of locations once."""
        known = {location.project.path.name for location in self._locations.values()}
        async for paths in self._changed(self._root / PROJECTS, below=False):
            for name in changes.new_projects(paths, self._root, known):
                known.add(name)
                self._crew.say(announcements.new_project(name))

    def note(self, edited: Iterable[Path]) -> None:
        """Has what these files belong to loaded; what is built from a dbt project once that is parsed."""
        edit = changes.reload(edited, self._watched)
        names = edit.locations
        for folder in edit.dbt_projects:
            self._edits_of_dbt[folder].add()
            names -= self._watched.others[folder]
        self._reload(names)

    def serve(self, background: Background) -> None:
        """Starts to load what is edited."""
        for name, edits in self._edits_of_locations.items():
            background.start(self._serve_location(self._locations[name], edits))
        for folder, edits in self._edits_of_dbt.items():
            background.start(self._serve_dbt_project(folder, edits))

    async def _serve_location(self, location: Location, edits: "_Edits") -> None:
        while True:
            await self.load_again(location, await edits.next())

    async def _serve_dbt_project(self, folder: Path, edits: "_Edits") -> None:
        while True:
            began = await edits.next()
            if await self._parse(folder):
                self._reload(self._watched.others[folder], began)

    def _reload(self, names: Iterable[str], began: float | None = None) -> None:
        for name in names:
            self._locations[name].give_up_load(SECONDS_TO_LOAD)
            self._edits_of_locations[name].add(began)

    async def _parse(self, folder: Path) -> bool:
        """Prepares the manifest of a dbt project, in a process of its own."""
        async with self._one_parse_at_a_time:
            program = Program("dbt", Kind.MODULE, (MANIFEST_MODULE, str(folder)), self._environment, self._root)
            child = await self._crew.start(program, quiet=True)
            child.go()
            try:
                code = await child.ended()
            except asyncio.CancelledError:
                child.disown()
                raise
        if code == 0:
            return True
        error = child.error or f"exit code {code}, see {announcements.log_of(program.name)}"
        self._crew.say(*announcements.not_parsed(folder.name, sorted(self._watched.others[folder]), error))
        return False

    async def _changed(self, *folders: Path, below: bool = True) -> AsyncIterator[list[Path]]:
        """Batches of changed files; below the folders, or only in them."""
        present = [folder for folder in folders if folder.is_dir()]
        try:
            async for batch in awatch(
                *present,
                watch_filter=self._is_source if below else None,
                recursive=below,
                step=QUIET_MILLISECONDS,
                debounce=LONGEST_BURST_MILLISECONDS,
            ):
                yield [Path(path) for _, path in batch]
        except OSError as error:
            self._crew.say(announcements.not_watching(error))

    def _is_source(self, _: Change, path: str) -> bool:
        return changes.is_source(Path(path), self._watched)


class _Edits:
    """Edits of one thing that are not served yet: however many, they are served together."""

    def __init__(self) -> None:
        self._there = asyncio.Event()
        self._since: float | None = None

    def add(self, since: float | None = None) -> None:
        if self._since is None:
            self._since = time.monotonic() if since is None else since
        self._there.set()

    async def next(self) -> float:
        """Waits for edits and takes them; when the first of them was made."""
        await self._there.wait()
        self._there.clear()
        since, self._since = self._since, None
        assert since is not None
        return since
