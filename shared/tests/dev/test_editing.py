"""Edits that come while one is being served."""

import asyncio
from pathlib import Path

from platform_shared.dev.background import Background
from platform_shared.dev.changes import Watched
from platform_shared.dev.crew import Crew
from platform_shared.dev.editing import Editing
from platform_shared.dev.locations import Location, Outcome, Start
from platform_shared.dev.output import Terminal
from platform_shared.dev.processes import Child, Program
from platform_shared.workspace.projects import Project


class SlowLocation(Location):
    """Loads when it is let."""

    def __init__(self, root: Path) -> None:
        async def never(_: Program) -> Child:
            raise AssertionError("nothing is started here")

        project = Project("batch", root / "projects/batch", "batch", "batch.definitions", "batch")
        super().__init__(project, root / "0.s", Start(root, root, {}, never), lambda *_: None)
        self.loads = 0
        self.begun = asyncio.Event()
        self.let = asyncio.Event()

    async def load(self) -> Outcome:
        self.loads += 1
        self.begun.set()
        await self.let.wait()
        return Outcome.SERVED


def test_edits_during_a_reload_are_the_next_one_together(tmp_path: Path) -> None:
    async def scenario() -> int:
        location = SlowLocation(tmp_path)
        source = tmp_path / "projects/batch/src"
        crew = Crew(tmp_path / "logs", Terminal(5), verbose=False)
        editing = Editing(tmp_path, Watched({"batch": source}, tmp_path / "shared", {}), {"batch": location}, crew, {})
        editing.serve(background := Background())
        editing.note([source / "a.py"])
        await location.begun.wait()
        location.begun.clear()
        for name in ("b.py", "c.py", "b.py"):
            editing.note([source / name])
        location.let.set()
        await location.begun.wait()
        for _ in range(20):
            await asyncio.sleep(0)
        await background.cancel()
        crew.close()
        return location.loads

    assert asyncio.run(scenario()) == 2
