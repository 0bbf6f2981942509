"""The webserver that commands ask."""

import os
from typing import TYPE_CHECKING

from platform_shared.cli.homes import current_home
from platform_shared.dev.environment import child_environment
from platform_shared.dev.world import provided_by
from platform_shared.instance_home import environment_of
from platform_shared.webserver import WEBSERVER_VARIABLE
from platform_shared.workspace.projects import workspace_root

if TYPE_CHECKING:
    from pathlib import Path

    from platform_shared.settings import Home


def surroundings() -> "tuple[Home, Path, dict[str, str]]":
    """The home, the workspace's folder and the environment that the daemon of this home has."""
    home, root = current_home(), workspace_root()
    return home, root, {**child_environment(os.environ, home, root), **environment_of(home)}


def running_webserver() -> str | None:
    """Address of the webserver of PLATFORM_WEBSERVER_URL, or of a running `make dev`; None if there is neither."""
    home, _, environment = surroundings()
    return environment.get(WEBSERVER_VARIABLE) or provided_by(home).get(WEBSERVER_VARIABLE)
