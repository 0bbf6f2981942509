"""An S3 server for tests: moto's, in a process of its own, so that a test can kill it.

It keeps everything in memory: killed and started again, it is empty.
"""

import argparse
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

HOST = "127.0.0.1"
_PATIENCE_SECONDS = 30


class S3Server:
    """A server on a port that stays the same over `kill()` and `start()`. Ended with the process that made it."""

    def __init__(self) -> None:
        self._port = 0
        self._process: subprocess.Popen[str] | None = None
        self.start()

    @property
    def endpoint_url(self) -> str:
        return f"http://{HOST}:{self._port}"

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which the platform finds the server and may use it."""
        return {
            "PLATFORM_S3_ENDPOINT_URL": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    @cached_property
    def client(self) -> "S3Client":
        """A client that tries once only: what goes wrong is seen at once."""
        import boto3
        from botocore.config import Config

        return boto3.client(
            "s3",
            endpoint_url=self.endpoint_url,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(connect_timeout=5, read_timeout=_PATIENCE_SECONDS, retries={"total_max_attempts": 1}),
        )

    def make_bucket(self, name: str, *, versioned: bool = True) -> None:
        self.client.create_bucket(Bucket=name)
        if versioned:
            self.client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})

    def start(self) -> None:
        """Serve, if it does not yet. Raises RuntimeError if it cannot, with what it said on stderr above."""
        if self._process is not None:
            return
        process = subprocess.Popen(
            [sys.executable, "-m", __name__, "--port", f"{self._port}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        said = process.stdout.readline()
        self._process = process
        if not said:
            self.kill()
            raise RuntimeError("the S3 server for tests did not start")
        self._port = int(said)

    def kill(self) -> None:
        """End it by SIGKILL: it forgets everything. Connections to it are refused until `start()`."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()

    def reset(self) -> None:
        """Forget everything, and go on serving."""
        request = urllib.request.Request(f"{self.endpoint_url}/moto-api/reset", method="POST")
        urllib.request.urlopen(request, timeout=_PATIENCE_SECONDS).close()


@contextmanager
def s3_server() -> Iterator[S3Server]:
    """A server that serves, ended with the context."""
    server = S3Server()
    try:
        yield server
    finally:
        server.kill()


def _serve(arguments: list[str]) -> int:
    """The process: prints its port once it serves, and ends with its standard input, which its starter holds."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
    from werkzeug.serving import make_server

    class QuietHandler(MotoRequestHandler):
        def log_request(self, *_: Any) -> None:
            """Nothing: a test prints what it needs."""

    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    port: int = parser.parse_args(arguments).port
    application = DomainDispatcherApplication(create_backend_app)
    # Otherwise made for the first requests, at the cost of a test's patience.
    for path in ("/", "/moto-api/reset"):
        application.get_application({"PATH_INFO": path})
    server = make_server(HOST, port, application, threaded=True, request_handler=QuietHandler)
    print(server.port, flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()
    return 0


if __name__ == "__main__":
    sys.exit(_serve(sys.argv[1:]))
