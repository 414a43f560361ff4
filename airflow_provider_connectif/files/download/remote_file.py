# SPDX-License-Identifier: Apache-2.0
"""
A remote file that survives broken connections and expired addresses.

It is read in one pass as fast as the wire allows, a thread reading a few MB ahead. After a break the next
request is a range from the last good byte on, to a fresh address where the old one expired, and only if the
file is still the same one. A store that knows no ranges is read from the start again after a break, up to the
byte that was reached; that the bytes before it are the same ones is checked by their CRC.
"""

from __future__ import annotations

import io
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_connectif.files.download import transport
from airflow_provider_connectif.files.download.range_reader import BLOCK, Pass
from airflow_provider_connectif.files.download.response_headers import Facts
from airflow_provider_connectif.files.download.signed_urls import Addresses
from airflow_provider_connectif.files.download.source import HEAD, Aborted, RetryPolicy, Source
from airflow_provider_connectif.files.errors import RemoteFileUnavailable
from airflow_provider_connectif.files.read_ahead import ReadAhead

if TYPE_CHECKING:
    import requests

__all__ = ["RemoteFile", "RetryPolicy"]


class RemoteFile(io.RawIOBase):
    """
    A file behind signed addresses that expire, readable and seekable.

    :param renew: returns a fresh signed address. What it raises is passed through.
    :param timeout: seconds to connect, seconds to wait for the next byte.
    :param address_lifetime: seconds that an address is valid for (the API promises 100 minutes). A fresh one
        is asked for when 90 % of it are over, and whenever the store refuses one.
    :param policy: how patient to be with the store.
    :param read_ahead: blocks of 1 MB that may wait to be consumed.
    :param clock: seconds, growing steadily.
    :param sleep: waits some seconds; None for a real wait that ends early when the file is closed.
    :param session: a ``requests`` session to use (and not to close), None for one of its own.
    :raises RemoteFileUnavailable: from anything that reads, when the store gives no further byte.
    :raises RemoteFileRefused: from anything that reads, when the store refuses fresh addresses.
    :raises RemoteFileChanged: from anything that reads, when the store has another file than at the start.
    """

    def __init__(
        self,
        renew: Callable[[], str],
        *,
        timeout: tuple[float, float] = (10.0, 60.0),
        address_lifetime: float = 100 * 60.0,
        policy: RetryPolicy | None = None,
        read_ahead: int = 6,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] | None = None,
        session: requests.Session | None = None,
    ) -> None:
        super().__init__()
        self._owns_session = session is None
        self._session = session or transport.new_session()
        self._source = Source(
            Addresses(renew, address_lifetime, clock), self._session, timeout, policy or RetryPolicy(), sleep
        )
        self._read_ahead = read_ahead
        self._lock = threading.Lock()
        self._readings: weakref.WeakSet[ReadAhead] = weakref.WeakSet()
        self._position = 0
        self._block = memoryview(b"")
        self._ahead: Iterator[bytes] | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {'closed' if self.closed else 'open'}>"

    # What the store tells

    @property
    def size(self) -> int | None:
        """The file's size in bytes; None while a store that does not tell it has not been read to the end."""
        return self.facts.size

    @property
    def etag(self) -> str | None:
        """The file's entity tag, as the store sends it."""
        return self.facts.etag

    @property
    def checksums(self) -> Mapping[str, bytes]:
        """Digests of the whole file that the store tells, by algorithm (``md5``, ``crc32``…)."""
        return self.facts.checksums

    @property
    def supports_ranges(self) -> bool:
        """Whether any part can be read by itself. If not, what is read is read from the start."""
        return self.facts.supports_ranges

    @property
    def facts(self) -> Facts:
        """All that the store tells. The first use asks it."""
        self._check_open()
        try:
            return self._source.facts
        except Aborted:
            raise ValueError("The remote file was closed.") from None

    # Reading in one pass

    def chunks(
        self, start: int = 0, stop: int | None = None, *, passing: Callable[[bytes], object] | None = None
    ) -> Iterator[bytes]:
        """
        Yield the bytes from ``start`` up to, not including, ``stop``, in blocks of up to 1 MB, read ahead in
        a thread.

        Dropping or closing the iterator ends the thread and the connection.

        :param start: the first byte.
        :param stop: the byte after the last one; None, or anything beyond the end, for the file's end.
        :param passing: called with each block, by the thread that reads it, before it is yielded.
        """
        size = self.facts.size
        if start < 0:
            raise ValueError(f"start must be 0 or more, not {start}.")
        end = size if stop is None else stop if size is None else min(stop, size)
        if end is not None and start >= end:
            return
        head = self._source.head[start:end]
        if head:
            if passing is not None:
                passing(head)
            yield head
            start += len(head)
            if start == end:
                return
        reading = Pass(self._source, start, end)

        def produce() -> bytes:
            block = reading.next_block()
            if passing is not None and block:
                passing(block)
            return block

        blocks: Iterator[bytes]
        if end is not None and end - start <= BLOCK and self.supports_ranges:
            ahead = None
            blocks = iter(produce, b"")
        else:
            blocks = ahead = self.ahead(produce, self._read_ahead, reading.abort)
        try:
            yield from blocks
            self._check_open()  # a reading that is given up ends like one that is done
        finally:
            if ahead is not None:
                ahead.close()
            reading.close()

    def ahead(self, produce: Callable[[], bytes], depth: int, abort: Callable[[], None] | None = None) -> ReadAhead:
        """
        Make blocks in a thread that ends when this file is closed, at the latest.

        :param produce: as for :class:`ReadAhead`, and so are ``depth`` and ``abort``.
        """
        blocks = ReadAhead(produce, depth=depth, abort=abort)
        with self._lock:
            self._readings.add(blocks)
        return blocks

    # Reading as a stream

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True; without ranges, going back means reading from the start again."""
        return True

    def tell(self) -> int:
        """Return the position of the next byte to read."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to another position, as :meth:`io.IOBase.seek` says."""
        self._check_open()
        base = 0
        if whence == io.SEEK_END:
            base = self._measured_size()
        elif whence == io.SEEK_CUR:
            base = self._position
        target = base + offset
        if target < 0:
            raise ValueError(f"Cannot seek to {target}, before the start of the file.")
        if target != self._position:
            ahead = target - self._position
            if 0 <= ahead <= len(self._block):
                self._block = self._block[ahead:]
            else:
                self._drop_stream()
            self._position = target
        return target

    def readinto(self, buffer: Any) -> int:
        """Fill ``buffer`` with the next bytes, as far as they are there at once; return how many."""
        self._check_open()
        view = memoryview(buffer).cast("B")
        if not len(view):
            return 0
        if not self._block:
            if self._ahead is None:
                self._ahead = self._growing_chunks(self._position)
            self._block = memoryview(next(self._ahead, b""))
        count = min(len(view), len(self._block))
        view[:count] = self._block[:count]
        self._block = self._block[count:]
        self._position += count
        return count

    def _growing_chunks(self, position: int) -> Iterator[bytes]:
        # Who jumps about reads little at each place: ask for little first, for more while reading goes on.
        span = HEAD if self.supports_ranges and position else None
        while span is not None and span < 64 * BLOCK:
            got = 0
            for chunk in self.chunks(position, position + span):
                yield chunk
                got += len(chunk)
            if got < span:
                return
            position += got
            span *= 4
        yield from self.chunks(position)

    def _measured_size(self) -> int:
        if self.size is None:
            for _ in self.chunks():
                pass
        if self.size is None:
            raise RemoteFileUnavailable("The store does not tell where the file ends.")
        return self.size

    def _drop_stream(self) -> None:
        self._block = memoryview(b"")
        if self._ahead is not None:
            self._ahead.close()  # type: ignore[attr-defined]
            self._ahead = None

    def close(self) -> None:
        """End all reading: no thread and no connection stays."""
        if self.closed:
            return
        super().close()
        self._source.close()
        if self._owns_session:
            transport.hang_up(self._session)
        with self._lock:
            readings = list(self._readings)
        for reading in readings:
            reading.close()
        self._block = memoryview(b"")
        self._ahead = None

    def _check_open(self) -> None:
        if self.closed:
            raise ValueError("The remote file is closed.")
