"""`platform replay`: let objects be loaded again."""

import argparse

HELP = "load objects of a feed again, e.g. `platform replay --feed order_lines --quarantined`"


def configure(parser: argparse.ArgumentParser) -> None:
    """The feed, and one choice of objects."""
    parser.add_argument("--feed", required=True, metavar="F", help="name of the feed")
    choice = parser.add_mutually_exclusive_group(required=True)
    choice.add_argument("--unit", metavar="U", help="one object, by its name as `platform feeds` shows it")
    choice.add_argument("--quarantined", action="store_true", help="all that is in quarantine")
    choice.add_argument("--since", metavar="D", help="all that ended since a date or instant (ISO 8601, UTC)")


def run(arguments: argparse.Namespace) -> int:
    """Writes the ledger; the feed's sensor asks for the objects with its next look."""
    from datetime import UTC, datetime

    from platform_shared import clock
    from platform_shared.cli.homes import current_home
    from platform_shared.cli.main import CommandError
    from platform_shared.ledger import Ledger
    from platform_shared.postgres import postgres

    since = None
    if arguments.since is not None:
        try:
            since = datetime.fromisoformat(arguments.since)
        except ValueError:
            raise CommandError(f"--since {arguments.since!r} is no date; write it as 2026-03-31.") from None
        since = since.replace(tzinfo=UTC) if since.tzinfo is None else since
    ledger = Ledger(postgres(current_home()))
    try:
        known = sorted({*ledger.feeds.looks(), *ledger.counts()})
        if arguments.feed not in known:
            raise CommandError(f"There is no feed {arguments.feed!r}; known: {', '.join(known) or 'none yet'}.")
        names = ledger.replay(
            arguments.feed,
            clock.utc_now(),
            object_id=arguments.unit,
            quarantined=arguments.quarantined,
            since=since,
        )
    finally:
        ledger.close()
    if not names:
        print("Nothing to load again: no such object has ended, or what there is waits already.")
        return 1
    print(f"{len(names)} objects of {arguments.feed} are loaded again with the sensor's next look:")
    for name in names[:20]:
        print(f"  {name}")
    if len(names) > 20:
        print(f"  … and {len(names) - 20} more")
    return 0
