# SPDX-License-Identifier: Apache-2.0
"""The counts of the sandbox."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any


@dataclasses.dataclass
class Stats:
    """Counts since the start or the last reset, not including the exports that existed at the start.

    :param requests: requests for the API and for files, but not those under ``/_sandbox/``
    :param by_route: requests by method and route, such as ``GET /exports/{id}``
    :param by_status: responses by status; ``cut`` if the connection was closed before the response was complete
    :param rate_limited: responses with status 429, whatever the reason
    :param created_by_api: exports created by ``POST``
    :param created_in_app: exports created as by the application, by a control request or a shifting page
    :param created: the exports created by ``POST``, each with ``id``, ``createdAt`` and the ``body`` of the request
    :param file_requests: requests for files (``GET`` and ``HEAD``), including rejected ones
    :param file_bytes: bytes of files that were sent
    :param file_requests_with_authorization: requests for files with an ``Authorization`` header
    :param foreign_requests_with_authorization: API requests with an ``Authorization`` header to the host of the
        ``next_host`` option or of a redirect, which means that the client sent the key to another host
    :param faults: injected faults by ``on:kind``, and how often an export was missing because of ``replica_lag``, as
        ``lag``
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

    def count_response(self, route: str, status: str) -> None:
        """Count a request and its response."""
        self.requests += 1
        self.by_route[route] = self.by_route.get(route, 0) + 1
        self.by_status[status] = self.by_status.get(status, 0) + 1
        self.rate_limited += status == "429"

    def count_fault(self, name: str) -> None:
        """Count a fault."""
        self.faults[name] = self.faults.get(name, 0) + 1

    def snapshot(self) -> Stats:
        """Return a copy that is not affected by later requests."""
        return Stats(**self.as_json())

    def as_json(self) -> dict[str, Any]:
        """Return the counts as a dictionary of JSON values."""
        # A shallow copy is enough, because the thousands of entries that a list may have never change.
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {name: copy.copy(value) for name, value in values.items()}
