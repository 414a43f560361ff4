# SPDX-License-Identifier: Apache-2.0
"""Telling of each export that finishes, whoever made it: none lost, and as few as can be told twice.

One poll of the list (:func:`rounds`) serves any number of listeners. Each :class:`Announcer` keeps a cursor, which is
stored one round *behind* what it told: what is told is not safe yet when its teller is killed in the next second, and
nobody can ask afterwards. So after a kill the last round is told again, and nothing is left out.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import random as random_module
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_connectif.api.errors import AuthenticationFailed, ConnectifError, InvalidArgument
from airflow_provider_connectif.api.polling.cursor import Cursor
from airflow_provider_connectif.api.polling.threads import in_thread

if TYPE_CHECKING:
    from airflow_provider_connectif.api.client import ConnectifClient
    from airflow_provider_connectif.api.filters import ExportFilter
    from airflow_provider_connectif.api.models import Export

log = logging.getLogger(__name__)

SHORTEST_ROUND = 5.0
"""Seconds between two rounds, however impatient anybody is: each reads the whole list."""

SETTLING = 3.0
"""Seconds that must pass before what was told is taken as having arrived."""

_JITTER = 0.1


class CursorStore(Protocol):
    """Where a cursor outlives its process. What was told goes the same way, and in the same order."""

    async def read(self) -> Any:
        """Give what was written last, None where nothing was.

        :raises InvalidArgument: where it cannot be told whose cursor this is.
        """

    async def write(self, value: Any) -> None:
        """Replace what was written."""


async def rounds(
    open_client: Callable[[], Awaitable[ConnectifClient]],
    interval: float,
    *,
    log: Any = log,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    random: Callable[[], float] = random_module.random,
) -> AsyncIterator[tuple[Export, ...]]:
    """Give all finished exports of the list, without their addresses, at intervals, for ever.

    A round that fails is logged, and gives nothing.

    :param open_client: opens the API's client; awaited in the event loop, so it must not block.
    :param interval: seconds between two rounds.
    :param log: where problems go; the same one is not said twice running.
    :param sleep: takes seconds.
    :param random: a number from 0 to 1, for the jitter.
    """
    client: ConnectifClient | None = None
    said = ""
    try:
        while True:
            words, listed = "", None
            try:
                if client is None:
                    client = await open_client()
                listed = await in_thread(_finished, client)
            except ConnectifError as problem:
                words = str(problem)
                if isinstance(problem, AuthenticationFailed) and client is not None:
                    # The key may have been replaced: the connection is looked up again.
                    client.close()
                    client = None
            except Exception as problem:
                words = f"A look at the list of exports failed with {type(problem).__name__}."
            if words and words != said:
                log.warning("%s The watch for finished exports goes on.", words)
            said = words
            if listed is not None:
                yield listed
            await sleep(max(interval, SHORTEST_ROUND) * (1 - _JITTER * random()))
    finally:
        if client is not None:
            client.close()


class Announcer:
    """Tells one listener of the exports that it wants to hear of.

    :param wanted: which ones.
    :param store: where the cursor is kept; None where there is no such place: then each start begins anew.
    :param log: where problems go.
    :param clock: seconds, monotonic.
    :param sleep: takes seconds.
    """

    def __init__(
        self,
        wanted: ExportFilter,
        store: CursorStore | None,
        *,
        log: Any = log,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._wanted = wanted
        self._store = store
        self._log = log
        self._clock = clock
        self._sleep = sleep
        self._cursor: Cursor | None = None
        self._is_recalled = False
        self._unsaved: deque[tuple[float, Cursor]] = deque()

    async def follow(self, rounds: AsyncIterator[tuple[Export, ...]]) -> AsyncIterator[Export]:
        """Give each export that finishes and fits, once, by their finishing times within a round.

        The first round of all only takes stock.

        :param rounds: what :func:`rounds` gives.
        :raises InvalidArgument: where the store cannot tell whose cursor it is asked for.
        """
        async for listed in rounds:
            fitting = [export for export in listed if self._wanted.matches(export)]
            try:
                if not await self._is_ready(fitting):
                    continue
                await self._save_what_has_settled()
            except InvalidArgument:
                raise
            except Exception as problem:
                self._log.warning("The cursor could not be kept (%s); trying again.", type(problem).__name__)
            if self._cursor is None:
                continue
            news = self._cursor.news(fitting)
            # Moved on before the news are out: a listener that goes away in their midst has its stored cursor.
            self._cursor = self._cursor.after(fitting)
            for export in news:
                yield export
            if news and self._store is not None:
                self._unsaved.append((self._clock(), self._cursor))

    async def _is_ready(self, fitting: list[Export]) -> bool:
        """Recall the cursor; where there is none, begin here: then this round has no news."""
        if self._cursor is not None:
            return True
        if not self._is_recalled and self._store is not None:
            stored = await self._store.read()
            if stored is not None:
                try:
                    self._cursor = Cursor.from_json(stored)
                    return True
                except ValueError:
                    self._log.error("What is stored as the cursor of finished exports cannot be read: beginning anew.")
            self._is_recalled = True
        cursor = Cursor.at(fitting)
        if self._store is not None:
            await self._store.write(cursor.to_json())
        self._cursor = cursor
        self._log.info("Watching for finished exports from here on; %d have finished before.", len(fitting))
        return False

    async def _save_what_has_settled(self) -> None:
        settled: Cursor | None = None
        now = self._clock()
        for told_at, cursor in self._unsaved:
            if now - told_at >= SETTLING:
                settled = cursor
        if settled is None or self._store is None:
            return
        # The store answers in its turn, behind what was told; twice, for what was told goes out by the second.
        await self._store.read()
        await self._sleep(SETTLING / 2)
        await self._store.read()
        await self._store.write(settled.to_json())
        while self._unsaved and now - self._unsaved[0][0] >= SETTLING:
            self._unsaved.popleft()


def _finished(client: ConnectifClient) -> tuple[Export, ...]:
    found = client.list_exports()
    # Every answer has a fresh address, which nobody here needs.
    return tuple(dataclasses.replace(export, file_url=None) for export in found if export.finished)
