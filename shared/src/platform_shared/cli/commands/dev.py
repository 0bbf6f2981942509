"""`platform dev`: everything on this machine, with edits served as they are saved."""

import argparse
import os

HELP = "run the code locations, daemon, web page and demo world on this machine, and serve edits as they are saved"
DEFAULT_PORT = "3000"
OFF = ("0", "false", "no", "off")


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", type=int, help=f"of the web page (default: the variable PORT, else {DEFAULT_PORT})")
    parser.add_argument(
        "--no-demo", action="store_true", help="without the demo world and its S3 server (also: the variable DEMO=0)"
    )
    parser.add_argument("--verbose", action="store_true", help="show all that is printed, not only what needs a person")
    parser.add_argument(
        "--grace",
        type=float,
        default=10.0,
        metavar="SECONDS",
        help="how long runs may go on when all is stopped, before they are cut off (default 10)",
    )


def run(arguments: argparse.Namespace) -> int:
    """0 after Ctrl-C or SIGTERM and a clean end, so that `make dev` does not call the usual way out an error."""
    import asyncio

    from platform_shared.cli.main import CommandError
    from platform_shared.dev.preconditions import CannotStart, check_instance, check_port, home_of, only_one
    from platform_shared.dev.supervisor import Options, Supervisor
    from platform_shared.workspace.projects import projects, workspace_root

    async def supervise(options: Options) -> int:
        return await Supervisor(options).run()

    root = workspace_root()
    home = home_of(root, os.environ)
    demo = not arguments.no_demo and os.environ.get("DEMO", "1").lower() not in OFF
    port = arguments.port if arguments.port is not None else _port_of_environment()
    options = Options(
        root=root,
        home=home,
        projects=projects(root),
        port=port,
        demo=demo,
        s3=demo,
        verbose=arguments.verbose,
        grace=arguments.grace,
    )
    try:
        check_instance(home)
        with only_one(home, port):
            check_port(port)
            return asyncio.run(supervise(options))
    except CannotStart as error:
        raise CommandError(str(error)) from None


def _port_of_environment() -> int:
    from platform_shared.cli.main import CommandError

    value = os.environ.get("PORT") or DEFAULT_PORT
    if not value.isdecimal():
        raise CommandError(f"PORT={value!r} is no port number. Choose one: make dev PORT=3001")
    return int(value)
