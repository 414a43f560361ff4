# SPDX-License-Identifier: Apache-2.0
"""A server on loopback that serves one file by signed URLs, with injected faults."""

from __future__ import annotations

import hashlib
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import MISSING, Field, dataclass, field, fields
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from tests.http_server import run_in_thread

SECRET = "X-Amz-Signature"


@dataclass(repr=False)
class Faults:
    """
    The faults of a server.

    :param cut_after: bytes of the body after which a connection is cut; None for never
    :param cuts: maximum number of connections that are cut
    :param reset: whether to cut with a reset instead of closing the connection
    :param url_requests: number of requests that a signed URL is valid for
    :param ranges: ``True``; ``False`` ignores range requests; ``"once"`` supports only the first one
    :param chunked: chunked transfer without a length (only without ranges)
    :param close_delimited: a body without a length, which ends when the connection closes
    :param etag: whether an ETag is sent
    :param length_error: added to the Content-Length
    :param total_error: added to the size in Content-Range
    :param statuses: statuses to send instead of the file, one for each request; 0 sends the file
    :param retry_after: sent with those statuses
    :param stall_after: bytes of the body after which no more data is sent on the open connection
    :param stalls: number of connections that stall
    :param pause: seconds between blocks
    :param block: bytes written at once
    :param redirect: returns where to redirect the first request of each URL to, given its path
    :param headers: additional headers of the file
    :param expired_status: status of a request with an expired URL
    :param on_request: called with the number of each request
    """

    cut_after: int | None = None
    cuts: int = 10**9
    reset: bool = False
    url_requests: int = 10**9
    ranges: bool | str = True
    chunked: bool = False
    close_delimited: bool = False
    etag: bool = True
    length_error: int = 0
    total_error: int = 0
    statuses: list[int] = field(default_factory=list)
    retry_after: str | None = None
    stall_after: int | None = None
    stalls: int = 1
    pause: float = 0.0
    block: int = 1 << 20
    redirect: Callable[[str], str] | None = None
    headers: dict[str, str] = field(default_factory=dict)
    expired_status: int = 403
    on_request: Callable[[int], object] | None = None

    def __repr__(self) -> str:
        changed = [f"{f.name}={getattr(self, f.name)}" for f in fields(self) if getattr(self, f.name) != _default(f)]
        return ", ".join(changed) or "no faults"


def _default(option: Field[object]) -> object:
    return option.default if option.default is not MISSING else option.default_factory()  # type: ignore[misc]


class FileServer:
    """
    A running server.

    :param content: the file
    :param faults: its faults
    """

    def __init__(self, content: bytes, faults: Faults) -> None:
        self.content = content
        self.faults = faults
        self.requests: list[dict[str, str]] = []
        self.renewals = 0
        self.bytes_sent = 0
        self.port = 0
        self._requests_left: dict[str, int] = {}
        self._lock = threading.Lock()

    def renew(self) -> str:
        """Return a new signed URL, as the API does."""
        with self._lock:
            self.renewals += 1
            signature = hashlib.sha256(f"signature {self.renewals}".encode()).hexdigest()
            self._requests_left[signature] = self.faults.url_requests
        return f"http://127.0.0.1:{self.port}/bucket/export-secretpath.zip?{SECRET}={signature}"

    def accept(self, path: str) -> bool:
        """Return whether a URL is valid, and count its request."""
        signature = parse_qs(urlsplit(path).query).get(SECRET, [""])[0]
        with self._lock:
            left = self._requests_left.get(signature, 0)
            self._requests_left[signature] = left - 1
        return left > 0

    def expire_urls(self) -> None:
        """Make all signed URLs invalid."""
        with self._lock:
            self._requests_left.clear()

    def count(self, request: BaseHTTPRequestHandler) -> int:
        with self._lock:
            self.requests.append(dict(request.headers.items()))
            return len(self.requests)

    def take(self, name: str) -> bool:
        """Use one of the faults that occur a limited number of times, and return whether one was left."""
        with self._lock:
            left = getattr(self.faults, name)
            if left > 0:
                setattr(self.faults, name, left - 1)
            return left > 0


