"""Ends everything in the order that loses least: first what starts runs, then the code servers that execute them, and
last what runs may need until they end.

A code server that gets SIGTERM waits for its runs. Those that are not done after the grace get SIGTERM too: they record
that they were cut off, so that none stays STARTED. For one that cannot even do that its server records it.
"""

import asyncio
import signal
from collections.abc import Callable, Sequence

import psutil

from platform_shared.dev.processes import Child, descendants, signal_all, until_gone

SECONDS_TO_STOP = 10.0
SECONDS_WITHOUT_A_WORD = 2.0
SECONDS_TO_RECORD = 8.0
SECONDS_FOR_SERVERS_TO_RECORD = 3.0


class Impatience:
    """Counts the person's requests to stop: the second cuts the waits short, the third ends all at once."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.hurry = asyncio.Event()
        self.at_once = asyncio.Event()

    def ask(self) -> None:
        next((event for event in (self.asked, self.hurry) if not event.is_set()), self.at_once).set()


async def stop(
    others: Sequence[Child],
    code_servers: Sequence[Child],
    last: Sequence[Child],
    grace: float,
    impatience: Impatience,
    say: Callable[[str], None],
) -> None:
    """Ends the children and all that they have started; `grace` is the seconds that runs have to end by themselves."""
    _ask(others)
    await until_gone(others, SECONDS_TO_STOP, impatience.hurry)
    _kill(others)
    _ask(code_servers)
    await until_gone(code_servers, min(grace, SECONDS_WITHOUT_A_WORD), impatience.hurry)
    if _runs(code_servers) and grace > SECONDS_WITHOUT_A_WORD and not impatience.hurry.is_set():
        say(f"runs are at work: {grace:g} s for them to end (Ctrl-C again cuts them off now)")
        await until_gone(code_servers, grace - SECONDS_WITHOUT_A_WORD, impatience.hurry)
    if runs := _runs(code_servers):
        say("cutting off what is at work: its runs record a failure")
        signal_all(runs, signal.SIGTERM)
    await until_gone(code_servers, SECONDS_TO_RECORD, impatience.at_once)
    signal_all(_runs(code_servers), signal.SIGKILL)
    await until_gone(code_servers, SECONDS_FOR_SERVERS_TO_RECORD, impatience.at_once)
    _kill(code_servers)
    _ask(last)
    await until_gone(last, SECONDS_TO_STOP, impatience.hurry)
    _kill(last)
    await until_gone([*others, *code_servers, *last], SECONDS_TO_STOP, impatience.at_once)


def _ask(children: Sequence[Child]) -> None:
    for child in children:
        child.send(signal.SIGTERM)


def _kill(children: Sequence[Child]) -> None:
    signal_all(descendants(children), signal.SIGKILL)
    for child in children:
        child.send(signal.SIGKILL)


def _runs(code_servers: Sequence[Child]) -> list[psutil.Process]:
    """The processes of runs and their steps, without multiprocessing's helper, which ends with its server."""
    return [process for process in descendants(code_servers) if not _is_helper(process)]


def _is_helper(process: psutil.Process) -> bool:
    try:
        return any("resource_tracker" in argument for argument in process.cmdline())
    except psutil.Error:
        return True
