"""How the demo world is started: who plays, and the S3 server that plays with it unless the person names one.

The server keeps everything in memory. It has its port for as long as all runs: started again, it is found where it was.
"""

import importlib.util
import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from platform_shared.dev.preconditions import HOST, holder
from platform_shared.files import write_atomically
from platform_shared.settings import Home

DEMO_MODULE = "demo_world"
OBJECT_STORE_MODULE = f"{DEMO_MODULE}.object_store"
ENDPOINT_VARIABLE = "PLATFORM_S3_ENDPOINT_URL"
_PROVIDED = "provided.json"


@dataclass(frozen=True)
class ObjectStore:
    """A server to start on this port."""

    port: int

    @property
    def arguments(self) -> tuple[str, ...]:
        """The module and its arguments."""
        return (OBJECT_STORE_MODULE, "--port", str(self.port))

    @property
    def environment(self) -> dict[str, str]:
        """By what the children find it. It believes everyone, but clients of S3 do not go without credentials."""
        return {
            ENDPOINT_VARIABLE: f"http://{HOST}:{self.port}",
            "AWS_ACCESS_KEY_ID": "demo",
            "AWS_SECRET_ACCESS_KEY": "demo",
            "AWS_DEFAULT_REGION": "us-east-1",
            # Whoever has no credentials is told so at once, and does not wait for a cloud machine's own.
            "AWS_EC2_METADATA_DISABLED": "true",
        }


def object_store(environment: Mapping[str, str]) -> ObjectStore | None:
    """One to start on a free port; None if the children's environment says where S3 is, or there is no demo world."""
    if ENDPOINT_VARIABLE in environment or importlib.util.find_spec(DEMO_MODULE) is None:
        return None
    with socket.create_server((HOST, 0)) as probe:
        return ObjectStore(probe.getsockname()[1])


def world_arguments(landing: Path, environment: Mapping[str, str]) -> list[str]:
    """Where the demo world is to play: in this folder, and in S3 if this environment says where that is."""
    endpoint_url = environment.get(ENDPOINT_VARIABLE)
    return ["--landing", str(landing), *(["--s3-endpoint", endpoint_url] if endpoint_url else [])]


@contextmanager
def made_known(home: Home, provided: Mapping[str, str]) -> Iterator[None]:
    """As long as this lasts, commands that a person gives in another terminal get these variables (`provided_by`)."""
    path = home.root / _PROVIDED
    write_atomically(path, json.dumps(dict(provided)))
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def provided_by(home: Home) -> dict[str, str]:
    """Variables that a running `make dev` of this home gives to its children, so as to find what it serves."""
    try:
        text = (home.root / _PROVIDED).read_text()
    except FileNotFoundError:
        return {}
    # One that was killed leaves the file, but not its lock.
    return dict(json.loads(text)) if holder(home) else {}
