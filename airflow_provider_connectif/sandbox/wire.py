# SPDX-License-Identifier: Apache-2.0
"""The layer between the web server and the routes: the ``Date`` header, counts, errors, closed connections."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

from airflow_provider_connectif.sandbox.errors import HttpError
from airflow_provider_connectif.sandbox.state import State

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger("airflow_provider_connectif.sandbox")

Sleep = Callable[[float], Awaitable[Any]]


class CutConnection(Exception):
    """Raised by a route to close the connection immediately."""


class Wire:
    """The outermost ASGI application.

    Requests are counted under the name that their route sets as ``scope["sandbox.route"]``. A control request sets none
    and is not counted.
    """

    def __init__(self, app: ASGIApp, state: State) -> None:
        self._app = app
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Only the server's own transport can close a connection without a response.
        transport: asyncio.Transport = send.__self__.transport  # type: ignore[attr-defined]
        status = 0

        async def send_dated(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                date = formatdate(self._state.now(), usegmt=True).encode()
                message["headers"] = [*message.get("headers", ()), (b"date", date)]
            await send(message)

        outcome = "failed"
        try:
            try:
                await self._app(scope, receive, send_dated)
            except HttpError as error:
                await _send_error(error, send_dated)
            outcome = str(status)
        except (CutConnection, asyncio.CancelledError):
            outcome = "cut"
            transport.close()
        finally:
            route = scope.get("sandbox.route")
            if route:
                self._state.stats.count_response(route, outcome)
            # The path only: the query of a signed URL is secret.
            log.info("%s %s: %s", scope["method"], scope["path"], outcome)
        if outcome == "cut":
            # If the application returned before the connection is closed, the web server would respond with 500.
            await _gone(receive)


async def hold(receive: Receive, seconds: float, sleep: Sleep) -> None:
    """Wait until the time has passed or the client has disconnected."""
    gone = asyncio.ensure_future(_gone(receive))
    done = asyncio.ensure_future(sleep(seconds))
    try:
        await asyncio.wait({gone, done}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        gone.cancel()
        done.cancel()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send_error(error: HttpError, send: Send) -> None:
    body = json.dumps(error.body()).encode() if error.has_body else b""
    headers = [(name.lower().encode(), value.encode()) for name, value in error.headers.items()]
    if body:
        headers.append((b"content-type", b"application/json; charset=utf-8"))
    headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
