# SPDX-License-Identifier: Apache-2.0
"""What polling in an event loop needs: a clock, and a client whose blocking calls run in threads."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_connectif.api.errors import AuthenticationFailed

if TYPE_CHECKING:
    from airflow_provider_connectif.api.client import ConnectifClient

T = TypeVar("T")


def event_loop_time() -> float:
    """Return the time of the running event loop, in seconds."""
    return asyncio.get_running_loop().time()


class ReconnectingClient:
    """Opens the API client when it is first needed, and again after the API refused its key.

    :param open_client: opens the client; awaited in the event loop, so it must not block
    """

    def __init__(self, open_client: Callable[[], Awaitable[ConnectifClient]]) -> None:
        self._open_client = open_client
        self._client: ConnectifClient | None = None

    async def call(self, function: Callable[..., T], *arguments: Any) -> T:
        """Call a function in a thread. Its first argument is the client.

        If the API refuses the key of a client that an earlier call opened, the key may have been replaced since then:
        the client is opened again, and the function is called again.

        :param function: the function
        :param arguments: its other arguments
        :raises AuthenticationFailed: if the API refuses the key of a new client
        """
        while True:
            is_new = self._client is None
            if self._client is None:
                self._client = await self._open_client()
            try:
                return await _run_in_thread(function, self._client, *arguments)
            except AuthenticationFailed:
                self.close()
                if is_new:
                    raise

    def close(self) -> None:
        """Close the client, if it is open."""
        if self._client is not None:
            self._client.close()
            self._client = None


async def _run_in_thread(function: Callable[..., T], *arguments: Any) -> T:
    """Run a function in a thread. If cancelled, wait for the thread first, since it uses the arguments."""
    running = asyncio.ensure_future(asyncio.to_thread(function, *arguments))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        with suppress(Exception):
            await running
        raise
