"""Entry point of `platform`: finds the subcommands, reads the arguments, turns expected errors into one clear line."""

import argparse
import importlib
import pkgutil
import sys
from collections.abc import Sequence

from platform_shared.cli import commands
from platform_shared.settings import SettingsError


class CommandError(RuntimeError):
    """What a command cannot do, said to the person who asked: printed without a traceback, exit code 1 (or the
    `TROUBLE` of the command's module, where 1 is an answer)."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one subcommand and returns its exit code."""
    parser = argparse.ArgumentParser(prog="platform", description="Commands of the data platform for people.")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for info in pkgutil.iter_modules(commands.__path__):
        module = importlib.import_module(f"{commands.__name__}.{info.name}")
        subparser = subparsers.add_parser(info.name.replace("_", "-"), help=module.HELP, description=module.HELP)
        module.configure(subparser)
        subparser.set_defaults(run=module.run, trouble=getattr(module, "TROUBLE", 1))
    arguments = parser.parse_args(argv)
    try:
        return int(arguments.run(arguments) or 0)
    except (CommandError, SettingsError) as error:
        print(f"platform {arguments.command}: {error}", file=sys.stderr)
        return int(arguments.trouble)
    except KeyboardInterrupt:
        return 130
