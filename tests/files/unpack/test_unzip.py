# SPDX-License-Identifier: Apache-2.0
"""The members of a ZIP archive, with and without ranges."""

from __future__ import annotations

import struct
import zipfile
import zlib

import pytest

from airflow_provider_connectif.files.errors import (
    ArchiveCorrupt,
    ArchiveError,
    ArchiveTooLarge,
    ExportMissing,
    FileError,
)
from airflow_provider_connectif.files.unpack.archive import open_archive
from tests.files.archives import (
    DAMAGED,
    EXPORT,
    ROWS,
    ROWS_DEFLATED,
    RawMember,
    build_zip,
    make_zip,
    stream_zip,
    with_extensions,
)
from tests.files.file_server import Faults
from tests.files.remote_files import (
    FORMATS,
    WITH_AND_WITHOUT_RANGES,
    package_threads,
    remote_file,
    unpack,
)


@WITH_AND_WITHOUT_RANGES
@FORMATS
@pytest.mark.parametrize(
    "content",
    [
        make_zip(EXPORT),
        make_zip(EXPORT, zipfile.ZIP_STORED),
        stream_zip(EXPORT),
        stream_zip(EXPORT, zip64=True),
        stream_zip(EXPORT, zipfile.ZIP_STORED),
        stream_zip(EXPORT, zipfile.ZIP_STORED, zip64=True),
    ],
    ids=["deflated", "stored", "streamed", "streamed zip64", "streamed stored", "streamed stored zip64"],
)
def test_every_member_is_unpacked_byte_for_byte(content: bytes, file_format: str, ranges: bool) -> None:
    assert unpack(content, file_format, ranges=ranges) == with_extensions(EXPORT, file_format)


@WITH_AND_WITHOUT_RANGES
def test_a_deflated_member_becomes_a_gzip_file_without_being_compressed_again(ranges: bool) -> None:
    content = make_zip({"a.csv": ROWS})
    with remote_file(content, Faults(ranges=ranges)) as (file, _):
        (member,) = (b"".join(member.chunks()) for member in open_archive(file, file_format="csv.gz", file_name="x"))
    compressor = zlib.compressobj(-1, zlib.DEFLATED, -15)
    assert member[10:-8] == compressor.compress(ROWS) + compressor.flush()
    assert member[-8:] == struct.pack("<LL", zlib.crc32(ROWS), len(ROWS))


@WITH_AND_WITHOUT_RANGES
@pytest.mark.parametrize("file_format", ["csv", "csv.gz", "archive"])
def test_an_archive_without_files_is_an_error_that_may_pass(file_format: str, ranges: bool) -> None:
    with pytest.raises(ExportMissing, match="contains no files") as caught:
        unpack(make_zip({}), file_format, ranges=ranges)
    assert not caught.value.final


@WITH_AND_WITHOUT_RANGES
def test_folders_are_not_members(ranges: bool) -> None:
    assert unpack(make_zip({"f/": b"", "f/a.csv": b"1", "g/": b""}), ranges=ranges) == {"a.csv": b"1"}


@WITH_AND_WITHOUT_RANGES
def test_a_folder_with_content_is_refused(ranges: bool) -> None:
    with pytest.raises(ArchiveCorrupt, match="folder 'f/' has content"):
        unpack(make_zip({"f/": b"hidden"}), ranges=ranges)


@WITH_AND_WITHOUT_RANGES
@FORMATS
@pytest.mark.parametrize("streaming", [True, False])
def test_a_bomb_with_a_false_size_stops_at_the_limit(streaming: bool, file_format: str, ranges: bool) -> None:
    fields = {"crc": 0, "compressed": 0, "size": 0} if streaming else None
    bomb = RawMember(b"bomb.csv", bytes(50_000_000), size=10, flags=8 if streaming else 0, local=fields)
    with pytest.raises(ArchiveError, match=r"longer than declared|max_uncompressed_bytes"):
        unpack(build_zip([bomb]), file_format, ranges=ranges, limit=1_000_000)


def test_with_ranges_a_bomb_is_refused_before_anything_is_unpacked() -> None:
    with (
        remote_file(make_zip({"a.csv": b"1", "bomb.csv": bytes(5_000_000)})) as (file, _),
        pytest.raises(ArchiveTooLarge),
    ):
        open_archive(file, file_format="csv", file_name="x", max_uncompressed_bytes=1_000_000)


def test_overlapping_members_are_refused() -> None:
    first = RawMember(b"a.csv", ROWS)
    with pytest.raises(ArchiveCorrupt, match="overlap"):
        unpack(build_zip([first, RawMember(b"a.csv", ROWS, offset=0)]))
    quoted = build_zip([RawMember(b"b.csv", ROWS)])[: 35 + len(ROWS_DEFLATED)]
    outer = RawMember(b"a.csv", quoted, method=0)
    with pytest.raises(ArchiveCorrupt, match="overlap"):
        unpack(build_zip([outer, RawMember(b"b.csv", ROWS, offset=35)]))


def test_a_directory_that_is_too_large_is_refused() -> None:
    content = build_zip([RawMember(b"%d.csv" % number, b"", method=0) for number in range(10_001)])
    for ranges in (True, False):
        with pytest.raises(ArchiveTooLarge, match="10,001 members"):
            unpack(content, ranges=ranges)


@WITH_AND_WITHOUT_RANGES
@FORMATS
@pytest.mark.parametrize("damage", list(DAMAGED))
def test_a_damaged_archive_is_refused(damage: str, file_format: str, ranges: bool) -> None:
    with pytest.raises(ArchiveError):
        unpack(DAMAGED[damage], file_format, ranges=ranges)


def test_without_ranges_a_member_missing_from_the_directory_is_detected() -> None:
    listed, hidden = RawMember(b"a.csv", b"1"), build_zip([RawMember(b"b.csv", b"2")])
    hidden_member = hidden[: hidden.index(b"PK\x01\x02")]
    content = build_zip([RawMember(b"a.csv", b"1", descriptor=hidden_member)])
    with pytest.raises(ArchiveCorrupt, match="does not list"):
        unpack(content, ranges=False)
    assert unpack(build_zip([listed]), ranges=False) == {"a.csv": b"1"}


def test_archives_that_fail_leave_no_thread() -> None:
    for _ in range(100):
        with pytest.raises(FileError):
            unpack(DAMAGED["wrong CRC"], ranges=False)
    assert not package_threads()
