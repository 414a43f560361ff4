# SPDX-License-Identifier: Apache-2.0
"""A store on loopback with every combination of behaviors, and what must come of it."""

from __future__ import annotations

import gzip
import hashlib
import itertools
import random
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields, replace
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal, get_args

from tests.http_server import run_in_thread

PAGE = b"<!DOCTYPE html><html><body>Your session has expired, please sign in.</body></html>"
JSON = b'{"status": 403, "title": "Forbidden"}'


@dataclass(frozen=True)
class Behavior:
    """
    One combination.

    :param dead_url: the response to a signed URL that expired
    :param expires: number of requests after which the first URL expires
    :param length: how the end of a whole file is marked
    :param encoding: ``gzip`` encodes whole files on the way; ``own gzip`` is the encoding of the object itself
    :param validator: what identifies a version of the file
    :param ranges: whether ranges are supported; ``once`` by the first response only
    :param breaks: what happens to the first connections, in the middle of a body
    :param change: what is sent after the first request; ``silent`` responses have neither validator nor length and are
        of the whole file
    :param end: whether the store has the complete file
    """

    dead_url: Literal["403", "503", "page", "json", "gzip page", "login", "loop"]
    expires: Literal["never", "at once", "halfway"]
    length: Literal["length", "chunked", "close"]
    encoding: Literal["none", "aws-chunked", "gzip", "own gzip", "br"]
    validator: Literal["strong", "weak", "date", "none"]
    ranges: Literal["yes", "no", "once"]
    breaks: Literal["no", "closed", "reset"]
    change: Literal["no", "silent", "other file", "silent other file"]
    end: Literal["complete", "short"]
    kind: Literal["deflated", "stored", "streamed", "csv", "gzip"]
    file_format: Literal["csv", "csv.gz", "archive"]

    @property
    def has_ranges(self) -> bool:
        """Whether the file is read by ranges. A proxy that encodes whole files does not encode ranges."""
        encodings = ("none", "aws-chunked", "gzip") if self.ranges == "yes" else ("none", "aws-chunked")
        return self.ranges != "no" and self.validator in ("strong", "date") and self.encoding in encodings

    @property
    def hides_end(self) -> bool:
        """Whether a connection that breaks looks like the end of the file."""
        return self.length == "close" and not self.has_ranges

    @property
    def stores_gzip_unchanged(self) -> bool:
        """Whether the content of the file is not looked at."""
        return self.kind == "gzip" and self.file_format == "archive"

    @property
    def must_succeed(self) -> bool:
        if self.encoding == "br" or self.end == "short":
            return False
        if self.hides_end and (self.kind in ("csv", "gzip") or self.breaks != "no"):
            return False
        return self.change == "no"

    @property
    def may_be_final(self) -> bool:
        """Whether another attempt cannot succeed, because the store itself has no complete file."""
        surely_ends = not self.hides_end or self.change.startswith("silent")  # which is chunked
        return self.end == "short" and self.kind != "csv" and surely_ends


def sample_behaviors(count: int, seed: int) -> Iterator[Behavior]:
    """Yield so many different combinations; all of them if there are not more."""
    values = [get_args(annotation) for annotation in _annotations()]
    total = 1
    for each in values:
        total *= len(each)
    if count >= total:
        yield from itertools.starmap(Behavior, itertools.product(*values))
        return
    for number in random.Random(seed).sample(range(total), count):
        chosen = []
        for each in values:
            number, index = divmod(number, len(each))
            chosen.append(each[index])
        yield Behavior(*chosen)


def _annotations() -> list[object]:
    hints = Behavior.__annotations__
    return [eval(hints[field.name]) for field in fields(Behavior)]


def pairs_of(behaviors: list[Behavior]) -> tuple[int, int]:
    """Return how many pairs of values of two parameters occur, and how many there are."""
    names = [field.name for field in fields(Behavior)]
    counts = [len(get_args(annotation)) for annotation in _annotations()]
    found = {
        (a, getattr(behavior, a), b, getattr(behavior, b))
        for behavior in behaviors
        for a, b in itertools.combinations(names, 2)
    }
    return len(found), sum(x * y for x, y in itertools.combinations(counts, 2))


class Store:
    """
    A running store, whose behavior and file can be replaced.

    :param behavior: its behavior
    :param content: its file
    :param other: the file that replaces it, of the same size
    """

    def __init__(self) -> None:
        self.port = 0
        self.lock = threading.Lock()

    def use(self, behavior: Behavior, content: bytes, other: bytes) -> None:
        """Start again with another behavior."""
        with self.lock:
            self.behavior, self.content, self.other = behavior, content, other
            self.requests = self.urls = 0
            self.breaks_left = 2

    def renew(self) -> str:
        """Return a new signed URL."""
        with self.lock:
            self.urls += 1
            return f"http://127.0.0.1:{self.port}/file?X-Amz-Signature={self.urls}"

    def count(self, first_url: bool) -> tuple[int, bool]:
        """Return the number of the request, and whether its URL expired."""
        with self.lock:
            limit = {"never": 10**9, "at once": 0, "halfway": 1}[self.behavior.expires]
            if first_url and self.requests >= limit:
                return self.requests, True
            self.requests += 1
            return self.requests, False

    def take_break(self) -> bool:
        with self.lock:
            self.breaks_left -= 1
            return self.behavior.breaks != "no" and self.breaks_left >= 0


