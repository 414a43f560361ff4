# SPDX-License-Identifier: Apache-2.0
"""Calls in the event loop of an fsspec filesystem, which runs in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

#: Seconds that an interrupted caller waits for a request to end by itself, before it is cancelled.
GRACE_SECONDS = 10.0


def run_in_loop(
    loop: asyncio.AbstractEventLoop,
    function: Callable[..., Coroutine[Any, Any, T]],
    *args: Any,
    grace: float = GRACE_SECONDS,
    **kwargs: Any,
) -> T:
    """Run a coroutine function, and return its result.

    If an exception interrupts the caller, such as Airflow's for ``execution_timeout``, the call has ended when that is
    raised: ``sync`` of fsspec would leave the request running, and an object could appear at any later time.

    :param grace: seconds that an interrupted call may take to end by itself, before it is cancelled
    """
    ended = threading.Event()
    tasks: list[asyncio.Task[T]] = []

    def start() -> None:
        tasks.append(loop.create_task(function(*args, **kwargs)))
        tasks[0].add_done_callback(lambda _: ended.set())

    try:
        # An interrupt may also come here, when the call has been scheduled, or has not.
        loop.call_soon_threadsafe(start)
        ended.wait()
    except BaseException:
        # Callbacks run in the order in which they were scheduled: without a task now, there will be none.
        loop.call_soon_threadsafe(lambda: None if tasks else ended.set())
        if not ended.wait(grace):
            loop.call_soon_threadsafe(lambda: [task.cancel() for task in tasks])
            ended.wait(grace)
        raise
    return tasks[0].result()
