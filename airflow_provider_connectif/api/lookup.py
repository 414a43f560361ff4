# SPDX-License-Identifier: Apache-2.0
"""Looking for the export that a request without a response may have created.

The API documents no order of its list. What is looked for is recent, so the list is read only as far as that may be: to
its end, unless it is seen to begin with the newest export.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from airflow_provider_connectif.api.errors import ApiError, NotFound
from airflow_provider_connectif.api.export_pages import ExportPages

if TYPE_CHECKING:
    from airflow_provider_connectif.api.client import ConnectifClient
    from airflow_provider_connectif.api.export_request import ExportRequest
    from airflow_provider_connectif.api.models import Export

# An order that fewer exports show may be a coincidence.
_MIN_ORDERED_EXPORTS = 10


@dataclass(frozen=True)
class LookupPolicy:
    """How to look for an export after a request without a response.

    :param grace_period: seconds after the client gave up, during which a slow server may create the export
    :param interval: seconds between two lookups
    :param clock_skew: seconds by which the API's own clocks may differ: ``Date`` of one machine, ``createdAt`` of
        another
    :param attempts: how often one process sends the request at most
    :param settle_time: seconds between claiming the work and sending, for another process's claim to show
    """

    grace_period: float = 60.0
    interval: float = 5.0
    clock_skew: float = 30.0
    attempts: int = 3
    settle_time: float = 1.0


class ExportLookup:
    """Looks for recent exports that a request may have created.

    :param client: the client
    :param request: the request
    :param policy: how much the API's clocks may differ
    """

    def __init__(self, client: ConnectifClient, request: ExportRequest, policy: LookupPolicy) -> None:
        self._client = client
        self._request = request
        self._filters = request.body()["filters"]
        self._skew = timedelta(seconds=policy.clock_skew)
        self._others: set[str] = set()

    def find_similar(self) -> list[str]:
        """Return the ids of recent exports that the request, which has not been sent yet, did not create.

        :raises ApiError: if the list cannot be read
        """
        return [export.id for export in self._recent_exports(None) if self._may_match(export)]

    def find(self, since: datetime, others: Collection[str]) -> Export | None:
        """Return the export that the request created; ``None`` if the list does not show it.

        :param since: the time of the request, by the API's clock
        :param others: the ids of exports that the request did not create
        :raises ApiError: if a request fails before a suitable export was seen
        """
        self._others.update(others)
        matching: list[Export] = []
        try:
            for export in self._matching_exports(since):
                matching.append(export)
        except ApiError:
            if not any(_is_suitable(export, since) for export in matching):
                raise
        # The oldest is most likely from the first request.
        return min(
            matching,
            key=lambda export: (not _is_suitable(export, since), export.failed, export.created_at or since, export.id),
            default=None,
        )

    def _matching_exports(self, since: datetime) -> Iterator[Export]:
        for export in self._recent_exports(since):
            if export.id in self._others or not self._may_match(export):
                continue
            # The list shows no filters if it omits them, and if there are none.
            complete = export if export.filters else self._get(export.id)
            if complete is not None and self._request.matches(complete):
                yield complete

    def _may_match(self, export: Export) -> bool:
        """Return whether an export matches, or might if the list showed its filters, which it may omit."""
        return self._request.matches(export if export.filters else replace(export, filters=self._filters))

    def _get(self, export_id: str) -> Export | None:
        """Return an export of the list; ``None`` if it cannot be found just now."""
        try:
            export = self._client.get_export(export_id)
        except NotFound:
            return None
        if not self._request.matches(export):
            self._others.add(export_id)
        return export

    def _recent_exports(self, since: datetime | None) -> Iterator[Export]:
        """Yield the exports that were created since a time, or since now if it is not given, as far as clocks agree."""
        pages = ExportPages()
        order = _Order()
        while not pages.done:
            pages.read(self._client)
            earliest = (since or self._client.server_now()) - self._skew
            for export in pages.new_exports:
                order.add(export)
                if export.created_at is not None and export.created_at > earliest:
                    yield export
            if order.is_newest_first_and_before(earliest):
                return


def _is_suitable(export: Export, since: datetime) -> bool:
    """Return whether no other export can be better.

    A failed one is useless, and one that seems older than the request is ours only if the clocks differ.
    """
    return not export.failed and export.created_at is not None and export.created_at >= since


class _Order:
    """The order of the exports that have been read."""

    def __init__(self) -> None:
        self._count = 0
        self._first: datetime | None = None
        self._last: datetime | None = None
        self._descends = True

    def add(self, export: Export) -> None:
        created = export.created_at
        if created is None:
            return
        self._count += 1
        self._first = self._first or created
        self._descends = self._descends and (self._last is None or created <= self._last)
        self._last = created

    def is_newest_first_and_before(self, time: datetime) -> bool:
        """Return whether the list begins with the newest export, and all that follow are older than a time."""
        if self._first is None or self._last is None or self._count < _MIN_ORDERED_EXPORTS:
            return False
        return self._descends and self._last < self._first and self._last <= time
