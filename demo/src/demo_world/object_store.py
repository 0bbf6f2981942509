"""The command `python -m demo_world.object_store`: the retailer's S3, on the loopback interface.

It holds everything in memory and forgets it when it stops, by design: whoever reads it must live with that.
"""

import argparse
import sys
from collections.abc import Sequence
from threading import Thread
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

from demo_world.stopping import StopSignal

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
    # Made here and not for the first request: the line below promises that it answers.
    application.get_application({"PATH_INFO": "/"})
    server = make_server(HOST, options.port, application, threaded=True, request_handler=_QuietHandler)
    serving = Thread(target=server.serve_forever, name="server")
    serving.start()
    print(f"S3 serves at http://{HOST}:{server.port}", flush=True)
    stop.wait(None)
    server.shutdown()
    serving.join()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
