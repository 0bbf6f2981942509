"""Edit, save, see: watches the sources and has each touched location loaded again."""

import asyncio
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from watchfiles import Change, awatch

from platform_shared.dev import announcements, changes
from platform_shared.dev.child import Kind
from platform_shared.dev.crew import Crew
from platform_shared.dev.locations import Location, Outcome
from platform_shared.dev.processes import Program
from platform_shared.workspace.projects import PROJECTS

QUIET_MILLISECONDS = 300
LONGEST_BURST_MILLISECONDS = 5_000
"""Saves without so long a pause between them are one edit, unless they go on for longer than a burst."""

MANIFEST_MODULE = "platform_shared.dbt.manifest"


class Editing:
    """Reloads locations after edits; those that come while a reload is under way are the next one, all together.

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
        self._pending = changes.Reload()
        self._edited = asyncio.Event()
        self._one_parse_at_a_time = asyncio.Lock()

    async def watch(self) -> None:
        """Notes edits until cancelled."""
        async for batch in awatch(
            *(folder for folder in self._watched.folders if folder.is_dir()),
            watch_filter=self._is_source,
            step=QUIET_MILLISECONDS,
            debounce=LONGEST_BURST_MILLISECONDS,
        ):
            self.note(Path(path) for _, path in batch)

    def note(self, edited: Iterable[Path]) -> None:
        """Has what these files belong to loaded next."""
        self._pending |= changes.reload(edited, self._watched)
        self._edited.set()

    async def watch_for_projects(self) -> None:
        """Says it when a project appears: daemon and webserver read the list of locations once."""
        known = {location.project.path.name for location in self._locations.values()}
        async for batch in awatch(self._root / PROJECTS, recursive=False, step=QUIET_MILLISECONDS):
            for name in changes.new_projects([Path(path) for _, path in batch], self._root, known):
                known.add(name)
                self._crew.say(announcements.new_project(name))

    async def reload(self) -> None:
        """Loads what was edited until cancelled."""
        while True:
            await self._edited.wait()
            self._edited.clear()
            edit, self._pending = self._pending, changes.Reload()
            began = time.monotonic()
            names = edit.locations
            for folder in sorted(edit.dbt_projects):
                if not await self._parse(folder):
                    names -= self._watched.others[folder]
            await asyncio.gather(*(self._reload(self._locations[name], began) for name in sorted(names)))

    async def load_first(self, location: Location) -> bool:
        """The first load. One that fails is tried again with its dbt projects parsed: they may have changed since."""
        if await location.load() is Outcome.SERVED:
            return True
        folders = changes.dbt_projects_of(location.name, self._watched)
        parsed = [await self._parse(folder) for folder in folders]
        if parsed and all(parsed) and await location.load() is Outcome.SERVED:
            return True
        self._crew.say(*announcements.not_loaded(location.name, location.error or ""))
        return False

    async def load_again(self, location: Location) -> None:
        """Loads a location whose server is gone."""
        await self._reload(location, time.monotonic())

    async def _reload(self, location: Location, began: float) -> None:
        outcome = await location.load()
        if outcome is Outcome.SERVED:
            self._crew.say(announcements.reloaded(location.name, time.monotonic() - began))
        elif outcome is Outcome.KEPT:
            self._crew.say(*announcements.not_reloaded(location.name, location.error or ""))
        else:
            self._crew.say(*announcements.not_loaded(location.name, location.error or ""))

    async def _parse(self, folder: Path) -> bool:
        """Prepares the manifest of a dbt project, in a process of its own."""
        async with self._one_parse_at_a_time:
            program = Program("dbt", Kind.MODULE, (MANIFEST_MODULE, str(folder)), self._environment, self._root)
            child = await self._crew.start(program, quiet=True)
            child.go()
            code = await child.ended()
        if code == 0:
            return True
        error = child.error or f"exit code {code}, see {announcements.log_of(program.name)}"
        self._crew.say(*announcements.not_parsed(folder.name, sorted(self._watched.others[folder]), error))
        return False

    def _is_source(self, _: Change, path: str) -> bool:
        return changes.is_source(Path(path), self._watched)
