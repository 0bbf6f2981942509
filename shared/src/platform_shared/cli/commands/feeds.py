"""`platform feeds`: what each feed has seen, loaded, rejected and set aside, and how long its looks take."""

import argparse
from typing import Any

HELP = "show each feed: objects by state, rows, rejects, the last look at the source"

_NAMED = 20


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

    home = current_home()
    ledger = Ledger(postgres(home))
    try:
        looks, counts, totals = ledger.feeds.looks(), ledger.counts(), ledger.totals()
        waiting = {feed: units for feed in sorted(counts) if (units := ledger.quarantined(feed))}
        rejected = {feed: ledger.rejected(feed) for feed in sorted(counts)}
        outages = ledger.outages()
    finally:
        ledger.close()
    feeds: list[dict[str, Any]] = []
    for feed in sorted({*looks, *counts}):
        look, by, total = looks.get(feed), counts.get(feed, {}), totals.get(feed)
        feeds.append(
            {
                "feed": feed,
                "listed": look.listed_objects if look else None,
                **{state.value: by.get(state, 0) for state in UnitState},
                "rows": total.rows if total else 0,
                "rejects": total.rejects if total else 0,
                "last_look_utc": f"{look.looked_at:%Y-%m-%d %H:%M:%S}" if look else None,
                "look_seconds": round(look.tick_seconds, 2) if look else None,
                "listing_seconds": round(look.listing_seconds, 2) if look else None,
            }
        )
    if arguments.format == "json":
        for each in feeds:
            units = waiting.get(each["feed"], [])
            each["in_quarantine"] = [{"object": unit.object_id, "reason": unit.reason} for unit in units]
            each["rejected"] = rejected.get(each["feed"], {})
            outage = outages.get(each["feed"])
            each["outage"] = outage and {
                "failures": outage.failures,
                "reason": outage.reason,
                "retry_at_utc": f"{outage.retry_at:%Y-%m-%d %H:%M:%S}",
            }
        print(json.dumps(feeds, indent=2))
        return 0
    if not feeds:
        print("No feed has looked at its source yet; the sensors look while `make dev` runs.")
        return 0
    print(table(list(feeds[0]), [list(each.values()) for each in feeds]))
    for feed, outage in outages.items():
        print(
            f"{feed} waits: {outage.failures} runs in a row failed for reasons that are no object's; the next is tried "
            f"at {outage.retry_at:%Y-%m-%d %H:%M:%S} UTC. The last one: {outage.reason}"
        )
    for feed, units in waiting.items():
        print(f"In quarantine, with the bytes in {home.quarantine / feed}:")
        _print_some([str(unit.reason) for unit in units])
        print(f"  To try the same bytes again: platform replay --feed {feed} --quarantined")
    for feed, objects in rejected.items():
        if objects:
            print(f"Loaded objects of {feed} with rejected rows; the table's `…_rejects` has line, column and reason:")
            _print_some([f"{name}: {rows}" for name, rows in objects.items()])
    return 0


def _print_some(lines: list[str]) -> None:
    for line in lines[:_NAMED]:
        print(f"  {line}")
    if len(lines) > _NAMED:
        print(f"  … and {len(lines) - _NAMED} more")