def _handler(store: Store) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 60
        disable_nagle_algorithm = True
        wbufsize = -1

        def log_message(self, format: str, *args: object) -> None:
            pass

        def do_GET(self) -> None:
            behavior = store.behavior
            if self.path.startswith("/login"):
                self._send(200, {"Content-Type": "text/html"}, PAGE)
                return
            number, expired = store.count(self.path.endswith("=1"))
            if expired:
                self._send_dead(behavior.dead_url)
                return
            later = number > 1
            silent = later and behavior.change.startswith("silent")
            other = later and behavior.change.endswith("other file")
            self._send_file(behavior, store.other if other else store.content, number, silent)

        def _send_dead(self, kind: str) -> None:
            match kind:
                case "403" | "503":
                    self._send(int(kind), {}, b"<Error/>")
                case "page":
                    self._send(200, {"Content-Type": "text/html"}, PAGE)
                case "json":
                    self._send(200, {}, JSON)
                case "gzip page":
                    self._send(200, {"Content-Encoding": "gzip"}, gzip.compress(PAGE))
                case "login":
                    self._send(302, {"Location": "/login"}, b"")
                case _:
                    self._send(302, {"Location": self.path}, b"")
            if kind == "503":  # the store is overloaded for a moment, and the URL is still valid
                store.behavior = replace(store.behavior, expires="never")

        def _send_file(self, behavior: Behavior, content: bytes, number: int, silent: bool) -> None:
            headers = {} if silent else self._validators(behavior, content)
            match behavior.encoding:
                case "own gzip":
                    content = gzip.compress(content, mtime=0)
                    headers["Content-Encoding"] = "gzip"
                case "br" | "aws-chunked" as name:
                    headers["Content-Encoding"] = name
            wanted = self.headers.get("Range", "").removeprefix("bytes=").partition("-")
            ranged = behavior.ranges == "yes" or (behavior.ranges == "once" and number == 1)
            condition = self.headers.get("If-Range")
            unchanged = condition in (None, headers.get("ETag"), headers.get("Last-Modified"))
            if wanted[0] and ranged and unchanged and not silent:
                start, stop = int(wanted[0]), min(int(wanted[2]) + 1, len(content))
                if start >= len(content):
                    self._send(416, {"Content-Range": f"bytes */{len(content)}"} | headers, b"")
                    return
                headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(content)}"
                self._send(206, headers, content[start:stop], breaks=True)
                return
            if behavior.encoding == "gzip":  # as nginx does
                content = gzip.compress(content, mtime=0)
                headers["Content-Encoding"] = "gzip"
                if "ETag" in headers:
                    headers["ETag"] = "W/" + headers["ETag"].removeprefix("W/")
            self._send(200, headers, content, length="chunked" if silent else behavior.length, breaks=True)

        def _validators(self, behavior: Behavior, content: bytes) -> dict[str, str]:
            digest = hashlib.md5(content).hexdigest()
            match behavior.validator:
                case "strong":
                    return {"ETag": f'"{digest}"'}
                case "weak":
                    return {"ETag": f'W/"{digest}"'}
                case "date":
                    return {"Last-Modified": formatdate(int(digest[:7], 16), usegmt=True)}
            return {}

        def _send(
            self, status: int, headers: dict[str, str], body: bytes, *, length: str = "length", breaks: bool = False
        ) -> None:
            self.send_response(status)
            if length == "length":
                headers["Content-Length"] = str(len(body))
            elif length == "chunked":
                headers["Transfer-Encoding"] = "chunked"
            else:
                headers["Connection"] = "close"
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            broken = breaks and len(body) > 3000 and store.take_break()
            if broken:
                body = body[: len(body) // 2]
            if length == "chunked" and body:
                body = b"%x\r\n%b\r\n" % (len(body), body)
            self.wfile.write(body)
            if length == "chunked" and not broken:
                self.wfile.write(b"0\r\n\r\n")
            self.wfile.flush()
            if broken or length == "close":
                self.close_connection = True
            if broken and store.behavior.breaks == "reset":
                self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.request.close()

        def handle(self) -> None:
            with suppress(OSError, ValueError):
                super().handle()

        def finish(self) -> None:
            with suppress(OSError, ValueError):
                super().finish()

    return Handler


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        pass


@contextmanager
def run_store() -> Iterator[Store]:
    """Run a store during a ``with`` block."""
    store = Store()
    server = _Server(("127.0.0.1", 0), _handler(store))
    store.port = server.server_address[1]
    with run_in_thread(server):
        yield store
