# SPDX-License-Identifier: Apache-2.0
"""Gzip files as exports and within archives, and compressed output that depends on the content only."""

from __future__ import annotations

import gzip
import hashlib
import random
import zipfile
import zlib

import pytest

from airflow_provider_connectif.files.deflate import GZIP_HEADER
from airflow_provider_connectif.files.errors import ArchiveCorrupt, ArchiveTooLarge
from airflow_provider_connectif.files.unpack.archive import open_archive
from tests.files.archives import RawMember, build_zip, make_zip, stream_zip
from tests.files.file_server import Faults
from tests.files.remote_files import WITH_AND_WITHOUT_RANGES, remote_file, unpack

TEXT = b"id,email\r\n" + b"".join(b"%d,%d@example.com\r\n" % (n, n * n % 9973) for n in range(30_000))


def with_header(flags: int, *fields: bytes) -> bytes:
    """Return a gzip file whose header has these fields, and a time."""
    compressor = zlib.compressobj(6, zlib.DEFLATED, -15)
    data = compressor.compress(TEXT) + compressor.flush()
    header = b"\x1f\x8b\x08" + bytes([flags]) + b"\x01\x02\x03\x04\x00\x03" + b"".join(fields)
    return header + data + zlib.crc32(TEXT).to_bytes(4, "little") + len(TEXT).to_bytes(4, "little")


HEADERS = {
    "name": with_header(8, b"/tmp/job-4711.csv\0"),
    "long name": with_header(8, b"x" * 10_000 + b"\0"),
    "comment": with_header(16, b"made by \xff\0"),
    "everything": with_header(31, b"\x05\x00extra", b"name\0", b"comment\0", b"\x12\x34"),
    "nothing": with_header(0),
}


def store(content: bytes, faults: Faults) -> dict[str, bytes]:
    with remote_file(content, faults) as (file, _):
        archive = open_archive(file, file_format="csv.gz", file_name="export")
        return {member.name: b"".join(member.chunks()) for member in archive}


@WITH_AND_WITHOUT_RANGES
@pytest.mark.parametrize("header", list(HEADERS))
def test_the_header_of_a_gzip_file_is_not_passed_on(header: str, ranges: bool) -> None:
    (stored,) = store(HEADERS[header], Faults(ranges=ranges)).values()
    assert stored.startswith(GZIP_HEADER)
    assert stored[10:] == HEADERS["nothing"][10:]
    assert gzip.decompress(stored) == TEXT


@pytest.mark.parametrize("header", list(HEADERS))
@pytest.mark.parametrize("length", [3, 9, 11, 14, 25])
def test_a_gzip_file_that_ends_within_its_header_is_refused(header: str, length: int) -> None:
    for file_format in ("csv", "csv.gz"):
        with pytest.raises(ArchiveCorrupt, match="truncated gzip file"):
            unpack(HEADERS[header][:length], file_format)


KINDS = {
    "deflated": make_zip({"a.csv": TEXT, "b.csv": TEXT[:70_000]}),
    "stored": make_zip({"a.csv": TEXT, "b.csv": TEXT[:70_000]}, zipfile.ZIP_STORED),
    "streamed": stream_zip({"a.csv": TEXT}),
    "streamed stored": stream_zip({"a.csv": TEXT}, zipfile.ZIP_STORED),
    "gzip in an archive": make_zip({"a.csv.gz": HEADERS["everything"]}),
    "stored gzip in an archive": make_zip({"a.csv.gz": HEADERS["name"]}, zipfile.ZIP_STORED),
    "plain text named gzip": make_zip({"a.csv.gz": TEXT}),
    "csv": TEXT,
    "gzip": HEADERS["name"],
    "two gzip members": HEADERS["name"] + HEADERS["everything"],
}


@pytest.mark.parametrize("kind", list(KINDS))
def test_the_bytes_do_not_depend_on_where_the_network_cuts(kind: str) -> None:
    chance = random.Random(kind)
    content = KINDS[kind]
    found = set()
    for _ in range(50):
        faults = Faults(
            ranges=chance.random() < 0.5,
            chunked=chance.random() < 0.3,
            cut_after=chance.randrange(1000, max(2000, len(content))),
            cuts=chance.randrange(4),
            block=chance.randrange(1000, 300_000),
        )
        stored = store(content, faults)
        found.add(tuple((name, hashlib.sha256(data).hexdigest()) for name, data in stored.items()))
    assert len(found) == 1
    assert all(gzip.decompress(data).startswith(TEXT[:70_000]) for data in stored.values())


@WITH_AND_WITHOUT_RANGES
def test_a_gzip_file_in_an_archive_is_unpacked_once_and_not_compressed_twice(ranges: bool) -> None:
    content = make_zip({"x/a.csv.gz": HEADERS["name"], "b.GZ": HEADERS["comment"], "c.csv": b"1,2\n"})
    assert unpack(content, "csv", ranges=ranges) == {"a.csv": TEXT, "b.csv": TEXT, "c.csv": b"1,2\n"}
    assert unpack(content, "csv.gz", ranges=ranges) == {"a.csv.gz": TEXT, "b.csv.gz": TEXT, "c.csv.gz": b"1,2\n"}


def test_a_damaged_gzip_file_in_an_archive_is_refused() -> None:
    damaged = {
        "truncated": HEADERS["name"][:-9],
        "CRC": HEADERS["name"][:-8] + bytes(8),
        "data after it": HEADERS["name"] + b"more",
    }
    for data in damaged.values():
        for file_format in ("csv", "csv.gz"):
            with pytest.raises(ArchiveCorrupt, match=r"'a\.csv\.gz' of the export's archive is"):
                unpack(make_zip({"a.csv.gz": data}), file_format)


@pytest.mark.parametrize("file_format", ["csv", "csv.gz"])
def test_the_limit_applies_to_the_content_of_a_gzip_file_in_an_archive(file_format: str) -> None:
    bomb = gzip.compress(bytes(5_000_000))
    with pytest.raises(ArchiveTooLarge):
        unpack(build_zip([RawMember(b"a.csv.gz", bomb)]), file_format, limit=1_000_000)
