"""`platform reconcile`: compare the source with the ledger and the table."""

import argparse

HELP = "compare a feed's source with the ledger and the table; exits with 0 if all agree, 1 if not, 2 on errors"
TROUBLE = 2


def configure(parser: argparse.ArgumentParser) -> None:
    """The feed, and the output's format."""
    parser.add_argument("--feed", required=True, metavar="F", help="name of the feed")
    parser.add_argument("--format", choices=["table", "json"], default="table", help="table (default) or json")


def run(arguments: argparse.Namespace) -> int:
    """Runs the feed's reconcile job in a process of its location's, so that the check in the UI has the result too."""
    import json
    import os
    import subprocess

    from platform_shared.cli.formats import table
    from platform_shared.cli.homes import current_home, refuse_unknown_feed
    from platform_shared.cli.main import CommandError
    from platform_shared.dev.world import provided_by
    from platform_shared.instance_home import environment_of
    from platform_shared.ledger import Ledger
    from platform_shared.postgres import postgres
    from platform_shared.workspace.loading import interpreter
    from platform_shared.workspace.projects import projects, workspace_root

    home, root = current_home(), workspace_root()
    if not (home.dagster / "dagster.yaml").exists():
        raise CommandError(f"{home.root} is not set up; run `make setup`.")
    ledger = Ledger(postgres(home))
    try:
        owners = ledger.feeds.owners()
    finally:
        ledger.close()
    refuse_unknown_feed(arguments.feed, owners)
    found = [project for project in projects(root) if project.location_name == owners[arguments.feed]]
    if not found:
        raise CommandError(f"The feed's location {owners[arguments.feed]} is not in this workspace.")
    # -P: what lies in the caller's folder is not importable.
    command = [str(interpreter(root, found[0])), "-P", "-m", "platform_shared.ingestion.reconcile_now"]
    done = subprocess.run(
        [*command, found[0].definitions_module, arguments.feed],
        env={**provided_by(home), **os.environ, **environment_of(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in (0, 1) or not done.stdout.strip():
        raise CommandError(f"The comparison itself failed:\n{done.stderr[-4000:]}")
    result = json.loads(done.stdout.splitlines()[-1])
    if arguments.format == "json":
        print(json.dumps(result, indent=2))
        return done.returncode
    differences = result.pop("differences")
    print(table(["feed", *result], [[arguments.feed, *result.values()]]))
    for line in differences:
        print(f"  {line}")
    if differences:
        print(f"To load an object again from its source: platform replay --feed {arguments.feed} --unit NAME")
    else:
        print("Source, ledger and table agree.")
    return done.returncode
