# SPDX-License-Identifier: Apache-2.0
"""
A remote file that survives broken connections and expired signed URLs.

It is read in one pass at the speed of the network, with a thread that reads a few MB ahead. After a broken connection
the next request is for the range after the last byte received, with a new signed URL if the old one expired, and only
if the file is still the same. From a store without ranges, the file is read from the start again up to the byte
reached; the CRC of the bytes before it is compared.
"""

from __future__ import annotations

import io
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_connectif.files.download import transport
from airflow_provider_connectif.files.download.range_reader import BLOCK_SIZE, RangeReader
from airflow_provider_connectif.files.download.response_headers import RemoteFileInfo
from airflow_provider_connectif.files.download.signed_urls import SignedUrls
from airflow_provider_connectif.files.download.source import HEAD_SIZE, Aborted, RetryPolicy, Source
from airflow_provider_connectif.files.download.url_policy import UrlPolicy
from airflow_provider_connectif.files.read_ahead import ReadAhead

if TYPE_CHECKING:
    import requests

__all__ = ["RemoteFile", "RetryPolicy"]


class Consumer(Protocol):
    """What processes the content of a file in a thread."""

    def close(self) -> None:
        """End the thread. Can be called more than once, and from any thread."""


class RemoteFile(io.RawIOBase):
    """
    A readable and seekable file behind signed URLs that expire.

    :param renew: returns a new signed URL; its exceptions are passed through
    :param timeout: seconds to connect, seconds to wait for the next byte
    :param url_lifetime: seconds that a signed URL is valid for (100 minutes according to the API). A new one is
        requested after 90 % of this time, and whenever the store refuses one.
    :param policy: how often and how long to retry
    :param read_ahead: maximum number of blocks of 1 MB that are read ahead
    :param clock: returns monotonic seconds
    :param sleep: waits some seconds; None for a real wait that ends early when the file is closed
    :param session: a ``requests`` session to use, which stays open; None for a new one
    :param url_policy: which URLs may be used; None for all
    :raises RemoteFileUnavailable: while reading, if the store sends no more bytes
    :raises RemoteFileRefused: while reading, if the store refuses new signed URLs
    :raises RemoteFileChanged: while reading, if the file in the store was replaced
    """

    def __init__(
        self,
        renew: Callable[[], str],
        *,
        timeout: tuple[float, float] = (10.0, 60.0),
        url_lifetime: float = 100 * 60.0,
        policy: RetryPolicy | None = None,
        read_ahead: int = 6,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] | None = None,
        session: requests.Session | None = None,
        url_policy: UrlPolicy | None = None,
    ) -> None:
        super().__init__()
        self._owns_session = session is None
        self._session = session or transport.new_session(url_policy)
        self._source = Source(
            SignedUrls(renew, url_lifetime, clock), self._session, timeout, policy or RetryPolicy(), sleep, url_policy
        )
        self._read_ahead = read_ahead
        self._lock = threading.Lock()
        self._read_aheads: weakref.WeakSet[ReadAhead] = weakref.WeakSet()
        self._consumers: weakref.WeakSet[Consumer] = weakref.WeakSet()
        self._position = 0
        self._block = memoryview(b"")
        self._chunks: Iterator[bytes] | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {'closed' if self.closed else 'open'}>"

    # What the store reports

    @property
    def size(self) -> int | None:
        """The file's size in bytes; None until the end was read if the store does not report it."""
        return self.info.size

    @property
    def proves_damage(self) -> bool:
        """Whether bytes that make no sense are those of the file, and not of an incomplete or another one."""
        return self.info.detects_truncation and self._source.is_confirmed

    @property
    def info(self) -> RemoteFileInfo:
        """The store's description of the file. The first use sends a request."""
        self._check_open()
        try:
            return self._source.info
        except Aborted:
            raise ValueError("The remote file was closed.") from None

    # Reading in one pass

    def chunks(
        self, start: int = 0, stop: int | None = None, *, on_block: Callable[[bytes], object] | None = None
    ) -> Iterator[bytes]:
        """
        Yield the bytes from ``start`` up to ``stop`` (exclusive) in blocks of up to 1 MB, read ahead in a thread.

        The thread and the connection end when the iterator is closed or garbage-collected.

        :param start: the first byte
        :param stop: the byte after the last one; None or a value beyond the end for the end of the file
        :param on_block: called with each block in the thread that reads it, before it is yielded
        """
        size = self.info.size
        if start < 0:
            raise ValueError(f"start must be 0 or more, not {start}.")
        end = size if stop is None else stop if size is None else min(stop, size)
        if end is not None and start >= end:
            return
        head = self._source.head[start:end]
        if head:
            if on_block is not None:
                on_block(head)
            yield head
            start += len(head)
            if start == end:
                return
        reader = RangeReader(self._source, start, end)

        def produce() -> bytes:
            block = reader.next_block()
            if on_block is not None and block:
                on_block(block)
            return block

        blocks: Iterator[bytes]
        if end is not None and end - start <= BLOCK_SIZE and self.info.supports_ranges:
            read_ahead = None
            blocks = iter(produce, b"")
        else:
            blocks = read_ahead = self.start_read_ahead(produce, self._read_ahead, reader.abort)
        try:
            yield from blocks
            self._check_open()  # an aborted reader ends like one at the end of the file
        finally:
            if read_ahead is not None:
                read_ahead.close()
            reader.close()

    def start_read_ahead(
        self, produce: Callable[[], bytes], depth: int, abort: Callable[[], None] | None = None
    ) -> ReadAhead:
        """Return a :class:`ReadAhead` with these arguments, whose thread ends at the latest when the file is closed."""
        blocks = ReadAhead(produce, depth=depth, abort=abort)
        with self._lock:
            self._read_aheads.add(blocks)
        return blocks

    def close_with_file(self, consumer: Consumer) -> None:
        """Close what processes the file's content in a thread at the latest when the file is closed."""
        with self._lock:
            self._consumers.add(consumer)

    # Reading as a stream

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True. Without ranges, seeking backwards reads the file from the start again."""
        return True

    def tell(self) -> int:
        """Return the position of the next byte to read."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Change the position, as :meth:`io.IOBase.seek` does."""
        self._check_open()
        base = 0
        if whence == io.SEEK_END:
            base = self._find_size()
        elif whence == io.SEEK_CUR:
            base = self._position
        target = base + offset
        if target < 0:
            raise ValueError(f"Cannot seek to {target}, before the start of the file.")
        if target != self._position:
            distance = target - self._position
            if 0 <= distance <= len(self._block):
                self._block = self._block[distance:]
            else:
                self._drop_stream()
            self._position = target
        return target

    def readinto(self, buffer: Any) -> int:
        """Fill ``buffer`` with the next bytes that are available, and return how many."""
        self._check_open()
        view = memoryview(buffer).cast("B")
        if not len(view):
            return 0
        if not self._block:
            if self._chunks is None:
                self._chunks = self._growing_chunks(self._position)
            self._block = memoryview(next(self._chunks, b""))
        count = min(len(view), len(self._block))
        view[:count] = self._block[:count]
        self._block = self._block[count:]
        self._position += count
        return count

    def _growing_chunks(self, position: int) -> Iterator[bytes]:
        # A caller that seeks often reads little at each position: request little at first, and more while it reads on.
        span = HEAD_SIZE if self.info.supports_ranges and position else None
        while span is not None and span < 64 * BLOCK_SIZE:
            length = 0
            for chunk in self.chunks(position, position + span):
                yield chunk
                length += len(chunk)
            if length < span:
                return
            position += length
            span *= 4
        yield from self.chunks(position)

    def _find_size(self) -> int:
        if self.size is None:
            for _ in self.chunks():
                pass
        return self.size or 0

    def _drop_stream(self) -> None:
        self._block = memoryview(b"")
        if self._chunks is not None:
            self._chunks.close()  # type: ignore[attr-defined]
            self._chunks = None

    def close(self) -> None:
        """Stop reading and close all threads and connections."""
        if self.closed:
            return
        super().close()
        self._source.close()
        if self._owns_session:
            transport.disconnect(self._session)
        with self._lock:
            # First those that produce: they call the others.
            started: list[Consumer] = [*self._read_aheads, *self._consumers]
        for each in started:
            each.close()
        self._block = memoryview(b"")
        self._chunks = None

    def _check_open(self) -> None:
        if self.closed:
            raise ValueError("The remote file is closed.")
