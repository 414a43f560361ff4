# SPDX-License-Identifier: Apache-2.0
"""A real HTTP server on the loopback interface whose responses, including faulty ones, are written by the test."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.http_server import run_in_thread

Responder = Callable[["Exchange"], None]


class Exchange(BaseHTTPRequestHandler):
    """One request, and the ways to respond to it."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Loopback

    def do_GET(self) -> None:
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.received.append((self.command, self.path, dict(self.headers)))
        self.server.respond(self)

    do_POST = do_GET

    def send(self, body: object = None, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def cut(self, after: bytes = b"") -> None:
        """Send some bytes and reset the connection."""
        self.wfile.write(after)
        self.wfile.flush()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True

    def hang(self) -> None:
        """Keep the connection open without a response until the server stops."""
        self.server.stopping.wait(20)
        self.close_connection = True

    def log_message(self, *arguments: Any) -> None:
        pass


class Loopback(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, respond: Responder) -> None:
        super().__init__(("127.0.0.1", 0), Exchange)
        self.respond = respond
        self.received: list[tuple[str, str, dict[str, str]]] = []
        self.stopping = threading.Event()

    def handle_error(self, *arguments: Any) -> None:
        """Ignore clients that disconnect, which is what these tests are about."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def keys(self) -> list[str | None]:
        """The ``Authorization`` header of each request."""
        return [headers.get("Authorization") for _, _, headers in self.received]


@contextmanager
def serve_loopback(respond: Responder) -> Iterator[Loopback]:
    server = Loopback(respond)
    with run_in_thread(server):
        try:
            yield server
        finally:
            server.stopping.set()


def closed_port() -> int:
    """Return a port on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
