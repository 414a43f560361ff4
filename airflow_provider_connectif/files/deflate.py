# SPDX-License-Identifier: Apache-2.0
"""
Decompressing deflate streams and writing gzip, in blocks of bounded size.

``isal`` is used if it is installed: measured on CSV (2 cores), it decompresses and computes the CRC at 640 MB/s
where ``zlib-ng`` reaches 460 and ``zlib`` 290, and compresses at 320 MB/s where they reach 170 and 100 at their
fastest level.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import Any

from airflow_provider_connectif.files.errors import ArchiveCorrupt

_engine: ModuleType
try:
    from isal import isal_zlib

    _engine, _LEVEL = isal_zlib, 2
except ImportError:  # pragma: no cover - slower, with the same output when decompressed
    _engine, _LEVEL = zlib, 1

RAW = -15
GZIP = 31
#: Maximum number of bytes passed to the decompressor at once, and returned by it. Larger blocks do not fit into the
#: processor's caches: measured 810 MB/s with these sizes, 400 MB/s with eight times as much.
INPUT_SIZE = 32 << 10
OUTPUT_SIZE = 256 << 10
#: A gzip header without name and time, so that the same export always gives the same bytes.
GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"

_ERRORS: tuple[type[Exception], ...] = (zlib.error, _engine.error)


def crc32(data: bytes | memoryview, value: int = 0) -> int:
    """Return the CRC-32 of ``data``, continuing from ``value``."""
    return int(_engine.crc32(data, value))


def gzip_trailer(crc: int, length: int) -> bytes:
    """Return the end of a gzip member (RFC 1952): its CRC-32 and its length modulo 2^32."""
    return struct.pack("<LL", crc, length & 0xFFFFFFFF)


class Decompressor:
    """
    A decompressor for one deflate stream, which also computes the CRC and length of its output.

    :param wbits: :data:`RAW` or :data:`GZIP`
    """

    def __init__(self, wbits: int = RAW) -> None:
        self._stream: Any = _engine.decompressobj(wbits)
        self.crc = 0
        self.length = 0
        #: Input after the end of the stream.
        self.unused_data = b""

    @property
    def eof(self) -> bool:
        """Whether the end of the stream was reached."""
        return bool(self._stream.eof)

    def decompress(self, data: bytes) -> Iterator[bytes]:
        """
        Yield the decompressed ``data`` in blocks of at most :data:`OUTPUT_SIZE` bytes.

        :raises ArchiveCorrupt: the data is not a deflate stream.
        """
        view = memoryview(data)
        for at in range(0, len(view), INPUT_SIZE):
            yield from self._decompress(view[at : at + INPUT_SIZE])
            if self.eof:
                self.unused_data = self._stream.unused_data + bytes(view[at + INPUT_SIZE :])
                return

    def _decompress(self, data: bytes | memoryview) -> Iterator[bytes]:
        while not self.eof:
            try:
                out = self._stream.decompress(data, OUTPUT_SIZE)
            except _ERRORS:
                out = None
            if out is None:
                raise ArchiveCorrupt("The export's archive is damaged: a member cannot be decompressed.")
            if out:
                self.crc = crc32(out, self.crc)
                self.length += len(out)
                yield out
            data = self._stream.unconsumed_tail
            if not data and len(out) < OUTPUT_SIZE:
                return


def gunzip(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """
    Decompress gzip members.

    :raises ArchiveCorrupt: the data is damaged or incomplete
    """
    decompressor = Decompressor(GZIP)
    for block in blocks:
        data = block
        while data:
            if decompressor.eof:
                decompressor = Decompressor(GZIP)
            yield from decompressor.decompress(data)
            data = decompressor.unused_data
    if not decompressor.eof:
        raise ArchiveCorrupt("The gzip data is truncated.")


def compress_gzip(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Compress blocks to one gzip member, whose bytes depend on the content only and not on its blocks."""
    compressor = _engine.compressobj(_LEVEL, zlib.DEFLATED, RAW)
    crc = length = 0
    yield GZIP_HEADER
    for block in _equal_blocks(blocks):
        crc, length = crc32(block, crc), length + len(block)
        if compressed := compressor.compress(block):
            yield compressed
    yield compressor.flush()
    yield gzip_trailer(crc, length)


def _equal_blocks(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield blocks of :data:`OUTPUT_SIZE` bytes with the same content; the last one can be shorter."""
    rest = bytearray()
    for block in blocks:
        yield from cut(block, OUTPUT_SIZE, rest)
    if rest:
        yield bytes(rest)


def cut(data: Any, size: int, rest: bytearray) -> Iterator[bytes]:
    """Yield blocks of the same size, and keep what remains in ``rest``, with which the next ones begin."""
    view = memoryview(data)
    while view:
        taken = view[: size - len(rest)]
        rest += taken
        view = view[len(taken) :]
        if len(rest) == size:
            block = bytes(rest)
            rest.clear()
            yield block
