# SPDX-License-Identifier: Apache-2.0
"""One range of a remote file, read request after request until its end."""

from __future__ import annotations

import logging
import threading

from airflow_provider_connectif.files.deflate import crc32
from airflow_provider_connectif.files.download.source import Aborted, Source
from airflow_provider_connectif.files.download.transport import StreamedResponse, TransientError
from airflow_provider_connectif.files.errors import RemoteFileChanged

log = logging.getLogger(__name__)

BLOCK_SIZE = 1 << 20


class RangeReader:
    """
    Reads a range and resumes after each broken connection, until the end or until no attempt returns a byte.

    :param source: the file
    :param start: the first byte
    :param stop: the byte after the last one; None for the end of a file of unknown size
    """

    def __init__(self, source: Source, start: int, stop: int | None) -> None:
        self._source = source
        self._ranges = source.info.supports_ranges
        self._start = start
        self._position = start
        self._stop = stop
        self._response: StreamedResponse | None = None
        self._left: int | None = None  # bytes that the current response still has to deliver; None if unknown
        self._crc = 0  # of the bytes returned, to recognize them when a store without ranges sends them again
        self._aborted = threading.Event()

    def next_block(self) -> bytes:
        """Return at most the next :data:`BLOCK_SIZE` bytes; ``b""`` at the end and after :meth:`abort`."""
        if self._stop is not None and self._position >= self._stop:
            return b""
        try:
            block = self._source.retry(self._attempt, self._aborted)
        except Aborted:
            return b""
        if not self._ranges:
            self._crc = crc32(block, self._crc)
        self._position += len(block)
        return block

    def abort(self) -> None:
        """Make a waiting :meth:`next_block` return soon. Can be called from any thread."""
        self._aborted.set()
        response = self._response
        if response is not None:
            response.abort()

    def close(self) -> None:
        """Release the connection. No thread may be in :meth:`next_block`."""
        self._aborted.set()
        self._close_response()

    def _attempt(self) -> bytes:
        try:
            self._check_not_aborted()
            if self._response is None:
                self._open()
            return self._read()
        except TransientError as error:
            self._close_response()
            self._check_not_aborted()
            log.info("The download of the export's file was interrupted at byte %d: %s.", self._position, error.reason)
            raise

    def _check_not_aborted(self) -> None:
        if self._aborted.is_set():
            raise Aborted

    def _read(self) -> bytes:
        self._check_not_aborted()
        response = self._response
        if response is None:
            return b""
        to_stop = None if self._stop is None else self._stop - self._position
        block = response.read(min(bound for bound in (BLOCK_SIZE, self._left, to_stop) if bound is not None))
        if block:
            self._source.urls.mark_working()
            if self._left is not None:
                self._left -= len(block)
                if not self._left:
                    self._close_response()
            return block
        if self._left is not None:
            raise TransientError(f"the store's response ended {self._left} bytes early")
        if to_stop and self._source.info.size is not None:
            raise TransientError(f"the store's response ended {to_stop} bytes early")
        # The end of a response without a length is the end of the file.
        self._close_response()
        self._stop = self._position
        self._source.set_size(self._position)
        return b""

    def _open(self) -> None:
        if self._ranges and self._stop is not None:
            self._response, stop = self._source.request_range(self._position, self._stop)
            if stop is not None:
                self._left = stop - self._position
                return
            # The same file, but as a whole this time, perhaps from another server of the store.
            expected_crc = None
        else:
            self._response = self._source.request_file()
            expected_crc = self._crc if self._position > self._start else None
        self._left = self._response.length
        self._skip(self._response, expected_crc)

    def _skip(self, response: StreamedResponse, expected_crc: int | None) -> None:
        """Read up to the current position, and check the CRC of the bytes that were returned before."""
        at, crc = 0, 0
        while at < self._position:
            self._check_not_aborted()
            stop = self._start if at < self._start else self._position
            block = response.read(min(BLOCK_SIZE, stop - at))
            if not block:
                raise TransientError("the store's response ended early")
            if at >= self._start:
                crc = crc32(block, crc)
            at += len(block)
            if self._left is not None:
                self._left -= len(block)
        if expected_crc is not None and crc != expected_crc:
            self._close_response()
            raise RemoteFileChanged(
                "The vendor's store sent a different file after a broken connection. A retry downloads it again."
            )

    def _close_response(self) -> None:
        response, self._response, self._left = self._response, None, None
        if response is not None:
            response.close()
