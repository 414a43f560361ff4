# SPDX-License-Identifier: Apache-2.0
"""A minimal Exports API with a long list of finished exports: ``python -m benchmarks.list_server PORT EXPORTS``.

It prepares its responses, so that a list of any length takes little of the time that is measured. An account is the
first part of the path: the responses to ``/slow…`` take some seconds, and its exports do not finish.
"""

from __future__ import annotations

import json
import re
import sys
import time
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PAGE_SIZE = 50
#: Seconds until a slow account responds.
SLOW = 2.0
_FIRST = datetime(2026, 1, 1, tzinfo=timezone.utc)


def export(number: int, status: str = "finished") -> dict[str, Any]:
    """Return one export, as the API describes it."""
    finished = (_FIRST + timedelta(seconds=number)).isoformat(timespec="milliseconds")
    return {
        "id": f"{number:024x}",
        "status": status,
        "exportType": "data-explorer",
        "origin": "app",
        "createdAt": finished,
        "finishedAt": finished,
        "progress": 1000,
        "total": 1000,
        "fileName": f"sales-20260101-20260131-{number:08}.zip",
        "fileExtension": "zip",
        "fileUrl": f"https://files.example/{number:024x}?signature={number:064x}",
        "delimiter": ",",
        "dateFormat": "ISO",
        "version": "v6",
        "filters": {"reportId": f"{number % 20:024x}", "fromDate": "2026-01-01", "toDate": "2026-01-31"},
    }


class Handler(BaseHTTPRequestHandler):
    """Responds with prepared pages, and with single exports."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    pages: tuple[bytes, ...] = ()

    def do_GET(self) -> None:
        """Handle a request."""
        is_slow = self.path.startswith("/slow")
        if is_slow:
            time.sleep(SLOW)
        page = re.search(r"[?&]page=(\d+)", self.path)
        if page:
            body = self.pages[int(page[1]) - 1]
        else:
            body = json.dumps(export(1, "inProgress" if is_slow else "finished")).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Log nothing."""


def main() -> None:
    """Serve until terminated."""
    port, count = int(sys.argv[1]), int(sys.argv[2])
    last = max(1, -(-count // PAGE_SIZE))
    Handler.pages = tuple(
        json.dumps(
            {
                "links": {} if number == last else {"next": f"/list/exports?page={number + 1}"},
                "results": [export(each) for each in range(PAGE_SIZE * (number - 1), min(PAGE_SIZE * number, count))],
            }
        ).encode()
        for number in range(1, last + 1)
    )
    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


if __name__ == "__main__":
    main()
