# SPDX-License-Identifier: Apache-2.0
"""One poller for everything in one event loop that waits for exports of one connection.

Waits by id and readers of the whole list have rounds of their own: the former take few requests, which a long or
broken list must not delay.
"""

from __future__ import annotations

import asyncio
import random as random_module
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from airflow_provider_connectif.api.polling.event_loop import ReconnectingClient, event_loop_time
from airflow_provider_connectif.api.polling.poll import IdPoll, IdReader, ListPoll, ListReader
from airflow_provider_connectif.api.polling.rounds import Rounds
from airflow_provider_connectif.api.polling.wait import MIN_INTERVAL

if TYPE_CHECKING:
    from airflow_provider_connectif.api.client import ConnectifClient
    from airflow_provider_connectif.api.polling.wait import ExportWait


class Poller:
    """Polls for all waits that are registered.

    :param open_client: opens a client that makes one attempt for each request and does not sleep; awaited in the event
        loop, so it must not block
    :param connection: the connection's id, for messages
    :param clock: returns seconds, monotonic
    :param sleep: takes seconds
    :param random: returns a number from 0 to 1, for the jitter
    """

    def __init__(
        self,
        open_client: Callable[[], Awaitable[ConnectifClient]],
        *,
        connection: str = "",
        clock: Callable[[], float] = event_loop_time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        random: Callable[[], float] = random_module.random,
    ) -> None:
        def new_client() -> ReconnectingClient:
            return ReconnectingClient(open_client, connection=connection, clock=clock, sleep=sleep)

        #: Rounds that read exports by id.
        self.ids: Rounds[IdReader] = Rounds(IdPoll, new_client, clock=clock, sleep=sleep, random=random)
        #: Rounds that read the whole list.
        self.lists: Rounds[ListReader] = Rounds(ListPoll, new_client, clock=clock, sleep=sleep, random=random)

    async def wait(self, export_wait: ExportWait, interval: float) -> None:
        """Return when a wait is over.

        Cancel it to stop waiting; a deadline is up to the caller.

        :param export_wait: the wait, which nothing else may use in the meantime
        :param interval: the maximum number of seconds between two polls; there may be more polls for other waits
        :raises ConnectifError: see :class:`~airflow_provider_connectif.api.polling.wait.ExportWait`
        """
        interval = max(interval, MIN_INTERVAL)
        if export_wait.export_filter is None:
            with self.ids.subscribed(interval) as ids:
                while True:
                    id_reader = export_wait.new_id_reader()
                    await ids.read(id_reader)
                    if export_wait.handle_exports(id_reader):
                        return
        with self.lists.subscribed(interval) as lists:
            while True:
                newest_reader = export_wait.new_newest_reader()
                await lists.read(newest_reader)
                if export_wait.handle_newest(newest_reader):
                    return
