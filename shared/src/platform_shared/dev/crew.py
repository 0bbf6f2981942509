"""Starts children so that what they print goes to their log and, where it matters, to the terminal."""

import time
from collections.abc import Callable
from pathlib import Path

from platform_shared.dev.child import Kind
from platform_shared.dev.output import Excerpt, Level, LogFile, Terminal
from platform_shared.dev.processes import Child, Program, start

OURSELVES = "dev"


class Crew:
    """All that was started, by name, with one log file a name."""

    def __init__(self, logs: Path, terminal: Terminal, verbose: bool) -> None:
        self._logs = logs
        self._terminal = terminal
        self._verbose = verbose
        self._files: dict[str, LogFile] = {}

    async def start(self, program: Program, quiet: bool = False) -> Child:
        """Starts the program as far as its imports: it runs when told to go."""
        child = await start(program, self._listener(program))
        child.quiet = quiet
        return child

    def say(self, *lines: str) -> None:
        """Prints lines of our own."""
        for line in lines:
            self._log(OURSELVES).write(f"{time.strftime('%H:%M:%S')} {line}")
            self._terminal.show(OURSELVES, line)

    def close(self) -> None:
        for file in self._files.values():
            file.close()

    def _listener(self, program: Program) -> Callable[[Child, str], None]:
        # What other programs print unasked is for people; Dagster's processes say by a header what is.
        excerpt = Excerpt(program.name, Level.NEWS if program.kind is Kind.MODULE else Level.WARNING)
        log = self._log(program.name)

        def listen(child: Child, line: str) -> None:
            log.write(line)
            if self._verbose:
                self._terminal.show(program.name, line)
            elif not child.quiet:
                shown, level = excerpt.pick(line)
                if level > Level.DETAIL:
                    self._terminal.show(program.name, shown)

        return listen

    def _log(self, name: str) -> LogFile:
        return self._files.setdefault(name, LogFile(self._logs / f"{name}.log"))
