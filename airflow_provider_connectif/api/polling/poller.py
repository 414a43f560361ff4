# SPDX-License-Identifier: Apache-2.0
"""One poller for all who wait for exports of one connection in one event loop.

Each round is one short piece of blocking code in a thread, which asks for everybody at once. The poller begins
with the first waiter and ends with the last. A failing round is told to everybody and fails nobody: what to make
of it is the waiter's own decision.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random as random_module
import traceback
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import PurePath
from typing import TYPE_CHECKING

from airflow_provider_connectif.api.errors import AuthenticationFailed, ConnectifError
from airflow_provider_connectif.api.polling.survey import Survey, survey
from airflow_provider_connectif.api.polling.threads import in_thread
from airflow_provider_connectif.api.polling.wait import SHORTEST_INTERVAL

if TYPE_CHECKING:
    from airflow_provider_connectif.api.client import ConnectifClient
    from airflow_provider_connectif.api.filters import ExportFilter
    from airflow_provider_connectif.api.polling.wait import Watch

log = logging.getLogger(__name__)

_JITTER = 0.1
_TOLD_AT_ONCE = 100


class Poller:
    """Asks for everybody who waits.

    :param open_client: opens the API's client; awaited in the event loop, so it must not block.
    :param random: a number from 0 to 1, for the jitter.
    """

    def __init__(
        self,
        open_client: Callable[[], Awaitable[ConnectifClient]],
        *,
        random: Callable[[], float] = random_module.random,
    ) -> None:
        self._open_client = open_client
        self._random = random
        self._waiters: dict[object, _Waiter] = {}
        self._task: asyncio.Task[None] | None = None
        self._impatience = asyncio.Event()
        self._interval = math.inf

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiters)

    async def wait(self, watch: Watch, interval: float) -> None:
        """Wait until a watch is over.

        Cancel it to leave; a deadline is the caller's to set.

        :param watch: what is waited for. Only this method touches it meanwhile.
        :param interval: seconds between two looks at the most; somebody else's impatience may shorten it.
        :raises ConnectifError: what the watch makes of an answer.
        """
        with self._join(watch, max(interval, SHORTEST_INTERVAL)) as waiter:
            while True:
                answer = await waiter.answers.get()
                if isinstance(answer, ConnectifError):
                    watch.digest_problem(answer)
                elif watch.digest(answer):
                    return

    @contextmanager
    def _join(self, watch: Watch, interval: float) -> Iterator[_Waiter]:
        token = object()
        waiter = _Waiter(watch, interval)
        self._waiters[token] = waiter
        if interval < self._interval:
            self._impatience.set()
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
        client: ConnectifClient | None = None
        try:
            while True:
                await self._pause()
                asked = list(self._waiters.values())
                if not asked:
                    return
                ids = [export_id for waiter in asked for export_id in waiter.watch.pending]
                matches = {match for waiter in asked for match in waiter.watch.matches}
                was_open = client is not None
                answer, client = await self._ask(client, ids, matches)
                if was_open and isinstance(answer, AuthenticationFailed):
                    # The key may have been replaced meanwhile: the connection is looked up again.
                    answer, client = await self._ask(client, ids, matches)
                for number, waiter in enumerate(asked, start=1):
                    waiter.answers.put_nowait(answer)
                    if number % _TOLD_AT_ONCE == 0:
                        # Each takes some microseconds to digest it, and others use this event loop too.
                        await asyncio.sleep(0)
        finally:
            if client is not None:
                client.close()

    async def _ask(
        self, client: ConnectifClient | None, ids: list[str], matches: set[ExportFilter]
    ) -> tuple[Survey | ConnectifError, ConnectifClient | None]:
        """Make one round.

        :return: its answer, and the client for the next round: None where that is to look the connection up.
        """
        try:
            if client is None:
                client = await self._open_client()
            return await in_thread(survey, client, ids, matches), client
        except AuthenticationFailed as problem:
            if client is not None:
                client.close()
            return problem, None
        except ConnectifError as problem:
            return problem, client
        except asyncio.CancelledError:
            if client is not None:
                client.close()
            raise
        except Exception as problem:
            # Whatever it is, it must not leave everybody waiting for a poller that is gone.
            # Where it was raised, not its words: those may hold anything.
            raised = traceback.extract_tb(problem.__traceback__)[-1]
            where = f"{PurePath(raised.filename).name}, line {raised.lineno}"
            log.warning("A round of the Connectif poller failed with %s (%s).", type(problem).__name__, where)
            return ConnectifError(f"The poll failed with {type(problem).__name__}."), client

    async def _pause(self) -> None:
        """Sleep for the most impatient waiter's interval, and anew when somebody joins who is more so."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        spread = 1 - _JITTER * self._random()
        while self._waiters:
            self._impatience.clear()
            self._interval = min(waiter.interval for waiter in self._waiters.values())
            left = began + self._interval * spread - loop.time()
            if left <= 0:
                return
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._impatience.wait(), left)


class _Waiter:
    def __init__(self, watch: Watch, interval: float) -> None:
        self.watch = watch
        self.interval = interval
        self.answers: asyncio.Queue[Survey | ConnectifError] = asyncio.Queue()
