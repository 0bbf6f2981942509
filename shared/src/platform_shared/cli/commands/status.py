"""`platform status`: what came in, what waits, what failed, what ran last."""

import argparse

HELP = "show feeds, waiting and failed objects, undelivered messages and the last runs"


def configure(parser: argparse.ArgumentParser) -> None:
    """How many runs."""
    parser.add_argument("--runs", type=int, default=10, metavar="N", help="how many of the last runs (default 10)")


def run(arguments: argparse.Namespace) -> int:
    """Reads the ledger and the run storage; starts nothing but the embedded Postgres if it is down."""
    import os

    from platform_shared.cli.formats import table
    from platform_shared.cli.homes import current_home
    from platform_shared.cli.main import CommandError
    from platform_shared.instance_home import environment_of
    from platform_shared.ledger import Ledger, Outbox, UnitState
    from platform_shared.postgres import postgres

    home = current_home()
    if not (home.dagster / "dagster.yaml").exists():
        raise CommandError(f"{home.root} is not set up; run `make setup`.")
    os.environ.update(environment_of(home))
    server = postgres(home)
    ledger, outbox = Ledger(server), Outbox(server)
    try:
        counts = ledger.counts()
        print(f"Platform home: {home.root}\n\nObjects by feed (versions of files)")
        states = [state.value for state in UnitState]
        print(table(["feed", *states], [[feed, *(by.get(s, 0) for s in states)] for feed, by in counts.items()]))
        for feed in counts:
            waiting = ledger.quarantined(feed)
            for unit in waiting[:20]:
                print(f"  set aside: {unit.reason}")
            if len(waiting) > 20:
                print(f"  … and {len(waiting) - 20} more")
        for message in outbox.undelivered()[:10]:
            print(f"  undelivered message to {message.route}: {message.subject}")
    finally:
        ledger.close()
        outbox.close()

    import dagster as dg

    print("Last runs")
    with dg.DagsterInstance.get() as instance:
        rows = []
        for record in instance.get_run_records(limit=arguments.runs):
            run_ = record.dagster_run
            what = ", ".join(sorted(key.to_user_string() for key in run_.asset_selection or ())) or run_.job_name
            seconds = round(record.end_time - record.start_time, 1) if record.end_time and record.start_time else None
            location = run_.tags.get("platform/location", "")
            created = f"{record.create_timestamp:%Y-%m-%d %H:%M:%S}"
            rows.append([created, run_.run_id[:8], location, what[:60], run_.status.value, seconds])
    print(table(["created (UTC)", "run", "location", "what", "status", "seconds"], rows))
    return 0
