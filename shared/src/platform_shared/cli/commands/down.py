"""`platform down`: ends the shared Postgres of this platform home."""

import argparse

HELP = "stop the embedded Postgres of this platform (make dev and make demo must have ended)"


def configure(parser: argparse.ArgumentParser) -> None:
    """No arguments."""


def run(arguments: argparse.Namespace) -> int:
    """Stops the servers of the home and of its demo, if they run."""
    from platform_shared.cli.homes import refuse_while_in_use, with_demo
    from platform_shared.postgres import stop_embedded

    for home in with_demo():
        refuse_while_in_use(home)
    stopped = [home.root for home in with_demo() if stop_embedded(home)]
    for root in stopped:
        print(f"Stopped the Postgres of {root}.")
    if not stopped:
        print("No Postgres of this platform was running.")
    return 0
