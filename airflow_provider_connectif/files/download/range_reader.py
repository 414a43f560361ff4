# SPDX-License-Identifier: Apache-2.0
"""One pass over a part of a remote file, from request to request until its end."""

from __future__ import annotations

import logging
import threading

from airflow_provider_connectif.files.deflate import crc32
from airflow_provider_connectif.files.download.source import Aborted, Source
from airflow_provider_connectif.files.download.transport import Interrupted, Reply
from airflow_provider_connectif.files.errors import RemoteFileChanged

log = logging.getLogger(__name__)

BLOCK = 1 << 20


class Pass:
    """
    Reads on after each break, until the end or until no attempt brings a byte.

    :param source: the file.
    :param start: the first byte.
    :param stop: the byte after the last one; None for the end of a file whose size is not known.
    """

    def __init__(self, source: Source, start: int, stop: int | None) -> None:
        self._source = source
        self._ranges = source.facts.supports_ranges
        self._start = start
        self._position = start
        self._stop = stop
        self._reply: Reply | None = None
        self._left: int | None = None  # bytes that the present answer still has to bring; None: until it ends
        self._crc = 0  # of what was handed on, to know it again after a break of a store without ranges
        self._aborted = threading.Event()

    def next_block(self) -> bytes:
        """Return the next bytes, at most :data:`BLOCK`; ``b""`` at the end, and when aborted."""
        if self._stop is not None and self._position >= self._stop:
            return b""
        try:
            block = self._source.patiently(self._attempt, self._aborted)
        except Aborted:
            return b""
        if not self._ranges:
            self._crc = crc32(block, self._crc)
        self._position += len(block)
        return block

    def abort(self) -> None:
        """Make a waiting :meth:`next_block` return soon; callable from any thread."""
        self._aborted.set()
        reply = self._reply
        if reply is not None:
            reply.abort()

    def close(self) -> None:
        """Let go of the connection. No thread may be in :meth:`next_block` any more."""
        self._aborted.set()
        self._drop_reply()

    def _attempt(self) -> bytes:
        try:
            self._check_wanted()
            if self._reply is None:
                self._open()
            return self._read()
        except Interrupted as broken:
            self._drop_reply()
            self._check_wanted()
            log.info("Reading the export's file broke off at byte %d: %s.", self._position, broken.reason)
            raise

    def _check_wanted(self) -> None:
        if self._aborted.is_set():
            raise Aborted

    def _read(self) -> bytes:
        self._check_wanted()
        reply = self._reply
        if reply is None:
            return b""
        to_stop = None if self._stop is None else self._stop - self._position
        block = reply.read(min(bound for bound in (BLOCK, self._left, to_stop) if bound is not None))
        if block:
            self._source.addresses.accepted()
            if self._left is not None:
                self._left -= len(block)
                if not self._left:
                    self._drop_reply()
            return block
        if self._left is not None:
            raise Interrupted(f"the store ended its answer {self._left} bytes early")
        if to_stop and self._source.facts.size is not None:
            raise Interrupted(f"the store ended its answer {to_stop} bytes early")
        # The end of an answer that told no length is the end of the file.
        self._drop_reply()
        self._stop = self._position
        self._source.learn_size(self._position)
        return b""

    def _open(self) -> None:
        if self._ranges and self._stop is not None:
            self._reply, stop = self._source.ask_range(self._position, self._stop)
            if stop is not None:
                self._left = stop - self._position
                return
            # The same file, but whole this time (from another server of the store, perhaps).
            known = None
        else:
            self._reply = self._source.ask_whole()
            known = self._crc if self._position > self._start else None
        self._left = self._reply.length
        self._skip(self._reply, known)

    def _skip(self, reply: Reply, known: int | None) -> None:
        """Read up to the position reached. ``known`` is the CRC that the bytes of this pass must have."""
        at, crc = 0, 0
        while at < self._position:
            self._check_wanted()
            goal = self._start if at < self._start else self._position
            block = reply.read(min(BLOCK, goal - at))
            if not block:
                raise Interrupted("the store ended its answer early")
            if at >= self._start:
                crc = crc32(block, crc)
            at += len(block)
            if self._left is not None:
                self._left -= len(block)
        if known is not None and crc != known:
            self._drop_reply()
            raise RemoteFileChanged(
                "The vendor's store, asked again after a break, sent another file than before: "
                "the export has to be read anew."
            )

    def _drop_reply(self) -> None:
        reply, self._reply, self._left = self._reply, None, None
        if reply is not None:
            reply.close()
