# SPDX-License-Identifier: Apache-2.0
"""Polls at intervals for everyone who subscribes, in an event loop.

In each round, one poll serves all readers. Its steps run in threads, one after the other, and a reader is handed back
as soon as it is done. The rounds start with the first subscription and stop with the last.
"""

from __future__ import annotations

import asyncio
import logging
import math
import traceback
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from airflow_provider_connectif.api.errors import ConnectifError, Unavailable
from airflow_provider_connectif.api.polling.event_loop import ReconnectingClient

if TYPE_CHECKING:
    from airflow_provider_connectif.api.client import ConnectifClient

log = logging.getLogger(__name__)

#: Seconds after which a round sends no more requests.
MAX_ROUND_SECONDS = 3600.0

_JITTER = 0.1
_BATCH_SIZE = 100

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class Poll(Protocol[R_co]):
    """See :mod:`airflow_provider_connectif.api.polling.poll`."""

    @property
    def done(self) -> bool:
        """Whether there is nothing more to do."""

    def step(self, client: ConnectifClient) -> Sequence[R_co]:
        """Send one request, and return the readers that are done because of it."""

    def fail(self, error: ConnectifError) -> Sequence[R_co]:
        """Go on without a request that failed, and return the readers that are done because of it."""


class Subscription(Generic[R]):
    """Takes part in rounds.

    :param interval: the maximum number of seconds between two rounds
    :param first_within: the maximum number of seconds between the previous round and the first one with this
        subscription
    :param wake: ends the pause between two rounds, so that its length is computed again
    """

    def __init__(self, interval: float, first_within: float, wake: Callable[[], None]) -> None:
        self.interval = interval
        self.first_within = first_within
        self.reader: R | None = None
        self._wake = wake
        self._over: asyncio.Future[None] | None = None

    async def read(self, reader: R) -> None:
        """Take part in the next round that starts, and return when the reader is done.

        :param reader: has the result and the error afterwards
        """
        self.reader = reader
        self._over = asyncio.get_running_loop().create_future()
        if self.first_within < self.interval:
            self._wake()
        await self._over

    def end(self) -> None:
        """End :meth:`read`."""
        self.reader = None
        self.first_within = self.interval
        if self._over is not None and not self._over.done():
            self._over.set_result(None)


class Rounds(Generic[R]):
    """Polls in rounds.

    :param new_poll: creates the poll of a round for its readers
    :param new_client: returns the client that the rounds use until the last subscription ends
    :param clock: returns seconds, monotonic
    :param sleep: takes seconds
    :param random: returns a number from 0 to 1, for the jitter
    """

    def __init__(
        self,
        new_poll: Callable[[list[R]], Poll[R]],
        new_client: Callable[[], ReconnectingClient],
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
        random: Callable[[], float],
    ) -> None:
        self._new_poll = new_poll
        self._new_client = new_client
        self._clock = clock
        self._sleep = sleep
        self._random = random
        self._subscriptions: dict[int, Subscription[R]] = {}
        self._task: asyncio.Task[None] | None = None
        self._pause: asyncio.Future[None] | None = None
        self._interval = math.inf
        self._ended = -math.inf

    @contextmanager
    def subscribed(self, interval: float, *, first_within: float = math.inf) -> Iterator[Subscription[R]]:
        """Subscribe.

        :param interval: the maximum number of seconds between two rounds; there may be more for other subscriptions
        :param first_within: the maximum number of seconds between the previous round and the first one of this
            subscription
        """
        subscription: Subscription[R] = Subscription(interval, first_within, self._wake)
        self._subscriptions[id(subscription)] = subscription
        if interval < self._interval:
            self._wake()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="connectif-poller")
        try:
            yield subscription
        finally:
            del self._subscriptions[id(subscription)]
            if not self._subscriptions and self._task is not None:
                self._task.cancel()
                self._task = None

    def _wake(self) -> None:
        if self._pause is not None:
            self._pause.cancel()

    async def _run(self) -> None:
        client = self._new_client()
        try:
            while True:
                await self._sleep_until_next_round()
                if not self._subscriptions:
                    return
                reading = {id(each.reader): each for each in self._subscriptions.values() if each.reader is not None}
                if reading:
                    await self._poll(client, reading)
                self._ended = self._clock()
        finally:
            client.close()

    async def _poll(self, client: ReconnectingClient, reading: dict[int, Subscription[R]]) -> None:
        poll = self._new_poll([each.reader for each in reading.values() if each.reader is not None])
        started = self._clock()
        while not poll.done:
            try:
                if self._clock() - started > MAX_ROUND_SECONDS:
                    raise Unavailable(f"The poll was not over within {MAX_ROUND_SECONDS:.0f} s.")
                done = await client.call(poll.step)
            except ConnectifError as error:
                done = poll.fail(error)
            except Exception as error:
                done = poll.fail(_error_of(error))
            await _end([reading.pop(id(reader)) for reader in done if id(reader) in reading])
        await _end(list(reading.values()))

    async def _sleep_until_next_round(self) -> None:
        """Sleep for the shortest interval of all subscriptions, which may become shorter in the meantime."""
        started = self._clock()
        share = 1 - _JITTER * self._random()
        while self._subscriptions:
            reading = [each for each in self._subscriptions.values() if each.reader is not None]
            first_within = min((each.first_within for each in reading), default=math.inf)
            self._interval = min(each.interval for each in self._subscriptions.values())
            remaining = min(started + self._interval * share, self._ended + first_within) - self._clock()
            if remaining <= 0:
                return
            self._pause = pause = asyncio.ensure_future(self._sleep(remaining))
            try:
                # This does not raise if the pause is cancelled.
                await asyncio.wait([pause])
            finally:
                pause.cancel()


async def _end(subscriptions: list[Subscription[Any]]) -> None:
    for number, subscription in enumerate(subscriptions, 1):
        subscription.end()
        if number % _BATCH_SIZE == 0:
            # Each wait takes some microseconds to handle its result, and others use this event loop too.
            await asyncio.sleep(0)


def _error_of(error: Exception) -> ConnectifError:
    """Return an error for the waits, which must not be left behind by a poller that is gone."""
    # Log where it was raised but not its message, which may contain anything.
    frame = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{PurePath(frame.filename).name}, line {frame.lineno}"
    log.warning("A round of the Connectif poller failed with %s (%s).", type(error).__name__, place)
    return ConnectifError(f"The poll failed with {type(error).__name__}.")
