# SPDX-License-Identifier: Apache-2.0
"""Yielding each export that finishes, or each that fails: none is lost, and as few as possible are repeated.

Each :class:`EndedExportStream` has a cursor, which is stored one round *behind* what was yielded: an export that was
just yielded is not safe yet if the process is killed in the next second, and nobody can find out afterwards. So after a
kill the last round is repeated, and nothing is left out.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_connectif.api.errors import ConnectifError, InvalidArgument
from airflow_provider_connectif.api.polling.cursor import Cursor, ending_key, ending_time
from airflow_provider_connectif.api.polling.event_loop import event_loop_time

if TYPE_CHECKING:
    from airflow_provider_connectif.api.filters import ExportFilter
    from airflow_provider_connectif.api.models import Export

log = logging.getLogger(__name__)

#: Seconds between two rounds, whatever interval is asked for: each round reads the whole list.
MIN_ROUND_INTERVAL = 5.0

#: Seconds after which a yielded export is taken to have been delivered.
DELIVERY_SECONDS = 3.0


class CursorStore(Protocol):
    """Where a cursor outlives its process. Yielded exports go the same way, and in the same order."""

    async def read(self) -> Any:
        """Return what was last written, or None.

        :raises InvalidArgument: if it is not clear whose cursor to read
        """

    async def write(self, value: Any) -> None:
        """Replace what was last written."""


class NewExportsReader:
    """Finds the exports of the list that a cursor has not seen, and advances the cursor.

    It keeps the new exports only. If the list could not be read to its end, they are those of the pages before.

    :param export_filter: which exports: those that finished, or those that failed
    :param cursor: the cursor; if None, start one, so that no export is new
    """

    def __init__(self, export_filter: ExportFilter, cursor: Cursor | None) -> None:
        #: The new exports without their signed URLs, in the order in which they ended.
        self.new_exports: list[Export] = []
        #: The cursor after them; None if it could not be started because the list was not complete.
        self.cursor = cursor
        #: How many exports match.
        self.count = 0
        self.error: ConnectifError | None = None
        self._filter = export_filter
        self._started = None if cursor is not None else Cursor(None, {})
        self._new: dict[str, Export] = {}
        self._undated: dict[str, Export] = {}

    def take(self, exports: Sequence[Export]) -> None:
        """Take in one page of the list."""
        matching = list(filter(self._filter.matches, exports))
        self.count += len(matching)
        self._undated.update({export.id: _without_url(export) for export in matching if ending_time(export) is None})
        if self.cursor is None:
            # Page by page, since all that is listed may be much.
            self._started = (self._started or Cursor(None, {})).advance(matching, complete=False)
        else:
            self._new.update({export.id: _without_url(export) for export in matching if self.cursor.is_new(export)})

    def missing_id(self) -> None:
        """Return None: no export is needed that is on none of the pages."""

    def end(self, *, complete: bool) -> None:
        """Compute the new exports and the cursor."""
        if self.cursor is not None:
            self.new_exports = sorted(self._new.values(), key=ending_key)
            listed = {**self._new, **self._undated}
            self.cursor = self.cursor.advance(listed.values(), complete=complete)
        elif complete:
            self.cursor = self._started


class EndedExportStream:
    """Yields the exports that finish, or fail, and match a filter.

    :param export_filter: the filter, whose ``status`` is ``finished`` unless it is for exports that ``failed``
    :param store: where the cursor is stored; if None, each start begins with the exports that end from then on
    :param interval: seconds after which the store is read again if that fails
    :param log: where progress and errors are logged; an error that repeats is logged once
    :param clock: returns seconds, monotonic
    :param sleep: takes seconds
    """

    def __init__(
        self,
        export_filter: ExportFilter,
        store: CursorStore | None,
        *,
        interval: float = MIN_ROUND_INTERVAL,
        log: Any = log,
        clock: Callable[[], float] = event_loop_time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._filter = export_filter
        self._verbs = ("fail", "failed") if export_filter.failed else ("finish", "finished")
        self._store = store
        self._interval = interval
        self._log = log
        self._clock = clock
        self._sleep = sleep
        self._unsaved: deque[tuple[float, Cursor]] = deque()
        self._last_message = ""

    async def new_exports(self, read: Callable[[NewExportsReader], Awaitable[None]]) -> AsyncIterator[Export]:
        """Yield each export that ends and matches, once, within a round in the order in which they ended.

        The very first round only records which exports have ended before.

        :param read: takes part in the next round; see
            :meth:`~airflow_provider_connectif.api.polling.rounds.Subscription.read`
        :raises InvalidArgument: if it is not clear whose cursor to read
        """
        cursor = await self._load_cursor()
        while True:
            reader = NewExportsReader(self._filter, cursor)
            await read(reader)
            self._log_error(reader.error)
            if cursor is None:
                cursor = await self._start(reader)
                continue
            with self._logged_errors():
                await self._save_delivered()
            # Before they are yielded: if the consumer leaves in between, it continues from the stored cursor.
            cursor = reader.cursor or cursor
            for export in reader.new_exports:
                yield export
            if reader.new_exports and self._store is not None:
                self._unsaved.append((self._clock(), cursor))

    async def _load_cursor(self) -> Cursor | None:
        """Return the stored cursor, or None if there is none; try until the store can be read."""
        if self._store is None:
            return None
        while True:
            with self._logged_errors():
                stored = await self._store.read()
                break
            await self._sleep(self._interval)
        if stored is not None:
            try:
                return Cursor.from_json(stored)
            except ValueError:
                self._log.error("The stored cursor is not readable; starting again.")
        return None

    async def _start(self, reader: NewExportsReader) -> Cursor | None:
        """Store and return the cursor that a first round has started; return None if it must be started again."""
        if reader.cursor is None:
            return None
        verb, past = self._verbs
        with self._logged_errors():
            if self._store is not None:
                await self._store.write(reader.cursor.to_json())
            self._log.info("Watching for exports that %s from now on; %d have %s before.", verb, reader.count, past)
            return reader.cursor
        return None

    @contextmanager
    def _logged_errors(self) -> Iterator[None]:
        """Log any error of the store, unless it must be fixed by the author of the DAG."""
        try:
            yield
        except InvalidArgument:
            raise
        except Exception as error:
            self._log.warning("The cursor could not be read or stored (%s); trying again.", type(error).__name__)

    def _log_error(self, error: ConnectifError | None) -> None:
        message = str(error or "")
        if message and message != self._last_message:
            self._log.warning("%s Still watching for exports that %s.", message, self._verbs[0])
        self._last_message = message

    async def _save_delivered(self) -> None:
        delivered: Cursor | None = None
        now = self._clock()
        for yielded_at, cursor in self._unsaved:
            if now - yielded_at >= DELIVERY_SECONDS:
                delivered = cursor
        if delivered is None or self._store is None:
            return
        # The store answers requests in order, so after what was yielded; two, since the latter is sent by the second.
        await self._store.read()
        await self._sleep(DELIVERY_SECONDS / 2)
        await self._store.read()
        await self._store.write(delivered.to_json())
        while self._unsaved and now - self._unsaved[0][0] >= DELIVERY_SECONDS:
            self._unsaved.popleft()


def _without_url(export: Export) -> Export:
    return dataclasses.replace(export, file_url=None)
