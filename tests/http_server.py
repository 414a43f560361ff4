# SPDX-License-Identifier: Apache-2.0
"""Runs the HTTP servers of tests."""

from __future__ import annotations

import contextlib
import socketserver
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def run_in_thread(server: socketserver.BaseServer) -> Iterator[None]:
    """Run a server in a thread while the block runs."""
    # It only stops at the end of an interval, which is half a second by default.
    thread = threading.Thread(target=server.serve_forever, args=(0.005,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
