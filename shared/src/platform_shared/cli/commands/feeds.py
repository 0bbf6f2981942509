"""`platform feeds`: what each feed has seen, loaded, rejected and set aside, and how long its looks take."""

import argparse

HELP = "show each feed: objects by state, rows, rejects, the last look at the source"


def configure(parser: argparse.ArgumentParser) -> None:
    """The output's format."""
    parser.add_argument("--format", choices=["table", "json"], default="table", help="table (default) or json")


def run(arguments: argparse.Namespace) -> int:
    """Reads the ledger."""
    import json

    from platform_shared.cli.formats import table
    from platform_shared.cli.homes import current_home
    from platform_shared.ledger import Ledger, UnitState
    from platform_shared.postgres import postgres

    ledger = Ledger(postgres(current_home()))
    try:
        looks, counts, totals = ledger.feeds.looks(), ledger.counts(), ledger.totals()
        waiting = {feed: ledger.quarantined(feed) for feed in counts}
    finally:
        ledger.close()
    rows = []
    for feed in sorted({*looks, *counts}):
        look, by, total = looks.get(feed), counts.get(feed, {}), totals.get(feed)
        rows.append(
            {
                "feed": feed,
                "listed": look.listed_objects if look else None,
                **{state.value: by.get(state, 0) for state in UnitState},
                "rows": total.rows if total else 0,
                "rejects": total.rejects if total else 0,
                "last look (UTC)": f"{look.looked_at:%Y-%m-%d %H:%M:%S}" if look else None,
                "look s": round(look.tick_seconds, 2) if look else None,
                "listing s": round(look.listing_seconds, 2) if look else None,
            }
        )
    if arguments.format == "json":
        print(json.dumps(rows, indent=2))
        return 0
    print(table(list(rows[0]), [list(row.values()) for row in rows]) if rows else "No feed has looked yet.")
    for feed, units in waiting.items():
        for unit in units[:20]:
            print(f"  {feed}: set aside after {unit.attempts} tries: {unit.reason}")
        if len(units) > 20:
            print(f"  {feed}: … and {len(units) - 20} more")
    return 0
