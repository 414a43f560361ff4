# SPDX-License-Identifier: Apache-2.0
"""A clock that advances only when something sleeps, and an event loop, a sandbox and defaults that use it."""

from __future__ import annotations

import asyncio
import functools
import math
import selectors
from collections.abc import Callable, Coroutine, Iterator
from datetime import datetime, timezone
from typing import Any, TypeVar

import pytest

from airflow_provider_connectif.api.client import ConnectifClient
from airflow_provider_connectif.files.download.remote_file import RemoteFile
from airflow_provider_connectif.files.folder import delivery
from airflow_provider_connectif.sandbox import Sandbox, SandboxOptions
from airflow_provider_connectif.sandbox.server import RunningSandbox

T = TypeVar("T")
STUCK_SECONDS = 60.0


class SimulatedClock:
    """Provides the functions of the ``time`` module that tests replace."""

    def __init__(self, start: float = 1_795_000_000.0) -> None:
        self._start = start
        self._elapsed = 0.0

    def time(self) -> float:
        return self._start + self._elapsed

    def monotonic(self) -> float:
        return self._elapsed

    def sleep(self, seconds: float) -> None:
        # In steps of 2**-20 seconds, which floats represent exactly in seconds since the epoch too.
        self._elapsed = math.ceil((self._elapsed + seconds) * 2**20) / 2**20

    def utcnow(self) -> datetime:
        return datetime.fromtimestamp(self.time(), timezone.utc)

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine as ``asyncio.run`` does, in an event loop with this clock."""
        loop = SimulatedEventLoop(self)
        try:
            return loop.run_until_complete(main)
        finally:
            tasks = asyncio.all_tasks(loop)
            for task in tasks:
                task.cancel()
            if tasks:
                loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.run_until_complete(loop.shutdown_default_executor())
            loop.close()


class SimulatedEventLoop(asyncio.SelectorEventLoop):
    """Advances the clock instead of waiting. While a thread works for the loop, the clock stands still."""

    def __init__(self, clock: SimulatedClock) -> None:
        self.clock = clock
        self.working_threads = 0
        self.turns = 0
        super().__init__(_Selector(self))

    def time(self) -> float:
        return self.clock.monotonic()

    def run_in_executor(self, executor: Any, func: Callable[..., T], *args: Any) -> asyncio.Future[T]:
        def finish(_: object) -> None:
            self.working_threads -= 1

        self.working_threads += 1
        future = super().run_in_executor(executor, func, *args)
        future.add_done_callback(finish)
        return future


class _Selector(selectors.DefaultSelector):
    def __init__(self, loop: SimulatedEventLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> Any:
        self._loop.turns += 1
        if timeout is not None and (timeout <= 0 or not self._loop.working_threads):
            events = super().select(0)
            if not events:
                self._loop.clock.sleep(max(timeout, 0.0))
            return events
        events = super().select(STUCK_SECONDS)
        assert events, "The event loop waits for something that never happens."
        return events


#: The clock of the tests that use the fixtures below.
CLOCK = SimulatedClock()


@pytest.fixture(scope="session")
def running_sandbox() -> Iterator[RunningSandbox]:
    with Sandbox(SandboxOptions(seconds_per_export=0.0, rows=5), clock=CLOCK.time).serve(port=0) as running:
        yield running


@pytest.fixture(autouse=True)
def simulated_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests to the API and for the file are retried without waiting."""
    for name, function in {"clock": CLOCK.time, "monotonic": CLOCK.monotonic, "sleep": CLOCK.sleep}.items():
        monkeypatch.setitem(ConnectifClient.__init__.__kwdefaults__, name, function)
    monkeypatch.setitem(RemoteFile.__init__.__kwdefaults__, "sleep", CLOCK.sleep)


@pytest.fixture(autouse=True)
def simulated_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that ignores conditions is not waited for. Not for tests in which several tasks share a folder."""
    timing = functools.partial(delivery.Timing, monotonic=CLOCK.monotonic, sleep=CLOCK.sleep)
    monkeypatch.setattr(delivery, "Timing", timing)
