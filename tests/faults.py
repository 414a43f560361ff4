# SPDX-License-Identifier: Apache-2.0
"""Stores that fail at a given point: real HTTP through a proxy that rejects requests, or loses a part of them."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal
from urllib.parse import urlsplit

import pytest

from tests.http_server import run_in_thread

Fault = Literal["reject", "not implemented", "slow down", "truncate", "lose response", "cut response"]

#: The status codes of the faults that are responses of the proxy itself.
_STATUS = {"reject": 403, "not implemented": 501, "slow down": 503}


class Interrupt(BaseException):
    """What Airflow raises for ``execution_timeout``."""


@pytest.fixture
def interrupt() -> Iterator[Callable[[], None]]:
    """A function that interrupts the main thread, as Airflow does."""

    def raise_interrupt(*_: object) -> None:
        raise Interrupt

    before = signal.signal(signal.SIGALRM, raise_interrupt)
    yield lambda: os.kill(os.getpid(), signal.SIGALRM)
    signal.signal(signal.SIGALRM, before)


@dataclass
class Request:
    """A request as the proxy sees it."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Faults:
    """Which requests fail."""

    def __init__(self) -> None:
        self.rule: Callable[[Request], Fault | None] | None = None
        self.hits = 0
        self.seen: list[str] = []
        self._lock = threading.Lock()

    def fail(self, pattern: str, *, nth: int = 1, fault: Fault = "reject", once: bool = False) -> None:
        """Make requests fail whose ``METHOD path|content-range`` matches, from the ``nth`` one on."""
        count = 0

        def rule(request: Request) -> Fault | None:
            nonlocal count
            line = f"{request.method} {request.path}|{request.headers.get('content-range', '')}"
            if not re.search(pattern, line):
                return None
            count += 1
            if count < nth or (once and count > nth):
                return None
            self.hits += 1
            return fault

        self.rule = rule

    def clear(self) -> None:
        """Make no more requests fail."""
        self.rule = None

    def decide(self, request: Request) -> Fault | None:
        """Return what happens to this request."""
        with self._lock:
            self.seen.append(f"{request.method} {request.path}")
            return self.rule(request) if self.rule else None


class _Proxy(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, upstream: str, faults: Faults) -> None:
        super().__init__(("127.0.0.1", 0), _ProxyHandler)
        self.upstream = urlsplit(upstream).netloc
        self.faults = faults

    def handle_error(self, request: object, client_address: object) -> None:
        return


class _ProxyHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Proxy

    def log_message(self, *args: object) -> None:
        return

    def handle_one_request(self) -> None:
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        if "100-continue" in self.headers.get("Expect", "").lower():
            pass  # parse_request has responded to it
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b""
            while True:
                line = self.rfile.readline()
                body += line
                size = int(line.split(b";")[0], 16)
                body += self.rfile.read(size + 2) if size else b""
                if not size:
                    break
            while (line := self.rfile.readline()) not in (b"\r\n", b""):
                body += line
            body += b"\r\n"
        headers = {name.lower(): value for name, value in self.headers.items()}
        fault = self.server.faults.decide(Request(self.command, self.path, headers, body))
        if fault in _STATUS:
            content = b"<Error><Code>SlowDown</Code></Error>" if fault == "slow down" else b""
            self.send_response(_STATUS[fault])
            self.send_header("Content-Type", "application/xml")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
            return
        response = self.forward(body[: len(body) // 2] if fault == "truncate" else body)
        if fault == "lose response":
            self.close_connection = True
            return
        if fault == "cut response":
            self.close_connection = True
            response = response[:-1]
        self.wfile.write(response)

    def forward(self, body: bytes) -> bytes:
        upstream = http.client.HTTPConnection(self.server.upstream, timeout=60)
        upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in ("expect", "connection"):
                upstream.putheader(name, str(len(body)) if name.lower() == "content-length" else value)
        upstream.endheaders(body or None)
        response = upstream.getresponse()
        content = response.read()
        lines = [f"HTTP/1.1 {response.status} {response.reason}"]
        for name, value in response.getheaders():
            if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                lines.append(f"{name}: {value}")
        length = response.getheader("Content-Length") if self.command == "HEAD" else str(len(content))
        lines.append(f"Content-Length: {length or 0}")
        upstream.close()
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + content


@contextlib.contextmanager
def run_proxy(upstream: str, faults: Faults) -> Iterator[str]:
    """Run a proxy in front of ``upstream`` that makes requests fail, and return its URL."""
    proxy = _Proxy(upstream, faults)
    with run_in_thread(proxy):
        yield f"http://127.0.0.1:{proxy.server_address[1]}"
