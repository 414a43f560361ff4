# SPDX-License-Identifier: Apache-2.0
"""An upload in numbered parts, several of them in flight, with a limit on the memory that they hold."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable, Coroutine
from typing import Any

from airflow_provider_connectif.files.background import MIB, FutureQueue

MIN_PART_SIZE = 8 * MIB

#: S3 allows 10,000 parts: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
MAX_PARTS = 10_000

#: The bytes of parts that may be in flight; one more part is being filled.
MAX_BYTES_IN_FLIGHT = 32 * MIB


def growing_part_size(part: int) -> int:
    """Return the size of the part with the number ``part`` (from 1) if the total is unknown.

    Small where most objects end, larger later: 40 GB fit in parts of 8 MiB, 200 GB in all 10,000.
    """
    if part <= MAX_PARTS // 2:
        return MIN_PART_SIZE
    if part <= MAX_PARTS * 4 // 5:
        return 2 * MIN_PART_SIZE
    return 8 * MIN_PART_SIZE


def equal_part_size(expected_bytes: int | None) -> int:
    """Return one size for all parts, for stores that require this.

    :param expected_bytes: the object's maximum size, if known; otherwise parts of 16 MiB are enough for 160 GB
    """
    if expected_bytes is None:
        return 2 * MIN_PART_SIZE
    whole_mib = -(-expected_bytes // MAX_PARTS // MIB) + 1
    return max(MIN_PART_SIZE, whole_mib * MIB)


class Parts:
    """Cuts what is written into parts, and sends them from the event loop of an fsspec filesystem.

    A part is passed as a ``BytesIO``, which is reused when the part has been sent: ``botocore`` makes one of any bytes,
    which ``aiohttp`` then copies, and allocating memory for each part costs more than filling it.

    :param loop: that event loop, which runs in a thread of its own
    :param send: returns the coroutine that sends one part, given its number (from 1), content and checksum
    :param checksum: computes the checksum, in the thread that writes: the event loop is busy enough
    :param size_of: returns the size of a part, given its number
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        send: Callable[[int, io.BytesIO, str], Coroutine[Any, Any, Any]],
        *,
        checksum: Callable[[memoryview], str] = lambda _: "",
        size_of: Callable[[int], int] = growing_part_size,
    ) -> None:
        self._loop = loop
        self._send = send
        self._checksum = checksum
        self._size_of = size_of
        self._body: io.BytesIO | None = None
        self._unused_bodies: list[io.BytesIO] = []
        self._in_flight: FutureQueue[tuple[Any, io.BytesIO]] = FutureQueue(MAX_BYTES_IN_FLIGHT, self._sent)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._results: list[Any] = []
        self._count = 0

    def write(self, data: bytes) -> None:
        """Append ``data``; raise what sending an earlier part raised."""
        rest = memoryview(data)
        while rest:
            if self._body is None:
                self._body = self._unused_bodies.pop() if self._unused_bodies else io.BytesIO()
            room = self._size_of(self._count + 1) - self._body.tell()
            self._body.write(rest[:room])
            if len(rest) >= room:
                self._flush()
            rest = rest[room:]

    def finish(self) -> list[Any]:
        """Send the rest, wait for all parts, and return the results of ``send`` in order.

        One empty part is sent if nothing was written.
        """
        if self._body is not None or not self._count:
            self._flush()
        self._in_flight.drain()
        self._unused_bodies.clear()
        return self._results

    def cancel(self) -> None:
        """Stop sending, and return when nothing is being sent any more: no part arrives after this."""
        self._in_flight.cancel()
        self._body = None
        self._unused_bodies.clear()
        if self._loop.is_running():
            asyncio.run_coroutine_threadsafe(self._wait_for_tasks(), self._loop).result()

    def _flush(self) -> None:
        body, self._body = self._body or io.BytesIO(), None
        size = body.tell()
        body.truncate()
        body.seek(0)
        self._in_flight.make_room(size)
        self._in_flight.raise_failure()  # sending more parts would be useless
        self._count += 1
        with body.getbuffer() as content:
            checksum = self._checksum(content)
        future = asyncio.run_coroutine_threadsafe(self._run(self._count, body, checksum), self._loop)
        self._in_flight.add(future, size)

    def _sent(self, sent: tuple[Any, io.BytesIO]) -> None:
        result, body = sent
        self._results.append(result)
        body.seek(0)
        self._unused_bodies.append(body)

    async def _run(self, number: int, body: io.BytesIO, checksum: str) -> tuple[Any, io.BytesIO]:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await self._send(number, body, checksum), body

    async def _wait_for_tasks(self) -> None:
        await asyncio.gather(*self._tasks, return_exceptions=True)
