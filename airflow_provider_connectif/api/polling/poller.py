# SPDX-License-Identifier: Apache-2.0
"""One poller for all waits of one connection in one event loop.

Each round is one short piece of blocking code in a thread, which polls for all waits at once. The poller starts with
the first wait and stops with the last. The error of a failed round is passed to every wait, which decides whether it
goes on.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random as random_module
import traceback
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import PurePath
from typing import TYPE_CHECKING

from airflow_provider_connectif.api.errors import ConnectifError
from airflow_provider_connectif.api.polling.event_loop import ReconnectingClient, event_loop_time
from airflow_provider_connectif.api.polling.poll import PollResult, poll_exports
from airflow_provider_connectif.api.polling.wait import MIN_INTERVAL

if TYPE_CHECKING:
    from airflow_provider_connectif.api.client import ConnectifClient
    from airflow_provider_connectif.api.polling.wait import ExportWait

log = logging.getLogger(__name__)

_JITTER = 0.1
_BATCH_SIZE = 100


class Poller:
    """Polls for all waits that are registered.

    :param open_client: opens the API's client; awaited in the event loop, so it must not block
    :param clock: returns seconds, monotonic
    :param sleep: takes seconds
    :param random: returns a number from 0 to 1, for the jitter
    """

    def __init__(
        self,
        open_client: Callable[[], Awaitable[ConnectifClient]],
        *,
        clock: Callable[[], float] = event_loop_time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        random: Callable[[], float] = random_module.random,
    ) -> None:
        self._open_client = open_client
        self._clock = clock
        self._sleep = sleep
        self._random = random
        self._waiters: dict[object, _Waiter] = {}
        self._task: asyncio.Task[None] | None = None
        self._pause: asyncio.Future[None] | None = None
        self._interval = math.inf

    @property
    def waiter_count(self) -> int:
        """The number of waits that are registered."""
        return len(self._waiters)

    async def wait(self, export_wait: ExportWait, interval: float) -> None:
        """Return when a wait is over.

        Cancel it to stop waiting; a deadline is up to the caller.

        :param export_wait: the wait, which nothing else may use in the meantime
        :param interval: the maximum number of seconds between two polls; there may be more polls for other waits
        :raises ConnectifError: see :class:`~airflow_provider_connectif.api.polling.wait.ExportWait`
        """
        with self._registered(export_wait, max(interval, MIN_INTERVAL)) as waiter:
            while True:
                result = await waiter.results.get()
                if isinstance(result, ConnectifError):
                    export_wait.handle_error(result)
                elif export_wait.handle_result(result):
                    return

    @contextmanager
    def _registered(self, export_wait: ExportWait, interval: float) -> Iterator[_Waiter]:
        token = object()
        waiter = _Waiter(export_wait, interval)
        self._waiters[token] = waiter
        if interval < self._interval and self._pause is not None:
            self._pause.cancel()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="connectif-poller")
        try:
            yield waiter
        finally:
            del self._waiters[token]
            if not self._waiters and self._task is not None:
                self._task.cancel()
                self._task = None

    async def _run(self) -> None:
        client = ReconnectingClient(self._open_client)
        try:
            while True:
                await self._sleep_until_next_round()
                waiters = list(self._waiters.values())
                if not waiters:
                    return
                result = await self._poll(client, waiters)
                for number, waiter in enumerate(waiters, 1):
                    waiter.results.put_nowait(result)
                    if number % _BATCH_SIZE == 0:
                        # Each wait takes some microseconds to handle it, and others use this event loop too.
                        await asyncio.sleep(0)
        finally:
            client.close()

    async def _poll(self, client: ReconnectingClient, waiters: list[_Waiter]) -> PollResult | ConnectifError:
        ids = [export_id for waiter in waiters for export_id in waiter.export_wait.pending]
        filters = {each for waiter in waiters for each in waiter.export_wait.filters}
        try:
            return await client.call(poll_exports, ids, filters)
        except ConnectifError as error:
            return error
        except Exception as error:
            # Whatever it is, the waits must not be left behind by a poller that is gone.
            # Log where it was raised but not its message, which may contain anything.
            frame = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{PurePath(frame.filename).name}, line {frame.lineno}"
            log.warning("A round of the Connectif poller failed with %s (%s).", type(error).__name__, place)
            return ConnectifError(f"The poll failed with {type(error).__name__}.")

    async def _sleep_until_next_round(self) -> None:
        """Sleep for the shortest interval of all waits, which may become shorter in the meantime."""
        started = self._clock()
        share = 1 - _JITTER * self._random()
        while self._waiters:
            self._interval = min(waiter.interval for waiter in self._waiters.values())
            remaining = started + self._interval * share - self._clock()
            if remaining <= 0:
                return
            self._pause = pause = asyncio.ensure_future(self._sleep(remaining))
            try:
                # This does not raise if the pause is cancelled.
                await asyncio.wait([pause])
            finally:
                pause.cancel()


class _Waiter:
    def __init__(self, export_wait: ExportWait, interval: float) -> None:
        self.export_wait = export_wait
        self.interval = interval
        self.results: asyncio.Queue[PollResult | ConnectifError] = asyncio.Queue()
