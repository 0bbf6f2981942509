"""Work that goes on beside the main line."""

import asyncio
from collections.abc import Coroutine
from typing import Any


class Background:
    """Tasks that are kept until done; an error in one is reported at once and does not touch the others."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    async def cancel(self) -> None:
        """Ends all of it; nothing is started by it any more when this returns."""
        tasks = set(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            context = {"message": f"{task.get_coro()} failed", "exception": error, "task": task}
            task.get_loop().call_exception_handler(context)
