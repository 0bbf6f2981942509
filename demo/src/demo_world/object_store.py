"""The command `python -m demo_world.object_store`: the retailer's S3, on the loopback interface.

It holds everything in memory and forgets it when it stops, by design: whoever reads it must live with that. It starts
with the retailer's bucket, and nothing in it.
"""

import argparse
import sys
from collections.abc import Iterable, Sequence
from threading import Thread
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

from demo_world.bucket import bucket_without_credentials
from demo_world.stopping import StopSignal

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

HOST = "127.0.0.1"


class _QuietHandler(MotoRequestHandler):
    def log_request(self, *_: Any) -> None:
        """Nothing: a line a request would bury what matters."""


def main(arguments: Sequence[str]) -> int:
    """Serve until asked to stop; 0 then, 1 if the port is taken."""
    parser = argparse.ArgumentParser(prog="python -m demo_world.object_store", description="Serve S3 from memory.")
    parser.add_argument("--port", type=int, default=0, help="to listen on; a free one if left out, which is printed")
    options = parser.parse_args(arguments)
    stop = StopSignal()
    application = DomainDispatcherApplication(create_backend_app)
    guarded = _for_programs_only(application)
    server = make_server(HOST, options.port, guarded, threaded=True, request_handler=_QuietHandler)
    # Nothing is kept, so nothing is to be brought to an end: the thread ends with the process.
    Thread(target=server.serve_forever, name="server", daemon=True).start()
    endpoint_url = f"http://{HOST}:{server.port}"
    bucket_without_credentials(endpoint_url).make()
    print(f"S3 serves at {endpoint_url}", flush=True)
    stop.wait(None)
    return 0


def _for_programs_only(application: "WSGIApplication") -> "WSGIApplication":
    """Refuses what web pages send: a browser on this machine delivers it for any page, and S3 believes everyone."""

    def guarded(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        # A page under a name of its own that leads here says that name, any other says where it is from.
        if "HTTP_ORIGIN" in environ or urlsplit(f"//{environ.get('HTTP_HOST')}").hostname != HOST:
            start_response("403 Forbidden", [("Content-Type", "text/plain")])
            return [b"For programs on this machine, by its address only.\n"]
        return application(environ, start_response)

    return guarded


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
