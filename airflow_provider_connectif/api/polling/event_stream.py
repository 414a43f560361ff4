# SPDX-License-Identifier: Apache-2.0
"""Yielding each export that finishes, whoever created it: none is lost, and as few as possible are repeated.

One poll of the list (:func:`poll_finished_exports`) serves any number of streams. Each :class:`FinishedExportStream`
has a cursor, which is stored one round *behind* what was yielded: an export that was just yielded is not safe yet if
the process is killed in the next second, and nobody can find out afterwards. So after a kill the last round is
repeated, and nothing is left out.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import random as random_module
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_connectif.api.errors import ConnectifError, InvalidArgument
from airflow_provider_connectif.api.polling.cursor import Cursor
from airflow_provider_connectif.api.polling.event_loop import ReconnectingClient, event_loop_time

if TYPE_CHECKING:
    from airflow_provider_connectif.api.client import ConnectifClient
    from airflow_provider_connectif.api.filters import ExportFilter
    from airflow_provider_connectif.api.models import Export

log = logging.getLogger(__name__)

#: Seconds between two rounds, whatever interval is asked for: each round reads the whole list.
MIN_ROUND_INTERVAL = 5.0

#: Seconds after which a yielded export is taken to have been delivered.
DELIVERY_SECONDS = 3.0

_JITTER = 0.1


class CursorStore(Protocol):
    """Where a cursor outlives its process. Yielded exports go the same way, and in the same order."""

    async def read(self) -> Any:
        """Return what was last written, or None.

        :raises InvalidArgument: if it is not clear whose cursor to read
        """

    async def write(self, value: Any) -> None:
        """Replace what was last written."""


async def poll_finished_exports(
    open_client: Callable[[], Awaitable[ConnectifClient]],
    interval: float,
    *,
    log: Any = log,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    random: Callable[[], float] = random_module.random,
) -> AsyncIterator[tuple[Export, ...]]:
    """Yield all finished exports of the list, without their signed URLs, at intervals.

    A round that fails is logged, and yields nothing.

    :param open_client: opens the API's client; awaited in the event loop, so it must not block
    :param interval: seconds between two rounds
    :param log: where errors are logged; an error that repeats is logged once
    :param sleep: takes seconds
    :param random: returns a number from 0 to 1, for the jitter
    """
    client = ReconnectingClient(open_client)
    last_message = ""
    try:
        while True:
            message, exports = "", None
            try:
                exports = await client.call(_finished_exports)
            except ConnectifError as error:
                message = str(error)
            except Exception as error:
                message = f"Polling the list of exports failed with {type(error).__name__}."
            if message and message != last_message:
                log.warning("%s Still watching for finished exports.", message)
            last_message = message
            if exports is not None:
                yield exports
            await sleep(max(interval, MIN_ROUND_INTERVAL) * (1 - _JITTER * random()))
    finally:
        client.close()


class FinishedExportStream:
    """Yields the exports that finish and match a filter.

    :param export_filter: the filter
    :param store: where the cursor is stored; if None, each start begins with the exports that finish from then on
    :param log: where progress and errors are logged
    :param clock: returns seconds, monotonic
    :param sleep: takes seconds
    """

    def __init__(
        self,
        export_filter: ExportFilter,
        store: CursorStore | None,
        *,
        log: Any = log,
        clock: Callable[[], float] = event_loop_time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._filter = export_filter
        self._store = store
        self._log = log
        self._clock = clock
        self._sleep = sleep
        self._cursor: Cursor | None = None
        self._has_read_store = False
        self._unsaved: deque[tuple[float, Cursor]] = deque()

    async def new_exports(self, rounds: AsyncIterator[tuple[Export, ...]]) -> AsyncIterator[Export]:
        """Yield each export that finishes and matches, once, in the order of the finishing times within a round.

        The very first round only records which exports have finished before.

        :param rounds: see :func:`poll_finished_exports`
        :raises InvalidArgument: if it is not clear whose cursor to read
        """
        async for listed in rounds:
            matching = [export for export in listed if self._filter.matches(export)]
            try:
                if not await self._is_started(matching):
                    continue
                await self._save_delivered()
            except InvalidArgument:
                raise
            except Exception as error:
                self._log.warning("The cursor could not be stored (%s); trying again.", type(error).__name__)
            if self._cursor is None:
                continue
            new = self._cursor.new_exports(matching)
            # Before they are yielded: if the consumer leaves in between, it continues from the stored cursor.
            self._cursor = self._cursor.advance(matching)
            for export in new:
                yield export
            if new and self._store is not None:
                self._unsaved.append((self._clock(), self._cursor))

    async def _is_started(self, matching: list[Export]) -> bool:
        """Read the cursor; if there is none, start one, so that this round has no new exports."""
        if self._cursor is not None:
            return True
        if not self._has_read_store and self._store is not None:
            stored = await self._store.read()
            if stored is not None:
                try:
                    self._cursor = Cursor.from_json(stored)
                    return True
                except ValueError:
                    self._log.error("The stored cursor of finished exports is not readable; starting again.")
            self._has_read_store = True
        cursor = Cursor.start(matching)
        if self._store is not None:
            await self._store.write(cursor.to_json())
        self._cursor = cursor
        self._log.info("Watching for exports that finish from now on; %d have finished before.", len(matching))
        return False

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


def _finished_exports(client: ConnectifClient) -> tuple[Export, ...]:
    exports = client.list_exports()
    # Every response has new signed URLs, which are not needed here.
    return tuple(dataclasses.replace(export, file_url=None) for export in exports if export.finished)
