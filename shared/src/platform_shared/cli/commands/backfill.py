"""`platform backfill`: build partitions again, and see how far it is."""

import argparse
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from platform_shared.backfills.launching import Ask, Progress
    from platform_shared.backfills.planning import Part

HELP = "build partitions of assets again, e.g. `platform backfill marts/daily_sales --from 2026-03-01 --to 2026-03-07`"

_LOOK_EVERY_SECONDS = 2.0
_MOST_UNANSWERED = 60
# The daemon says that it is there every half minute.
_SILENT_SECONDS = 120.0


def configure(parser: argparse.ArgumentParser) -> None:
    """The assets and the range."""
    parser.add_argument(
        "assets", nargs="+", metavar="ASSET", help="keys of assets, `group:<name>`, or `all` that have partitions"
    )
    parser.add_argument("--from", dest="first", required=True, metavar="P", help="first partition, or first date")
    parser.add_argument("--to", dest="last", required=True, metavar="P", help="last partition, or last date, included")
    parser.add_argument("--preview", action="store_true", help="only say what would be built")


def run(arguments: argparse.Namespace) -> int:
    """0 when all was built, 1 when some of it failed."""
    import time

    from platform_shared.backfills.launching import assets, launch, refuse_what_is_under_way
    from platform_shared.backfills.planning import BackfillError, plan, stages
    from platform_shared.cli.main import CommandError
    from platform_shared.cli.webservers import running_webserver
    from platform_shared.webserver import WEBSERVER_VARIABLE, WebserverError
    from platform_shared.why.questions import Webserver

    url = running_webserver()
    if url is None:
        raise CommandError(f"Nobody would build it: start `make dev`, or name a webserver by {WEBSERVER_VARIABLE}.")
    ask = Webserver(url)
    try:
        parts = plan(assets(ask), arguments.assets, arguments.first, arguments.last)
        refuse_what_is_under_way(ask, parts)
        print("\n".join(preview(parts)))
        if arguments.preview:
            return 0
        title = f"{', '.join(arguments.assets)} from {arguments.first} to {arguments.last}"
        waiting = stages(parts)
        while waiting:
            stage = waiting.pop(0)
            backfill = launch(ask, stage, title)
            print(f"Backfill {backfill}; it goes on if you leave (Ctrl-C), and the page's Runs can cancel it.")
            later = ", ".join(part.asset.key for each in waiting for part in each)
            if later:
                print(f"After it, in a backfill of its own, if you stay: {later}")
            if follow(ask, backfill, pause=lambda: time.sleep(_LOOK_EVERY_SECONDS)):
                if later:
                    print(f"Not started: {later}")
                return 1
        return 0
    except (BackfillError, WebserverError) as error:
        raise CommandError(str(error)) from None


def preview(parts: "Sequence[Part]") -> list[str]:
    """What will be built, a line an asset."""
    width = max(len(part.asset.key) for part in parts)
    lines = [
        f"{part.asset.key:<{width}}  {len(part.partitions):>5} partition{'s' if len(part.partitions) > 1 else ' '}"
        f"  {part.partitions[0]} to {part.partitions[-1]}  in {part.runs} run{'s' * (part.runs > 1)}"
        for part in parts
    ]
    if len(parts) > 1:
        lines.append("Assets that depend on each other and have the same partitions share their runs.")
    return lines


def follow(ask: "Ask", backfill: str, pause: Callable[[], object]) -> int:
    """Says how far it is whenever that changes, until it is over; 0 if all was built, else 1.

    A webserver that does not answer for a while (it is restarted) ends nothing; raises WebserverError after many tries.
    """
    from platform_shared import clock
    from platform_shared.backfills.launching import progress
    from platform_shared.webserver import WebserverError

    told, unanswered = "", 0
    while True:
        try:
            now = progress(ask, backfill)
        except WebserverError as error:
            unanswered += 1
            if unanswered > _MOST_UNANSWERED:
                raise WebserverError(f"{error} Backfill {backfill} goes on without it; see the page's Runs.") from None
        else:
            unanswered = 0
            text = how_far(now, clock.utc_now().timestamp())
            if text != told:
                print(text, flush=True)
                told = text
            if now.is_over:
                return 0 if now.is_good else 1
        pause()


def how_far(progress: "Progress", now: float) -> str:
    """One line; `now` in epoch seconds."""
    parts = [f"{progress.built} of {progress.targeted} built"]
    if progress.under_way:
        parts.append(f"{progress.under_way} under way")
    if progress.queued:
        parts.append(f"{progress.queued} run{'s wait' if progress.queued > 1 else ' waits'} in the queue")
    for asset, number in progress.failed.items():
        parts.append(f"{number} of {asset} failed (`platform why {asset}` says why)")
    if progress.is_over:
        parts.append("done" if progress.is_good else progress.status.lower().replace("_", " "))
    elif progress.daemon_seen_at is None or now - progress.daemon_seen_at > _SILENT_SECONDS:
        parts.append("no daemon works on backfills: is `make dev` (or dagster-daemon) running?")
    return "; ".join(parts) + (f": {progress.error}" if progress.error else "")
