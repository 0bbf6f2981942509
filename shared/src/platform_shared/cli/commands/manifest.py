"""`platform manifest`: prepares the dbt manifest that locations load."""

import argparse

HELP = "prepare the dbt manifest if models, macros or settings of the dbt project changed"


def configure(parser: argparse.ArgumentParser) -> None:
    """No arguments."""


def run(arguments: argparse.Namespace) -> int:
    """Parses the dbt project where needed; a parse error is printed as dbt says it."""
    from platform_shared.cli.main import CommandError
    from platform_shared.dbt.manifest import DbtParseError, prepare_if_stale
    from platform_shared.workspace.projects import workspace_root

    try:
        done = prepare_if_stale(workspace_root() / "dbt_project")
    except DbtParseError as error:
        raise CommandError(str(error)) from None
    print("The dbt manifest is prepared." if done else "The dbt manifest is up to date.")
    return 0
