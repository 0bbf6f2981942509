"""`platform dbt …`: dbt itself, against the lake."""

import argparse

HELP = "run dbt against the lake, e.g. `platform dbt build --select daily_sales`"


def configure(parser: argparse.ArgumentParser) -> None:
    """All arguments go to dbt."""
    parser.add_argument("arguments", nargs=argparse.REMAINDER, metavar="…", help="dbt's own arguments")


def run(arguments: argparse.Namespace) -> int:
    """Dbt's exit code. It waits for its turn among the platform's own dbt runs."""
    import os
    import subprocess

    from platform_shared.dbt.executable import dbt_executable
    from platform_shared.dbt.running import dbt_turn
    from platform_shared.settings import local_home
    from platform_shared.workspace.projects import workspace_root

    root = workspace_root()
    project = root / "dbt_project"
    command = [dbt_executable(), *arguments.arguments]
    with dbt_turn(local_home(root)) as variables:
        variables |= {"DBT_PROJECT_DIR": str(project), "DBT_PROFILES_DIR": str(project)}
        return subprocess.run(command, env={**os.environ, **variables}, check=False).returncode
