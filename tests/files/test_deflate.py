# SPDX-License-Identifier: Apache-2.0
"""Deflate streams are decompressed in bounded blocks, and gzip files are the same each time."""

from __future__ import annotations

import gzip
import zlib

import pytest

from airflow_provider_connectif.files.deflate import GZIP, OUTPUT_SIZE, Decompressor, compress_gzip, crc32
from airflow_provider_connectif.files.errors import ArchiveCorrupt

TEXT = b"id,email\r\n" + b"1,a@example.com\r\n" * 100_000


def test_the_output_is_split_into_bounded_blocks() -> None:
    decompressor = Decompressor(GZIP)
    blocks = list(decompressor.decompress(gzip.compress(TEXT)))
    assert b"".join(blocks) == TEXT
    assert max(map(len, blocks)) <= OUTPUT_SIZE
    assert decompressor.eof
    assert (decompressor.crc, decompressor.length) == (zlib.crc32(TEXT), len(TEXT))


@pytest.mark.parametrize("length", [1, 9, 100_000])
def test_data_after_the_end_of_the_stream_is_kept(length: int) -> None:
    compressor = zlib.compressobj(wbits=-15)
    decompressor = Decompressor()
    data = compressor.compress(TEXT) + compressor.flush() + bytes(length)
    assert b"".join(decompressor.decompress(data)) == TEXT
    assert decompressor.unused_data == bytes(length)


def test_data_that_is_not_a_deflate_stream_raises_an_error() -> None:
    with pytest.raises(ArchiveCorrupt, match="cannot be decompressed"):
        list(Decompressor().decompress(b"\xff" * 10))


def test_the_same_content_gives_the_same_gzip_file() -> None:
    blocks = [TEXT[:1000], b"", TEXT[1000:]]
    compressed = b"".join(compress_gzip(blocks))
    assert gzip.decompress(compressed) == TEXT
    assert compressed == b"".join(compress_gzip(blocks))


def test_a_crc_can_be_continued() -> None:
    assert crc32(TEXT[1000:], crc32(TEXT[:1000])) == zlib.crc32(TEXT)
