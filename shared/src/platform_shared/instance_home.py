"""Makes a platform home usable: instance settings, .env files, links to the environment."""

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from platform_shared.settings import Home, SettingsError

INSTANCE_SETTINGS = Path("deploy", "instance", "local.yaml")


def prepare_home(home: Home, root: Path) -> None:
    """Creates the home's folders and copies the instance's settings there."""
    for folder in (home.dagster, home.landing, home.lake):
        folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(root / INSTANCE_SETTINGS, home.dagster / "dagster.yaml")


def write_dotenv(folder: Path, variables: Mapping[str, str]) -> None:
    """Sets variables in `folder/.env`; other lines stay. `dagster` and `dg` read the one of the folder they run in."""
    path = folder / ".env"
    lines = path.read_text().splitlines() if path.exists() else []
    kept = [line for line in lines if line.split("=", 1)[0].strip() not in variables]
    wanted = [*kept, *(f"{name}={value}" for name, value in variables.items())]
    if wanted != lines:
        path.write_text("\n".join(wanted) + "\n")


def link_environments(root: Path, members: Sequence[Path]) -> None:
    """Links `<project>/.venv` to the workspace's: `dg` looks for one in each project. A real one is left alone."""
    environment = root / ".venv"
    if not environment.is_dir():
        raise SettingsError(f"{environment} is not there; run `make setup`.")
    for member in members:
        link = member / ".venv"
        if link.is_dir() and not link.is_symlink():
            continue
        target = os.path.relpath(environment, member)
        if not link.is_symlink() or os.readlink(link) != target:
            link.unlink(missing_ok=True)
            link.symlink_to(target)


def environment_of(home: Home) -> dict[str, str]:
    """Environment variables for processes of this home, with the environment's programs on PATH."""
    return {
        "PLATFORM_HOME": str(home.root),
        "DAGSTER_HOME": str(home.dagster),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
        "DAGSTER_DISABLE_TELEMETRY": "1",
        "PYTHONUNBUFFERED": "1",
    }
