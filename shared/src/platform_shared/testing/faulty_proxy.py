"""An HTTP proxy on the loopback interface that misbehaves as a test tells it, and passes on everything else.

It stands in front of one server. Each request gets a connection of its own to that server, so that a fault touches the
client's side only.
"""

import re
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import urlsplit

HOST = "127.0.0.1"
_UPSTREAM_TIMEOUT_SECONDS = 60.0
_HOP_BY_HOP = {"connection", "keep-alive", "expect", "transfer-encoding", "content-length", "proxy-connection"}
_NOT_LINGERING = struct.pack("ii", 1, 0)
"""The option of a socket that makes its closing a reset."""
_SLOW_DOWN = b"""<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"""


@dataclass(frozen=True)
class Delay:
    """Answers as it should, but so many seconds later: a timeout for a client that waits less."""

    seconds: float


@dataclass(frozen=True)
class SlowDown:
    """Answers 503 with S3's `SlowDown`; the server behind does not see the request."""


@dataclass(frozen=True)
class CutBody:
    """Promises the whole body (Content-Length) and closes the connection after so many bytes of it, or all but one."""

    after_bytes: int


@dataclass(frozen=True)
class Reset:
    """Resets the connection; the server behind does not see the request."""


Fault = Delay | SlowDown | CutBody | Reset


@dataclass
class Misbehaviour:
    """A fault for the next `left` requests that match; `happened` counts those that had it."""

    fault: Fault
    left: int
    method: str | None
    path: re.Pattern[str]
    happened: int = 0

    def matches(self, method: str, path: str) -> bool:
        return self.left > 0 and self.method in (None, method) and self.path.search(path) is not None


@dataclass(frozen=True)
class Seen:
    """A request that reached the proxy, with its query, and what it met; None if it was passed on as it should."""

    method: str
    path: str
    fault: Fault | None


class FaultyProxy:
    """Stands at `url` in front of the server; made by `faulty_proxy`."""

    def __init__(self, upstream: str) -> None:
        parts = urlsplit(upstream)
        assert parts.hostname is not None
        self.upstream = (parts.hostname, parts.port or 80)
        self.closing = threading.Event()
        self._lock = threading.Lock()
        self._seen: list[Seen] = []
        self._misbehaviours: list[Misbehaviour] = []
        self._server = self._listen(0)
        self._port: int = self._server.server_address[1]

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self._port}"

    @property
    def seen(self) -> list[Seen]:
        """All requests so far, in the order in which they came."""
        with self._lock:
            return list(self._seen)

    def passed(self, method: str | None = None, path: str = "") -> int:
        """How many matching requests met no fault; `path` is a regular expression to be found in path and query."""
        return sum(
            1
            for seen in self.seen
            if seen.fault is None and method in (None, seen.method) and re.search(path, seen.path)
        )

    def misbehave(self, fault: Fault, *, times: int = 1, method: str | None = None, path: str = "") -> Misbehaviour:
        """Let the next `times` requests of this method whose path and query match the regular expression have it.

        Where several match a request, the one that was told first comes first.
        """
        misbehaviour = Misbehaviour(fault, times, method, re.compile(path))
        with self._lock:
            self._misbehaviours.append(misbehaviour)
        return misbehaviour

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """Meanwhile nobody listens: open connections end, new ones are refused by the system (and not counted)."""
        self._server.end()
        try:
            yield
        finally:
            self._server = self._listen(self._port)

    def close(self) -> None:
        self.closing.set()
        self._server.end()

    def note(self, method: str, path: str) -> Fault | None:
        """Count a request; returns what it is to meet."""
        with self._lock:
            found = next((each for each in self._misbehaviours if each.matches(method, path)), None)
            if found is not None:
                found.left -= 1
                found.happened += 1
            self._seen.append(Seen(method, path, found.fault if found else None))
            return found.fault if found else None

    def _listen(self, port: int) -> "_Server":
        proxy = self

        class Handler(_Handler):
            rules = proxy

        return _Server(port, Handler)


@contextmanager
def faulty_proxy(upstream: str) -> Iterator[FaultyProxy]:
    """A proxy in front of `upstream` (http://host:port), ended with the context."""
    proxy = FaultyProxy(upstream)
    try:
        yield proxy
    finally:
        proxy.close()


class _Server(ThreadingHTTPServer):
    """Serves from its creation until `end()`."""

    # A client may keep its connection open for ever.
    daemon_threads = True
    block_on_close = False

    def __init__(self, port: int, handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__((HOST, port), handler)
        self._connections: set[socket.socket] = set()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), name="faulty proxy", daemon=True)
        self._thread.start()

    def end(self) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()
        for connection in list(self._connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        if request.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, len(_NOT_LINGERING)) == _NOT_LINGERING:
            self.close_request(request)
        else:
            super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: a client that gives up, or a server behind that is gone, is what a test is about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    rules: ClassVar[FaultyProxy]

    def handle_any(self) -> None:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            self.send_error(501, "This proxy needs a Content-Length")
            self.close_connection = True
            return
        # Read in any case: what is left on the connection would be taken for the next request.
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        match self.rules.note(self.command, self.path):
            case Reset():
                self._reset()
            case SlowDown():
                self._answer(503, [("Content-Type", "application/xml")], _SLOW_DOWN)
            case CutBody(after_bytes):
                self._pass_on(body, after_bytes)
            case Delay(seconds):
                self.rules.closing.wait(seconds)
                self._pass_on(body)
            case None:
                self._pass_on(body)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do_PATCH = do_OPTIONS = handle_any

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing: a test prints what it needs."""

    def _pass_on(self, body: bytes, most_bytes: int | None = None) -> None:
        connection = HTTPConnection(*self.rules.upstream, timeout=_UPSTREAM_TIMEOUT_SECONDS)
        try:
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in _end_to_end(self.headers):
                connection.putheader(name, value)
            connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            response = connection.getresponse()
            content = response.read()
            promised = response.headers["Content-Length"] if self.command == "HEAD" else None
            self._answer(response.status, _end_to_end(response.headers), content, promised, most_bytes)
        except OSError:
            # The server behind is gone: so is the connection to it, as without a proxy.
            self._reset()
        finally:
            connection.close()

    def _answer(
        self,
        status: int,
        headers: list[tuple[str, str]],
        content: bytes,
        promised: str | None = None,
        most_bytes: int | None = None,
    ) -> None:
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", promised or str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content if most_bytes is None else content[: min(most_bytes, len(content) - 1)])
        if most_bytes is not None:
            self.close_connection = True

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NOT_LINGERING)
        self.close_connection = True


def _end_to_end(headers: Message) -> list[tuple[str, str]]:
    return [(name, value) for name, value in headers.items() if name.lower() not in _HOP_BY_HOP]
