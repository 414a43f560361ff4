# SPDX-License-Identifier: Apache-2.0
"""One poll for many waits, in as few requests as possible.

A poll is a sequence of steps of one request each, so that a caller can run the steps in threads, wait between them
without blocking, and use what was found before the poll is over. :func:`run_poll` runs all of them at once. If a
request fails, the poll goes on without it: what other requests showed is used.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

from airflow_provider_connectif.api.errors import AuthenticationFailed, ConnectifError, ConnectionUnusable, NotFound
from airflow_provider_connectif.api.export_pages import ExportPages
from airflow_provider_connectif.api.filters import ExportFilter, creation_key
from airflow_provider_connectif.api.models import Export

if TYPE_CHECKING:
    from airflow_provider_connectif.api.client import ConnectifClient

log = logging.getLogger(__name__)

#: The connection cannot be used: another request would fail as well.
SETUP_ERRORS = (AuthenticationFailed, ConnectionUnusable)

#: After so many consecutive requests by id that failed, a poll does not ask for the other exports.
MAX_CONSECUTIVE_FAILURES = 5


class IdReader:
    """Reads exports by id.

    :param export_ids: the ids
    """

    def __init__(self, export_ids: Iterable[str]) -> None:
        self.export_ids = list(dict.fromkeys(export_ids))
        #: By id: the export, or the error of the request for it. It lacks the exports that were not asked for.
        self.found: dict[str, Export | ConnectifError] = {}
        #: The error that kept the poll from being complete.
        self.error: ConnectifError | None = None

    @property
    def done(self) -> bool:
        """Whether nothing is missing."""
        return len(self.found) == len(self.export_ids)


class ListReader(Protocol):
    """Reads the whole list; its methods are called in the thread of the poll."""

    #: The error that kept the poll from being complete.
    error: ConnectifError | None

    def take(self, exports: Sequence[Export]) -> None:
        """Take in one page of the list. An export may be on several pages."""

    def missing_id(self) -> str | None:
        """Return the id of an export that is needed although it was on no page, if the list could not be read."""

    def end(self, *, complete: bool) -> None:
        """Compute the result.

        :param complete: whether all pages were read
        """


class NewestReader:
    """Finds the newest export that matches a filter.

    The list has no documented order, so only the whole list shows which export is the newest. If it could not be read,
    the newest export of the last complete list is still the newest as far as anyone knows.

    :param export_filter: the filter
    :param known_id: the id of the newest export, according to the last complete list
    """

    def __init__(self, export_filter: ExportFilter, known_id: str | None = None) -> None:
        #: The newest export that matches, or None.
        self.newest: Export | None = None
        #: Whether ``newest`` is the result of the poll; otherwise ``error`` is.
        self.is_result = False
        self.error: ConnectifError | None = None
        self._filter = export_filter
        self._known_id = known_id

    def take(self, exports: Sequence[Export]) -> None:
        """Take in one page of the list."""
        for export in exports:
            if self._filter.matches(export) and (
                self.newest is None or creation_key(export) >= creation_key(self.newest)
            ):
                self.newest = export

    def missing_id(self) -> str | None:
        """Return the id of the newest export of the last complete list, if it was not on the pages."""
        return self._known_id if self.newest is None or self.newest.id != self._known_id else None

    def end(self, *, complete: bool) -> None:
        """Decide whether there is a result."""
        self.is_result = complete or (self.newest is not None and self.newest.id == self._known_id)


class IdPoll:
    """Reads exports by id in about ``min(exports, pages of the list)`` requests.

    Up to two exports are requested by id. For more, the list is read until all of them are found, until as many pages
    contained none of them as there are exports missing, or until a page cannot be read. The missing ones are then
    requested by id, which shows whether they were deleted or are only not listed. So there are at most two requests for
    each export.

    :param readers: who reads which exports
    :param shuffle: shuffles a list: the order in which exports are requested by id is random, so that those that cannot
        be read do not keep others from being read
    """

    def __init__(
        self,
        readers: Sequence[IdReader],
        *,
        shuffle: Callable[[list[str]], None] = random.shuffle,
    ) -> None:
        self._readers: dict[str, list[IdReader]] = {}
        for reader in readers:
            for export_id in reader.export_ids:
                self._readers.setdefault(export_id, []).append(reader)
        self._shuffle = shuffle
        self._missing = set(self._readers)
        self._pages = ExportPages() if len(self._missing) > 2 else None
        self._useless_pages = 0
        self._queue: list[str] | None = None
        self._failures = 0
        self._stopped = False

    @property
    def done(self) -> bool:
        """Whether there is nothing more to request."""
        return not self._missing or self._stopped

    def step(self, client: ConnectifClient) -> list[IdReader]:
        """Send one request, and return the readers that are done because of it.

        :raises ConnectifError: if the request fails; call :meth:`fail` unless this method is called again
        """
        if self._pages is not None:
            return self._read_page(self._pages, client)
        export_id = self._next_id()
        found: Export | ConnectifError
        try:
            found = client.get_export(export_id)
        except NotFound as error:
            found = error
        self._failures = 0
        return self._add(export_id, found)

    def fail(self, error: ConnectifError) -> list[IdReader]:
        """Go on without a request that failed, and return the readers that are done because of it."""
        if isinstance(error, SETUP_ERRORS):
            return self._stop(error)
        if self._pages is not None:
            log.info("%s Requesting %d exports by their ids.", error, len(self._missing))
            self._pages = None
            return []
        self._failures += 1
        done = self._add(self._next_id(), error)
        return done + self._stop(error) if self._failures >= MAX_CONSECUTIVE_FAILURES else done

    def _read_page(self, pages: ExportPages, client: ConnectifClient) -> list[IdReader]:
        on_page = {export.id: export for export in pages.read(client) if export.id in self._missing}
        done = [reader for export_id, export in on_page.items() for reader in self._add(export_id, export)]
        self._useless_pages += not on_page
        if pages.done or self._useless_pages >= len(self._missing):
            self._pages = None
        return done

    def _next_id(self) -> str:
        if self._queue is None:
            self._queue = sorted(self._missing)
            self._shuffle(self._queue)
        return self._queue[-1]

    def _add(self, export_id: str, found: Export | ConnectifError) -> list[IdReader]:
        self._missing.discard(export_id)
        if self._queue:
            self._queue.pop()
        for reader in self._readers[export_id]:
            reader.found[export_id] = found
        return [reader for reader in self._readers[export_id] if reader.done]

    def _stop(self, error: ConnectifError) -> list[IdReader]:
        self._stopped = True
        not_done = {id(reader): reader for export_id in self._missing for reader in self._readers[export_id]}
        for reader in not_done.values():
            reader.error = error
        return list(not_done.values())


class ListPoll:
    """Reads the whole list, once for all readers, and keeps no export.

    If a page cannot be read, the readers get what was on the pages before it, and the exports that they name.

    :param readers: who reads the list
    """

    def __init__(self, readers: Sequence[ListReader]) -> None:
        #: Whether there is nothing more to do.
        self.done = False
        self._readers = readers
        self._pages: ExportPages | None = ExportPages()
        self._lookups: dict[str, list[ListReader]] = {}
        self._error: ConnectifError | None = None

    def step(self, client: ConnectifClient) -> Sequence[ListReader]:
        """Send one request, or compute the results, and return the readers that are done because of it.

        :raises ConnectifError: if the request fails; call :meth:`fail` unless this method is called again
        """
        if self._pages is not None:
            page = self._pages.read(client)
            for reader in self._readers:
                reader.take(page)
            return self._end() if self._pages.done else ()
        if not self._lookups:
            return self._end()
        export_id = next(iter(self._lookups))
        export = client.get_export(export_id)
        for reader in self._lookups.pop(export_id):
            reader.take([export])
        return ()

    def fail(self, error: ConnectifError) -> Sequence[ListReader]:
        """Go on without a request that failed, and return the readers that are done because of it."""
        self._error = self._error or error
        if self._pages is not None and not isinstance(error, SETUP_ERRORS):
            self._pages = None
            for reader in self._readers:
                export_id = reader.missing_id()
                if export_id is not None:
                    self._lookups.setdefault(export_id, []).append(reader)
            return ()
        if self._lookups and not isinstance(error, SETUP_ERRORS):
            self._lookups.clear()
            return ()
        self.done = True
        for reader in self._readers:
            reader.error = error
        return self._readers

    def _end(self) -> Sequence[ListReader]:
        for reader in self._readers:
            reader.error = self._error
            reader.end(complete=self._error is None)
        self.done = True
        return self._readers


def run_poll(poll: IdPoll | ListPoll, client: ConnectifClient) -> None:
    """Run all steps of a poll. Its readers have the results and the errors.

    :param client: the API
    """
    while not poll.done:
        try:
            poll.step(client)
        except ConnectifError as error:
            poll.fail(error)
