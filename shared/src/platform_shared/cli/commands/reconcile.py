"""`platform reconcile`: compare the source with the ledger and the table."""

import argparse

HELP = "compare a feed's source with the ledger and the table; exits with 1 if they differ"


def configure(parser: argparse.ArgumentParser) -> None:
    """The feed."""
    parser.add_argument("--feed", required=True, metavar="F", help="name of the feed")


def run(arguments: argparse.Namespace) -> int:
    """Runs the feed's reconcile job in a process of its location's, so that the check in the UI has the result too."""
    import json
    import os
    import subprocess

    from platform_shared.cli.formats import table
    from platform_shared.cli.homes import current_home
    from platform_shared.cli.main import CommandError
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
    if arguments.feed not in owners:
        raise CommandError(f"There is no feed {arguments.feed!r}; known: {', '.join(owners) or 'none yet'}.")
    found = [project for project in projects(root) if project.location_name == owners[arguments.feed]]
    if not found:
        raise CommandError(f"The feed's location {owners[arguments.feed]} is not in this workspace.")
    command = [str(interpreter(root, found[0])), "-m", "platform_shared.ingestion.reconcile_now"]
    done = subprocess.run(
        [*command, found[0].definitions_module, arguments.feed],
        env={**os.environ, **environment_of(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in (0, 1) or not done.stdout.strip():
        raise CommandError(f"The comparison itself failed:\n{done.stderr[-4000:]}")
    values = json.loads(done.stdout.splitlines()[-1])
    print(table(["what", "result"], [[name, value] for name, value in values.items()]))
    return done.returncode
