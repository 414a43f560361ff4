# SPDX-License-Identifier: Apache-2.0
"""The sandbox as a server, which runs in a thread."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

import uvicorn
from starlette.routing import Router

from airflow_provider_connectif.sandbox.api import Api
from airflow_provider_connectif.sandbox.control import Control
from airflow_provider_connectif.sandbox.errors import HttpError
from airflow_provider_connectif.sandbox.faults import Fault
from airflow_provider_connectif.sandbox.files import Files
from airflow_provider_connectif.sandbox.options import SandboxOptions
from airflow_provider_connectif.sandbox.state import State
from airflow_provider_connectif.sandbox.stats import Stats
from airflow_provider_connectif.sandbox.wire import Sleep, Wire

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

_T = TypeVar("_T")
_START_SECONDS = 30.0


class Sandbox:
    """A stand-in for the Exports API.

    :param options: its behaviour
    :param clock: returns the time in epoch seconds
    :param sleep: coroutine function that waits for a number of seconds
    """

    def __init__(
        self,
        options: SandboxOptions | None = None,
        *,
        clock: Callable[[], float] = time.time,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._options = options or SandboxOptions()
        self._clock = clock
        self._sleep = sleep

    def serve(self, port: int = 0, host: str = "127.0.0.1") -> RunningSandbox:
        """Return a context manager that runs the server in a thread.

        :param port: port to listen on; 0 selects a free one
        :param host: address to listen on
        """
        return RunningSandbox(self._options, self._clock, self._sleep, host, port)


class RunningSandbox:
    """A sandbox that serves requests from ``__enter__`` to ``__exit__``.

    Its methods may be called from any thread.
    """

    def __init__(self, options: SandboxOptions, clock: Callable[[], float], sleep: Sleep, host: str, port: int) -> None:
        self._state = State(options, clock)
        self._host = host
        self._port = port
        config = uvicorn.Config(
            Wire(_routes(self._state, sleep), self._state),
            log_config=None,
            log_level="critical",
            access_log=False,
            lifespan="off",
            ws="none",
            date_header=False,  # it would ignore clock_skew_seconds
            timeout_keep_alive=60,
            timeout_graceful_shutdown=0,  # cancel requests in progress
        )
        self._server = uvicorn.Server(config)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._sockets: list[socket.socket] = []

    def __enter__(self) -> RunningSandbox:
        self._bind()
        self._thread = threading.Thread(target=self._run, name="connectif-sandbox", daemon=True)
        self._thread.start()
        deadline = time.monotonic() + _START_SECONDS
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                raise RuntimeError("The sandbox did not start")
            time.sleep(0.005)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop the server, and close the connections of requests in progress."""
        self._server.should_exit = True
        if self._thread is not None:
            self._thread.join()

    def wait(self) -> None:
        """Wait until the server stops."""
        if self._thread is not None:
            while self._thread.is_alive():
                self._thread.join(0.5)

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self._port

    @property
    def url(self) -> str:
        """The base URL of the API."""
        name = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "::1": "[::1]"}.get(self._host, self._host)  # noqa: S104
        return f"http://{name}:{self._port}"

    @property
    def key(self) -> str:
        """The key that may read and write."""
        return self.options.key

    @property
    def connection_json(self) -> str:
        """The Airflow connection, as a value for ``AIRFLOW_CONN_CONNECTIF_DEFAULT``."""
        return json.dumps({"conn_type": "connectif", "host": self.url, "password": self.key})

    @property
    def options(self) -> SandboxOptions:
        """The current options."""
        return self._state.options

    @property
    def stats(self) -> Stats:
        """A snapshot of the counts."""
        return self._call(lambda: self._state.stats.snapshot())

    def set(self, **changes: Any) -> None:
        """Change some options.

        :raises ValueError: if a name or a value is not valid
        """
        self._call(lambda: self._state.change_options(changes))

    def fault(self, on: str, kind: str, **details: Any) -> None:
        """Queue a fault; see :class:`~airflow_provider_connectif.sandbox.faults.Fault`."""
        fault = Fault(on, kind, **details)
        self._call(lambda: self._state.faults.add(fault))

    def create_in_app(self, body: Mapping[str, Any] | None = None) -> str:
        """Create an export as the application does, and return its id.

        See :meth:`~airflow_provider_connectif.sandbox.state.State.create_in_app`.
        """
        return self._call(lambda: self._state.create_in_app(body).id)

    def end_export(self, export_id: str, *, fails: bool = False) -> None:
        """Let an export finish or fail now.

        :raises KeyError: if there is no such export
        """
        if self._call(lambda: self._state.end(export_id, fails=fails)) is None:
            raise KeyError(export_id)

    def replace_file(self, export_id: str, content: bytes | None = None) -> None:
        """Replace an export's file.

        :param content: the new content; if None, different rows of the same kind
        :raises KeyError: if there is no such export
        """
        export = self._call(lambda: self._state.get(export_id))
        if export is None:
            raise KeyError(export_id)
        self._call(lambda: self._state.replace_file(export, content))

    def reset(self, **changes: Any) -> None:
        """Return to the initial state and options, and then change some options.

        :raises ValueError: if a name or a value is not valid
        """
        self._call(self._state.reset)
        if changes:
            self.set(**changes)

    def _call(self, function: Callable[[], _T]) -> _T:
        """Run a function in the server's thread, the only one that accesses the state."""
        if self._loop is None or self._thread is None or not self._thread.is_alive():
            return function()
        result: Future[_T] = Future()

        def run() -> None:
            try:
                result.set_result(function())
            except Exception as error:
                result.set_exception(error)

        self._loop.call_soon_threadsafe(run)
        return result.result()

    def _bind(self) -> None:
        """Listen on the host.

        On a loopback host, listen on both IPv4 and IPv6, because ``localhost`` may resolve to either.
        """
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        hosts = [(family, self._host)]
        if self._host in ("127.0.0.1", "localhost"):
            hosts = [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]
        for index, (family, host) in enumerate(hosts):
            # asyncio disables Nagle's algorithm only if the protocol is given: without it, many responses take 40 ms.
            sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
            try:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                sock.bind((host, self._port))
            except OSError:
                sock.close()
                if index:
                    continue  # this machine has no IPv6
                raise
            self._sockets.append(sock)
            self._port = sock.getsockname()[1]

    def _run(self) -> None:
        async def serve() -> None:
            self._loop = asyncio.get_running_loop()
            await self._server.serve(sockets=self._sockets)

        asyncio.run(serve())


def _routes(state: State, sleep: Sleep) -> Router:
    async def not_found(scope: Scope, receive: Receive, send: Send) -> None:
        scope["sandbox.route"] = "unknown"
        raise HttpError(404, "The path does not exist")

    routes = [*Control(state).routes(), *Files(state, sleep).routes(), *Api(state, sleep).routes()]
    return Router(routes, redirect_slashes=False, default=not_found)
