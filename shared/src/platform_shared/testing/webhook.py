"""A receiver of messages, for tests."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any


class WebhookReceiver:
    """What was posted to `url`, in order. It answers with `status` (an HTTP status code), 200 unless set."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/hook/secret-token"
        self.received: list[dict[str, Any]] = []
        self.status = 200


@contextmanager
def webhook_receiver() -> Iterator[WebhookReceiver]:
    """A real HTTP server on a free port of the loopback interface, ended with the context."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if receiver.status < 400:
                receiver.received.append(body)
            self.send_response(receiver.status)
            self.end_headers()

        def log_message(self, format: str, *arguments: Any) -> None:
            """Nothing: a test prints what it needs."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver = WebhookReceiver(server.server_address[1])
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