def _handler(server: FileServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        timeout = 60

        def log_message(self, format: str, *args: object) -> None:
            pass

        def version_string(self) -> str:
            return server.faults.headers.get("Server", "store")

        def do_GET(self) -> None:
            faults = server.faults
            number = server.count(self)
            if faults.on_request is not None:
                faults.on_request(number)
            if faults.redirect is not None and "redirected" not in self.path:
                self._short(307, {"Location": faults.redirect(self.path)})
                return
            if faults.statuses and (status := faults.statuses.pop(0)):
                self._short(status, {"Retry-After": faults.retry_after} if faults.retry_after else {})
                return
            if not server.accept(self.path):
                self._short(faults.expired_status, {})
                return
            content = server.content
            etag = f'"{hashlib.md5(content).hexdigest()}"'
            headers = {"ETag": etag} if faults.etag else {}
            headers |= {name: value for name, value in faults.headers.items() if name != "Server"}
            wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
            condition = self.headers.get("If-Range")
            if faults.ranges == "once":
                faults.ranges = False
            elif not faults.ranges:
                wanted = None
            if wanted and (condition is None or condition == etag):
                start = int(wanted[1])
                stop = min(int(wanted[2]) + 1 if wanted[2] else len(content), len(content))
                total = len(content) + faults.total_error
                if start >= len(content):
                    self._short(416, {"Content-Range": f"bytes */{total}"} | headers)
                    return
                self.send_response(206)
                headers["Content-Range"] = f"bytes {start}-{stop - 1}/{total}"
            else:
                start, stop = 0, len(content)
                self.send_response(200)
            chunked = faults.chunked and not wanted
            if chunked:
                headers["Transfer-Encoding"] = "chunked"
            elif faults.close_delimited:
                self.close_connection = True
                headers["Connection"] = "close"
            else:
                headers["Content-Length"] = str(max(0, stop - start + faults.length_error))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self._body(memoryview(content)[start:stop], chunked)

        def _short(self, status: int, headers: dict[str, str]) -> None:
            self.send_response(status)
            body = f"<Error>{self.path}</Error>".encode()
            for name, value in ({"Content-Length": str(len(body))} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def _body(self, body: memoryview, chunked: bool) -> None:
            faults, at = server.faults, 0
            # A shorter response uses up no fault.
            cut, stall = faults.cut_after, faults.stall_after
            cut = cut if cut is not None and cut < len(body) and server.take("cuts") else None
            stall = stall if stall is not None and stall < len(body) and server.take("stalls") else None
            while at < len(body):
                stop = min(at + faults.block, *(n for n in (cut, stall, len(body)) if n is not None), len(body))
                block = body[at:stop]
                if block:
                    self.wfile.write(b"%x\r\n%b\r\n" % (len(block), block) if chunked else block)
                server.bytes_sent += len(block)
                at = stop
                if cut is not None and at >= cut:
                    self._cut()
                    return
                if stall is not None and at >= stall:
                    self.close_connection = True
                    with suppress(OSError):
                        self.request.settimeout(30)
                        self.request.recv(1)
                    return
                if faults.pause:
                    time.sleep(faults.pause)
            if chunked:
                self.wfile.write(b"0\r\n\r\n")
            if faults.length_error:
                self.close_connection = True

        def _cut(self) -> None:
            self.close_connection = True
            if server.faults.reset:
                self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.request.close()
            else:
                with suppress(OSError):
                    self.request.shutdown(socket.SHUT_RDWR)

        def handle(self) -> None:
            with suppress(OSError, ValueError):
                super().handle()

        def finish(self) -> None:
            with suppress(OSError, ValueError):
                super().finish()

    return Handler


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        pass


@contextmanager
def serve_file(content: bytes, faults: Faults | None = None) -> Iterator[FileServer]:
    """Serve a file during a ``with`` block."""
    server = FileServer(content, faults or Faults())
    http_server = _Server(("127.0.0.1", 0), _handler(server))
    server.port = http_server.server_address[1]
    with run_in_thread(http_server):
        yield server
