# SPDX-License-Identifier: Apache-2.0
"""What polling in an event loop needs: a clock, threads, and a client whose requests are sent in those threads.

The threads only send requests: whatever waits, for the rate limit or before another attempt, waits in the event loop.
They are not those of the event loop's default executor, which everything in the process shares and which has few.
"""

from __future__ import annotations

import asyncio
import contextvars
import itertools
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_connectif.api.errors import (
    AuthenticationFailed,
    ConnectifError,
    ConnectionUnusable,
    RateLimited,
    Unavailable,
)

if TYPE_CHECKING:
    from airflow_provider_connectif.api.client import ConnectifClient

log = logging.getLogger(__name__)

T = TypeVar("T")

#: A poller has at most one request in progress, and a connection at most two pollers: so many pollers can wait for slow
#: responses before another one has to wait. Threads are started only when there are more requests than idle threads.
MAX_THREADS = 64

#: How often a request is sent in one poll, unless the rate limit refuses it; the next poll is soon.
MAX_ATTEMPTS = 2

#: How long a request is repeated in one poll, in seconds.
MAX_SECONDS = 60.0

_threads = ThreadPoolExecutor(MAX_THREADS, thread_name_prefix="connectif-poll")


def event_loop_time() -> float:
    """Return the time of the running event loop, in seconds."""
    return asyncio.get_running_loop().time()


async def run_in_thread(function: Callable[..., T], *arguments: Any) -> T:
    """Run a function in a thread. If cancelled, wait for the thread first, since it uses the arguments.

    :param function: the function, which must not sleep
    :param arguments: its arguments
    """
    context = contextvars.copy_context()
    running = asyncio.get_running_loop().run_in_executor(_threads, context.run, function, *arguments)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        with suppress(Exception):
            await running
        raise


class ReconnectingClient:
    """Opens the API client when it is first needed, and again after the API refused its key.

    :param open_client: opens a client that makes one attempt for each request and does not sleep; awaited in the event
        loop, so it must not block
    :param connection: the connection's id, for messages
    :param clock: returns seconds, monotonic
    :param sleep: takes seconds
    """

    def __init__(
        self,
        open_client: Callable[[], Awaitable[ConnectifClient]],
        *,
        connection: str,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._open_client = open_client
        self._connection = connection
        self._clock = clock
        self._sleep = sleep
        self._client: ConnectifClient | None = None

    async def call(self, function: Callable[[ConnectifClient], T]) -> T:
        """Call a function that sends one request, in a thread.

        Wait for the rate limit, and call it again if the request fails and may succeed soon.

        :param function: takes the client
        :raises ConnectionUnusable: if the client cannot be opened
        :raises AuthenticationFailed: if the API refuses the key of a new client
        :raises ApiError: if the request fails
        """
        started = self._clock()
        for attempt in itertools.count(1):
            try:
                return await self._call_once(function)
            except Unavailable as error:
                if self._client is None or (attempt >= MAX_ATTEMPTS and not isinstance(error, RateLimited)):
                    raise
                delay = self._client.retry_delay(error, attempt)
                if self._clock() - started + delay > MAX_SECONDS:
                    raise
                log.info("%s Retrying in %.1f s.", error, delay)
                await self._sleep(delay)
        raise AssertionError

    async def _call_once(self, function: Callable[[ConnectifClient], T]) -> T:
        """Call a function; if the API refuses a key that may have been replaced, call it with a new client."""
        if self._client is not None:
            try:
                return await run_in_thread(function, self._client)
            except AuthenticationFailed:
                self.close()
        self._client = await self._open()
        try:
            return await run_in_thread(function, self._client)
        except AuthenticationFailed:
            self.close()
            raise

    async def _open(self) -> ConnectifClient:
        try:
            return await self._open_client()
        except Exception as error:
            # The messages of other packages' errors may contain anything.
            reason = str(error) if isinstance(error, ConnectifError) else f"it cannot be read ({type(error).__name__})."
            raise ConnectionUnusable(
                f"The triggerer cannot use the connection {self._connection}: {reason} It must be available to the "
                "triggerer, not only to the workers."
            ) from None

    def close(self) -> None:
        """Close the client, if it is open."""
        if self._client is not None:
            self._client.close()
            self._client = None
