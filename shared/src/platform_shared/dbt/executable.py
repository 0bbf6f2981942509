"""The dbt command, as dagster-dbt starts it."""

import sys
from pathlib import Path


def dbt_executable() -> str:
    """The dbt of this environment, also where its `bin` is not on PATH.

    It is our own entry to dbt's command: before each command, dagster-dbt asks for the version in a process of its own,
    and dbt imports itself whole for the answer, 1.6 s CPU a run.
    """
    return str(Path(sys.executable).with_name("platform-dbt"))


def main() -> None:
    """dbt, but for `--version`, which is answered from the installed package's name."""
    if sys.argv[1:] == ["--version"]:
        from importlib.metadata import version

        print(f"Core:\n  - installed: {version('dbt-core')}")
        return
    from dbt.cli.main import cli

    cli()
