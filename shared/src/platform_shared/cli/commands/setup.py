"""`platform setup`: what the environment needs before the first start."""

import argparse
from pathlib import Path

HELP = "write .env files and instance settings, link environments, prepare the dbt manifest"


def configure(parser: argparse.ArgumentParser) -> None:
    """No arguments."""


def run(arguments: argparse.Namespace) -> int:
    """Repeating it changes nothing that is right already, and keeps other lines of the .env files."""
    from platform_shared.dbt.manifest import prepare_if_stale
    from platform_shared.instance_home import link_environments, prepare_home, write_dotenv
    from platform_shared.settings import local_home
    from platform_shared.workspace.projects import projects, workspace_root

    root = workspace_root()
    home = local_home(root)
    prepare_home(home, root)
    members = [project.path for project in projects(root)]
    for folder in (root, *members):
        write_dotenv(folder, {"DAGSTER_HOME": str(home.dagster)})
    link_environments(root, members)
    for project in sorted(Path(root).glob("dbt_project/dbt_project.yml")):
        prepare_if_stale(project.parent)
    print(f"Ready. State lives in {home.root}.")
    return 0
