"""`platform replay`: let objects be loaded again."""

import argparse

HELP = "load objects of a feed again, e.g. `platform replay --feed order_lines --quarantined`"


def configure(parser: argparse.ArgumentParser) -> None:
    """The feed, and one choice of objects."""
    parser.add_argument("--feed", required=True, metavar="F", help="name of the feed")
    choice = parser.add_mutually_exclusive_group(required=True)
    choice.add_argument("--unit", metavar="U", help="one object, by its path in the landing folder or below the prefix")
    choice.add_argument("--quarantined", action="store_true", help="all that is in quarantine")
    choice.add_argument("--since", metavar="D", help="all that ended since a date or instant (ISO 8601, UTC)")


def run(arguments: argparse.Namespace) -> int:
    """Writes the ledger; the feed's sensor asks for the objects with its next look."""
    from datetime import UTC, datetime

    from platform_shared import clock
    from platform_shared.cli.homes import current_home, refuse_unknown_feed
    from platform_shared.cli.main import CommandError
    from platform_shared.ledger import Ledger
    from platform_shared.postgres import postgres

    since = None
    if arguments.since is not None:
        try:
            since = datetime.fromisoformat(arguments.since)
        except ValueError:
            raise CommandError(
                f"--since {arguments.since!r} is no date; write it as 2026-03-31, or 2026-03-31T08:00."
            ) from None
        since = since.replace(tzinfo=UTC) if since.tzinfo is None else since
    ledger = Ledger(postgres(current_home()))
    try:
        refuse_unknown_feed(arguments.feed, ledger.feeds.owners())
        names = ledger.replay(
            arguments.feed,
            clock.utc_now(),
            object_id=arguments.unit,
            quarantined=arguments.quarantined,
            since=since,
        )
        states = {u.state for u in ledger.units(arguments.feed) if u.object_id == arguments.unit} if not names else {}
    finally:
        ledger.close()
    if arguments.unit is not None and not names:
        if not states:
            raise CommandError(
                f"{arguments.feed} has no object {arguments.unit!r}. Name it by its path in the landing folder, or by "
                "its key without the prefix."
            )
        raise CommandError(f"{arguments.unit} is {', '.join(sorted(states))}: only what has ended is loaded again.")
    if not names:
        print(f"Nothing of {arguments.feed} to load again.")
        return 0
    print(f"{len(names)} object{'s' * (len(names) > 1)} of {arguments.feed}: loaded again with the sensor's next look.")
    for name in names[:20]:
        print(f"  {name}")
    if len(names) > 20:
        print(f"  … and {len(names) - 20} more")
    return 0
