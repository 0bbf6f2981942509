"""`platform demo`: plays the last days of trade through the real daemon, prints the totals, and ends."""

import argparse

HELP = "play the last days of trade through the real daemon in a fresh state, print the totals, end"


def configure(parser: argparse.ArgumentParser) -> None:
    """How many days, and how long to wait."""
    parser.add_argument("--days", type=int, default=3, metavar="N", help="complete days with trade (default 3)")
    parser.add_argument("--timeout", type=float, default=1200.0, metavar="SECONDS", help="give up then (default 1200)")
    parser.add_argument("--now", metavar="ISO8601", help="play the days before this instant instead of the present")


def run(arguments: argparse.Namespace) -> int:
    """0 if marts and report equal what was dropped, to the cent; 1 with the reason otherwise.

    The state is `demo/` below the platform's home. It is empty at the start and stays to look into; its Postgres ends.
    """
    import asyncio
    import os
    import shutil

    from platform_shared.cli.homes import current_home, demo_home
    from platform_shared.cli.main import CommandError
    from platform_shared.dev.playing import play
    from platform_shared.dev.preconditions import CannotStart, only_one
    from platform_shared.dev.supervisor import Options, Supervisor
    from platform_shared.instance_home import environment_of, prepare_home
    from platform_shared.postgres import stop_embedded
    from platform_shared.workspace.projects import projects, workspace_root

    if not 1 <= arguments.days <= 362:
        raise CommandError(f"--days {arguments.days}: the data is of one year, play 1 to 362 days.")
    root = workspace_root()
    home = demo_home(current_home())

    async def supervise() -> int:
        options = Options(root, home, projects(root), port=None, demo=False, s3=True, verbose=False, grace=10.0)
        supervisor = Supervisor(options)
        return await supervisor.run(
            until=lambda: play(
                home,
                days=arguments.days,
                timeout=arguments.timeout,
                now=arguments.now,
                environment=supervisor.environment,
            )
        )

    try:
        with only_one(home, None):
            stop_embedded(home)
            for entry in home.root.iterdir():
                if entry.is_dir():
                    shutil.rmtree(entry)
            prepare_home(home, root)
            os.environ.update(environment_of(home))
            try:
                return asyncio.run(supervise())
            finally:
                stop_embedded(home)
    except CannotStart as error:
        raise CommandError(str(error)) from None
