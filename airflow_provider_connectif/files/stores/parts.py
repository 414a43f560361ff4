# SPDX-License-Identifier: Apache-2.0
"""An upload in numbered parts, several under way at once, with a bound on the memory that they hold."""

from __future__ import annotations

import asyncio
import collections
import io
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any

from airflow_provider_connectif.files.stores.base import MIB

SMALLEST_PART = 8 * MIB

#: S3 allows 10,000 parts: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
MOST_PARTS = 10_000

#: Bytes of parts that are being sent; one part more is being filled.
IN_FLIGHT = 32 * MIB


def growing_sizes(part: int) -> int:
    """The size of the part with the number ``part`` (from 1), when the total is not known.

    Small while most objects end, larger later: 40 GB fit in parts of 8 MiB, 200 GB in all 10,000.
    """
    if part <= MOST_PARTS // 2:
        return SMALLEST_PART
    if part <= MOST_PARTS * 4 // 5:
        return 2 * SMALLEST_PART
    return 8 * SMALLEST_PART


def even_size(expected_bytes: int | None, *, unknown: int = 2 * SMALLEST_PART) -> int:
    """One size for all parts, for stores that want them equal.

    :param expected_bytes: the most that the object can have, when that is known
    :param unknown: the size when it is not known (16 MiB: room for 160 GB)
    """
    if expected_bytes is None:
        return unknown
    whole_mib = -(-expected_bytes // MOST_PARTS // MIB) + 1
    return max(SMALLEST_PART, whole_mib * MIB)


class Parts:
    """Cuts what is written into parts and sends them from the event loop of an fsspec filesystem.

    A part is handed over as a ``BytesIO``, which is filled anew when the part has been sent: ``botocore`` makes one of
    any bytes, and ``aiohttp`` then copies them; and to get fresh memory for each part costs more than to fill it.

    :param loop: that event loop, which runs in a thread of its own
    :param send: makes the coroutine that sends one part, by its number (from 1), content and checksum
    :param checksum: computes it, in the thread that writes: the event loop has enough to do
    :param size_of: the size of a part by its number
    :param in_flight: the bytes that may be under way at once
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        send: Callable[[int, io.BytesIO, str], Coroutine[Any, Any, Any]],
        *,
        checksum: Callable[[memoryview], str] = lambda _: "",
        size_of: Callable[[int], int] = growing_sizes,
        in_flight: int = IN_FLIGHT,
    ) -> None:
        self._loop = loop
        self._send = send
        self._checksum = checksum
        self._size_of = size_of
        self._limit = in_flight
        self._body: io.BytesIO | None = None
        self._free: list[io.BytesIO] = []
        self._sending: collections.deque[tuple[Future[Any], io.BytesIO, int]] = collections.deque()
        self._sending_bytes = 0
        self._tasks: set[asyncio.Task[Any]] = set()
        self._answers: list[Any] = []
        self._count = 0

    def write(self, data: bytes) -> None:
        """Add ``data``; raises what sending an earlier part raised."""
        rest = memoryview(data)
        while rest:
            if self._body is None:
                self._body = self._free.pop() if self._free else io.BytesIO()
            room = self._size_of(self._count + 1) - self._body.tell()
            self._body.write(rest[:room])
            if len(rest) >= room:
                self._flush()
            rest = rest[room:]

    def finish(self) -> list[Any]:
        """Send the rest, wait for all, and return their answers in order.

        One empty part if nothing was written.
        """
        if self._body is not None or not self._count:
            self._flush()
        while self._sending:
            self._take()
        return self._answers

    def cancel(self) -> None:
        """Stop what is under way, and return when it has stopped: no part arrives after this."""
        for future, _, _ in self._sending:
            future.cancel()
        self._body = None
        self._free.clear()
        self._sending.clear()
        if self._loop.is_running():
            asyncio.run_coroutine_threadsafe(self._stopped(), self._loop).result()

    def _flush(self) -> None:
        body, self._body = self._body or io.BytesIO(), None
        size = body.tell()
        body.truncate()
        body.seek(0)
        while self._sending and (self._sending[0][0].done() or self._sending_bytes + size > self._limit):
            self._take()
        for future, _, _ in self._sending:
            # A part that failed behind one that is still under way: no use in sending more.
            if future.done():
                future.result()
        self._count += 1
        with body.getbuffer() as content:
            checksum = self._checksum(content)
        future = asyncio.run_coroutine_threadsafe(self._run(self._count, body, checksum), self._loop)
        self._sending.append((future, body, size))
        self._sending_bytes += size

    def _take(self) -> None:
        future, body, size = self._sending.popleft()
        self._sending_bytes -= size
        self._answers.append(future.result())
        body.seek(0)
        self._free.append(body)

    async def _run(self, number: int, body: io.BytesIO, checksum: str) -> Any:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await self._send(number, body, checksum)

    async def _stopped(self) -> None:
        await asyncio.gather(*self._tasks, return_exceptions=True)
