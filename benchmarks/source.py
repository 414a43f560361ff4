# SPDX-License-Identifier: Apache-2.0
"""The vendor's file server: a process that serves exports of any size, generated on the fly, to both sides.

``GET /BYTES.zip`` returns an archive with one CSV file of that size, with the sandbox's contacts, which compress to
less than a quarter. It supports ranges. ``python -m benchmarks.source`` prints the port, and serves until its input
ends.
"""

from __future__ import annotations

import contextlib
import functools
import re
import socket
import socketserver
import sys
import threading
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from airflow_provider_connectif.sandbox.archives import FileSpec, build_file
from airflow_provider_connectif.sandbox.blobs import Blob
from airflow_provider_connectif.sandbox.data import DataSpec

CHUNK = 1 << 20


@functools.cache
def export_file(csv_bytes: int) -> Blob:
    """Return the file of an export with a CSV file of the given size."""
    start, end = (datetime(2026, month, 1, tzinfo=timezone.utc) for month in (1, 2))
    data = DataSpec("benchmark", "contacts", 6, "ISO", start, end)
    return build_file(FileSpec(data, "contacts", file_bytes=csv_bytes, archive="plain")).blob


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # otherwise a small response waits for the client's delayed acknowledgement

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        match = re.fullmatch(r"/(\d+)\.zip(\?.*)?", self.path)
        if match is None:
            self.send_error(404)
            return
        blob = export_file(int(match[1]))
        span = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        start, stop = 0, blob.size
        if span:
            start = int(span[1])
            stop = min(int(span[2]) + 1 if span[2] else stop, stop)
        self.send_response(206 if span else 200)
        if span:
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{blob.size}")
        self.send_header("Content-Type", "application/zip")
        self.send_header("Content-Length", str(stop - start))
        self.send_header("ETag", f'"{match[1]}"')
        self.end_headers()
        for chunk in blob.read(start, stop, CHUNK):
            self.request.sendall(chunk)

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            super().handle()

    def finish(self) -> None:
        with contextlib.suppress(OSError):
            super().finish()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: socket.socket | tuple[bytes, socket.socket], client_address: object) -> None:
        pass

    def server_bind(self) -> None:
        socketserver.TCPServer.server_bind(self)  # without looking up the host name
        self.server_name, self.server_port = "127.0.0.1", self.server_address[1]


def main() -> None:
    """Serve until the input ends."""
    server = _Server(("127.0.0.1", 0), _Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_port, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
