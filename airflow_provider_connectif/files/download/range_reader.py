# SPDX-License-Identifier: Apache-2.0
"""One range of a remote file, read request after request until its end."""

from __future__ import annotations

import logging
import threading
from dataclasses import replace

from airflow_provider_connectif.files.deflate import crc32
from airflow_provider_connectif.files.download.source import Aborted, Beginning, Source, file_changed
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
        self._position = start
        self._stop = stop
        self._response: StreamedResponse | None = None
        self._left: int | None = None  # bytes that the current response still has to deliver; None if unknown
        self._is_whole = False  # whether the current response begins with the first byte of the file, or of another one
        self._received = Beginning()  # in that response
        self._expected = Beginning()  # in the responses before it
        self._aborted = threading.Event()

    def next_block(self) -> bytes:
        """Return at most the next :data:`BLOCK_SIZE` bytes; ``b""`` at the end and after :meth:`abort`."""
        if self._stop is not None and self._position >= self._stop:
            self._check_end()
            return b""
        try:
            block = self._source.retry(self._attempt, self._aborted)
        except Aborted:
            return b""
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
        block = self._receive(response, BLOCK_SIZE if to_stop is None else min(BLOCK_SIZE, to_stop))
        if block:
            self._source.urls.mark_working()
            if self._left == 0:
                self._close_response()
            return block
        if self._source.info.detects_truncation and not response.marks_end:
            raise TransientError("the store's response does not show whether it is complete")
        # The end of a response without a length is the end of the file.
        self._close_response()
        self._stop = self._position
        self._source.set_size(self._position)
        return b""

    def _receive(self, response: StreamedResponse, limit: int) -> bytes:
        """Read at most ``limit`` bytes; compare those of a whole file with the ones that were received before."""
        received, expected = self._received, self._expected
        if received.length < expected.length:
            limit = min(limit, expected.length - received.length)
        block = response.read(limit if self._left is None else min(limit, self._left))
        if not block:
            self._check_complete(response)
        if self._left is not None:
            self._left -= len(block)
        if self._is_whole:
            received.crc = crc32(block, received.crc)
            received.length += len(block)
            if received.length == expected.length and received.crc != expected.crc:
                raise self._changed()
            if received.length > self._source.beginning.length:
                self._source.beginning = replace(received)
        return block

    def _check_complete(self, response: StreamedResponse) -> None:
        """Raise an error if a response ended before its own end, or before that of the file."""
        missing = self._left
        if missing is None:
            missing = max(self._expected.length, self._source.info.size or 0) - self._received.length
            if missing > 0 and response.marks_end:
                raise self._changed()
        if missing > 0:
            raise TransientError(f"the store's response ended {missing} bytes early")

    def _open(self) -> None:
        stop = None
        if self._ranges and self._stop is not None:
            self._response, stop = self._source.request_range(self._position, self._stop)
        else:
            self._response = self._source.request_file()
        self._is_whole = stop is None
        if stop is not None:
            self._left = stop - self._position
            return
        self._left = self._response.length
        self._received, self._expected = Beginning(), self._source.beginning
        while self._received.length < self._position:
            self._check_not_aborted()
            self._receive(self._response, min(BLOCK_SIZE, self._position - self._received.length))

    def _check_end(self) -> None:
        """Check that a response without a length ends with the file: another one may be longer."""
        response, info = self._response, self._source.info
        if response is None or self._left is not None or self._stop != info.size:
            return
        try:
            more = response.read(1)
        except TransientError:
            more = b""  # all bytes were received
        self._close_response()
        if more:
            raise self._changed()

    def _changed(self) -> RemoteFileChanged:
        self._close_response()
        return file_changed("the store sent a different file after a broken connection")

    def _close_response(self) -> None:
        response, self._response, self._left = self._response, None, None
        if response is not None:
            response.close()
