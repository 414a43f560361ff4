# SPDX-License-Identifier: Apache-2.0
"""What the sandbox has counted."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any


@dataclasses.dataclass
class Stats:
    """Counts since the start or the last reset. Exports that the sandbox itself seeded are not counted.

    :param requests: requests to the API and to the files, without those under ``/_sandbox/``.
    :param by_route: requests by method and route, such as ``GET /exports/{id}``.
    :param by_status: answers by status; ``cut`` where the connection was closed without a whole answer.
    :param rate_limited: answers with 429, whatever their reason.
    :param created_by_api: exports created by ``POST``.
    :param created_in_app: exports "made in the application" by a control request or a shifting page.
    :param created: the exports created by ``POST``: ``id``, ``createdAt`` and the request's ``body``.
    :param file_requests: requests for a file (GET and HEAD), refused ones included.
    :param file_bytes: bytes of files that were sent.
    :param file_requests_with_authorization: file requests that carried an ``Authorization`` header.
    :param foreign_requests_with_authorization: API requests with an ``Authorization`` header that came in by
        the host of the ``next_host`` option or of a redirection: the client took the key to another host.
    :param faults: faults given, by ``on:kind``.
    """

    requests: int = 0
    by_route: dict[str, int] = dataclasses.field(default_factory=dict)
    by_status: dict[str, int] = dataclasses.field(default_factory=dict)
    rate_limited: int = 0
    created_by_api: int = 0
    created_in_app: int = 0
    created: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    file_requests: int = 0
    file_bytes: int = 0
    file_requests_with_authorization: int = 0
    foreign_requests_with_authorization: int = 0
    faults: dict[str, int] = dataclasses.field(default_factory=dict)

    def count_answer(self, route: str, status: str) -> None:
        """Count a request and its answer."""
        self.requests += 1
        self.by_route[route] = self.by_route.get(route, 0) + 1
        self.by_status[status] = self.by_status.get(status, 0) + 1
        self.rate_limited += status == "429"

    def count_fault(self, name: str) -> None:
        """Count a fault."""
        self.faults[name] = self.faults.get(name, 0) + 1

    def snapshot(self) -> Stats:
        """Return a copy that later requests do not change."""
        return Stats(**self.as_json())

    def as_json(self) -> dict[str, Any]:
        """Return the counts as a dictionary of JSON values."""
        # The entries of the lists never change, and there may be thousands: the lists alone are copied.
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {name: copy.copy(value) for name, value in values.items()}
