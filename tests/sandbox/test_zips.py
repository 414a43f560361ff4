# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import io
import struct
import zipfile
import zlib

import pytest

from airflow_provider_connectif.sandbox.blobs import Blob, Run
from airflow_provider_connectif.sandbox.zips import ZipMember, build

MEMBERS = [
    ZipMember("first.csv", [Run(b"a,b\n"), Run(b"1,2\n" * 100, 30), Run(b"3,4\n")]),
    ZipMember("Día «2».csv", [Run("é\n".encode())]),
    ZipMember("empty.csv", []),
]


def opened(blob: Blob) -> zipfile.ZipFile:
    return zipfile.ZipFile(io.BytesIO(b"".join(blob.read())))


class SeekableBlob(io.RawIOBase):
    """A blob as a seekable file, for access to parts of a huge one."""

    def __init__(self, blob: Blob) -> None:
        self.blob = blob
        self.position = 0

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self.position = offset + {0: 0, 1: self.position, 2: self.blob.size}[whence]
        return self.position

    def read(self, size: int = -1) -> bytes:
        stop = self.blob.size if size < 0 else self.position + size
        data = b"".join(self.blob.read(self.position, stop))
        self.position += len(data)
        return data


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("stored", [True, False])
@pytest.mark.parametrize("zip64", ["auto", "always", "central-only"])
def test_every_kind_of_archive_contains_its_members(streamed: bool, stored: bool, zip64: str) -> None:
    archive = opened(build(MEMBERS, streamed=streamed, stored=stored, zip64=zip64))
    assert archive.testzip() is None
    assert archive.namelist() == [member.name for member in MEMBERS]
    for member in MEMBERS:
        assert archive.read(member.name) == b"".join(run.data * run.repeat for run in member.content)


def test_a_streamed_archive_has_its_sizes_in_data_descriptors() -> None:
    blob = build(MEMBERS[:1])
    data = b"".join(blob.read())
    info = opened(blob).infolist()[0]
    assert info.flag_bits & 8
    assert data[14:26] == bytes(12)  # CRC and sizes of the header
    descriptor = struct.pack("<4sIII", b"PK\x07\x08", info.CRC, info.compress_size, info.file_size)
    assert data[30 + len("first.csv") + info.compress_size :].startswith(descriptor)


def test_a_plain_archive_has_its_sizes_in_the_header() -> None:
    data = b"".join(build(MEMBERS[:1], streamed=False).read())
    info = opened(build(MEMBERS[:1], streamed=False)).infolist()[0]
    assert not info.flag_bits & 8
    assert struct.unpack("<III", data[14:26]) == (info.CRC, info.compress_size, info.file_size)
    assert b"PK\x07\x08" not in data


def test_always_zip64_announces_wide_descriptors_in_the_header() -> None:
    data = b"".join(build(MEMBERS[:1], zip64="always").read())
    info = opened(build(MEMBERS[:1], zip64="always")).infolist()[0]
    assert struct.pack("<HH", 1, 16) in data[: 30 + len("first.csv") + 20]
    assert struct.pack("<4sIQQ", b"PK\x07\x08", info.CRC, info.compress_size, info.file_size) in data
    assert b"PK\x06\x06" in data


@pytest.mark.parametrize("stored", [True, False])
@pytest.mark.parametrize("zip64", ["auto", "central-only"])
def test_a_member_beyond_4_gib_is_found_by_its_64_bit_sizes(stored: bool, zip64: str) -> None:
    segment = b"1,2\n" * 250_000
    members = [ZipMember("huge.csv", [Run(b"a,b\n"), Run(segment, 5000)]), MEMBERS[1]]
    blob = build(members, stored=stored, zip64=zip64)
    archive = zipfile.ZipFile(SeekableBlob(blob))  # type: ignore[arg-type]
    huge, small = archive.infolist()
    assert huge.file_size == 4 + 5000 * len(segment)
    assert archive.read(small) == "é\n".encode()
    with archive.open(huge) as file:
        assert file.read(12) == b"a,b\n1,2\n1,2\n"
    wide = struct.pack("<4sIQQ", b"PK\x07\x08", huge.CRC, huge.compress_size, huge.file_size)
    start = 30 + len("huge.csv") + (20 if zip64 == "auto" else 0) + huge.compress_size
    assert b"".join(blob.read(start, start + len(wide))) == wide


def test_a_repeated_segment_is_one_valid_deflate_stream() -> None:
    blob = build([ZipMember("x", [Run(b"segment;", 3), Run(b"end")])], streamed=False)
    info = opened(blob).infolist()[0]
    data = b"".join(blob.read(31, 31 + info.compress_size))
    assert zlib.decompress(data, -15) == b"segment;segment;segment;end"


def test_an_encrypted_member_has_the_flag() -> None:
    info = opened(build(MEMBERS, encrypted=True)).infolist()[0]
    assert info.flag_bits & 1
