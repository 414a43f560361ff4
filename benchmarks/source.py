# SPDX-License-Identifier: Apache-2.0
"""The vendor's store: a process that serves exports of any size, made on the fly, to both sides of a comparison.

``GET /BYTES.zip`` is an archive with one CSV of so many bytes, the sandbox's contacts, which deflate to less than a
quarter. It knows ranges. ``python -m benchmarks.source`` prints its port, and serves until its input is closed.
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
    """Return an export's file whose CSV has so many bytes."""
    start, end = (datetime(2026, month, 1, tzinfo=timezone.utc) for month in (1, 2))
    data = DataSpec("benchmark", "contacts", 6, "ISO", start, end)
    return build_file(FileSpec(data, "contacts", file_bytes=csv_bytes, archive="plain")).blob


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # a small answer is not to wait for the other side's delayed acknowledgement

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        asked = re.fullmatch(r"/(\d+)\.zip(\?.*)?", self.path)
        if asked is None:
            self.send_error(404)
            return
        blob = export_file(int(asked[1]))
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
        self.send_header("ETag", f'"{asked[1]}"')
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
        socketserver.TCPServer.server_bind(self)  # without asking the network for this machine's name
        self.server_name, self.server_port = "127.0.0.1", self.server_address[1]


def main() -> None:
    """Serve until the input ends."""
    server = _Server(("127.0.0.1", 0), _Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_port, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
