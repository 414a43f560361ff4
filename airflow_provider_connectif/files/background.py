# SPDX-License-Identifier: Apache-2.0
"""Work that continues in the background while the caller produces more, with a limit on the bytes that it holds."""

from __future__ import annotations

import collections
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Generic, TypeVar

MIB = 1024 * 1024

#: The bytes that may wait for a background thread before the caller has to wait for it.
MAX_QUEUED_BYTES = 8 * MIB

T = TypeVar("T")


class FutureQueue(Generic[T]):
    """Futures in the order in which they were added.

    :param limit: the maximum number of bytes that they may hold together; a single one may hold more
    :param on_result: called with each result, in that order
    """

    def __init__(self, limit: int, on_result: Callable[[T], None] = lambda _: None) -> None:
        self._limit = limit
        self._on_result = on_result
        self._pending: collections.deque[tuple[Future[T], int]] = collections.deque()
        self._pending_bytes = 0

    def make_room(self, size: int) -> None:
        """Wait until another ``size`` bytes fit; raise what a future raised."""
        while self._pending and (self._pending[0][0].done() or self._pending_bytes + size > self._limit):
            self._take()

    def raise_failure(self) -> None:
        """Raise what a future raised, even if earlier ones are still running."""
        for future, _ in self._pending:
            if future.done():
                future.result()

    def add(self, future: Future[T], size: int) -> None:
        """Add a future that holds ``size`` bytes."""
        self._pending.append((future, size))
        self._pending_bytes += size

    def drain(self) -> None:
        """Wait for all futures; raise what one of them raised."""
        while self._pending:
            self._take()

    def cancel(self) -> None:
        """Cancel and forget all futures, without waiting for those that are running."""
        for future, _ in list(self._pending):  # another thread may be adding one
            future.cancel()
        self._pending.clear()
        self._pending_bytes = 0

    def _take(self) -> None:
        future, size = self._pending.popleft()
        self._pending_bytes -= size
        self._on_result(future.result())


class BackgroundCalls:
    """Calls that one background thread makes, one after the other.

    :param limit: the maximum number of bytes that may be queued; a caller that is further ahead waits
    """

    def __init__(self, limit: int = MAX_QUEUED_BYTES) -> None:
        self._calls: FutureQueue[Any] = FutureQueue(limit)
        self._thread: ThreadPoolExecutor | None = None

    def submit(self, call: Callable[..., Any], *args: Any, size: int = 0) -> None:
        """Queue ``call(*args)``, which holds ``size`` bytes; raise what an earlier call raised."""
        if self._thread is None:
            self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="connectif-background")
            # Starts the thread. If that is interrupted, the executor does not know the thread, so that close() does not
            # wait for it: what it begins with must have no effect.
            self._thread.submit(int)
        self._calls.make_room(size)
        self._calls.add(self._thread.submit(call, *args), size)

    def finish(self) -> None:
        """Wait for all calls, and end the thread.

        Raise what a call raised; the thread then runs until :meth:`close`.
        """
        self._calls.drain()
        self.close()

    def close(self) -> None:
        """Drop the calls that have not started, wait for the running one, and end the thread. May be called twice."""
        self._calls.cancel()
        if self._thread is not None:
            self._thread.shutdown(wait=True, cancel_futures=True)
            self._thread = None
