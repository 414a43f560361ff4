# SPDX-License-Identifier: Apache-2.0
"""Deflate streams and gzip files: verified, and either decompressed or passed on."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from airflow_provider_connectif.files.deflate import GZIP_HEADER, Decompressor, gzip_trailer
from airflow_provider_connectif.files.errors import ArchiveCorrupt
from airflow_provider_connectif.files.unpack.byte_reader import ByteReader

GZIP_SIGNATURE = b"\x1f\x8b\x08"
_HEADER_SIZE = 10
_TRAILER_SIZE = 8
_HAS_CRC, _HAS_EXTRA, _HAS_NAME, _HAS_COMMENT = 2, 4, 8, 16
_BLOCK_SIZE = 256 << 10


def read_deflated(
    reader: ByteReader,
    decompressor: Decompressor,
    on_content: Callable[[bytes], object],
    *,
    unchanged: bool,
    size: int | None = None,
) -> Iterator[bytes]:
    """
    Decompress a deflate stream, and yield its content or, with ``unchanged``, the stream itself.

    :param on_content: called with each block of the content
    :param size: maximum number of bytes to read; None to read up to the end of the stream
    :raises EOFError: there are not enough bytes
    """
    while not decompressor.eof:
        block = reader.read_some(_BLOCK_SIZE if size is None else min(size, _BLOCK_SIZE))
        if not block:
            raise EOFError
        for content in decompressor.decompress(block):
            on_content(content)
            if not unchanged:
                yield content
        if unused := decompressor.unused_data:
            reader.unread(unused)
            block = block[: -len(unused)]
        if size is not None:
            size -= len(block)
        if unchanged and block:
            yield block


def read_gzip(
    reader: ByteReader, on_content: Callable[[bytes], object], *, as_gzip: bool, name: str
) -> Iterator[bytes]:
    """
    Verify a gzip file, and yield its content or, with ``as_gzip``, the file itself.

    Its headers are replaced: they contain a name and a time, which can differ each time the same content is compressed.

    :param on_content: called with each block of the content
    :param name: what the file is called in errors
    :raises ArchiveCorrupt: it is damaged
    """
    try:
        while True:
            if not _skip_header(reader):
                raise ArchiveCorrupt(f"{name} is damaged: other data follows its gzip data.")
            if as_gzip:
                yield GZIP_HEADER
            decompressor = Decompressor()
            yield from read_deflated(reader, decompressor, on_content, unchanged=as_gzip)
            trailer = _read(reader, _TRAILER_SIZE)
            if trailer != gzip_trailer(decompressor.crc, decompressor.length):
                raise ArchiveCorrupt(f"{name} is damaged: the length or CRC of its content is wrong.")
            if as_gzip:
                yield trailer
            if not reader.peek(1):
                return
    except EOFError:
        pass
    raise ArchiveCorrupt(f"{name} is a truncated gzip file.")


def _skip_header(reader: ByteReader) -> bool:
    """Skip the header of a gzip member (RFC 1952, 2.3); return False if there is none."""
    if reader.peek(len(GZIP_SIGNATURE)) != GZIP_SIGNATURE:
        return False
    flags = _read(reader, _HEADER_SIZE)[3]
    if flags & _HAS_EXTRA:
        _read(reader, int.from_bytes(_read(reader, 2), "little"))
    for flag in (_HAS_NAME, _HAS_COMMENT):
        while flags & flag:
            block = reader.read_some(4096)
            if not block:
                raise EOFError
            _, end, rest = block.partition(b"\0")
            if end:
                reader.unread(rest)
                break
    if flags & _HAS_CRC:
        _read(reader, 2)
    return True


def _read(reader: ByteReader, count: int) -> bytes:
    data = reader.read(count)
    if len(data) < count:
        raise EOFError
    return data
