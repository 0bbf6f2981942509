"""`platform reset`: deletes all local state."""

import argparse

HELP = "delete all local state: landing zone, lake, ledger, runs"


def configure(parser: argparse.ArgumentParser) -> None:
    """`--yes` skips the question."""
    parser.add_argument("--yes", action="store_true", help="do not ask")


def run(arguments: argparse.Namespace) -> int:
    """Stops Postgres, deletes the home, and makes an empty one. Asks first; without a terminal `--yes` is needed."""
    import shutil
    import sys

    from platform_shared.cli.homes import current_home, refuse_while_in_use, with_demo
    from platform_shared.cli.main import CommandError
    from platform_shared.instance_home import prepare_home
    from platform_shared.postgres import stop_embedded
    from platform_shared.workspace.projects import workspace_root

    home = current_home()
    if home.root.exists() and not (home.dagster / "dagster.yaml").exists() and any(home.root.iterdir()):
        raise CommandError(f"{home.root} does not look like a platform's home; nothing is deleted.")
    if not arguments.yes:
        if not sys.stdin.isatty():
            raise CommandError(f"This deletes {home.root} with all data. Say `--yes` (make reset YES=1) to do it.")
        if input(f"Delete {home.root} with all data? [y/N] ").strip().lower() != "y":
            print("Nothing is deleted.")
            return 1
    for each in with_demo():
        refuse_while_in_use(each)
    for each in with_demo():
        stop_embedded(each)
    if home.root.exists():
        shutil.rmtree(home.root)
    prepare_home(home, workspace_root())
    print(f"{home.root} is empty again.")
    return 0
