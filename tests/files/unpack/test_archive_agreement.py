# SPDX-License-Identifier: Apache-2.0
"""What is unpacked does not depend on whether the store supports ranges: the same files, or both ways refuse.

``CONNECTIF_FUZZ_CASES`` is the number of archives.
"""

from __future__ import annotations

import gzip
import os
import random
import struct
import zlib

import pytest

from airflow_provider_connectif.files.download.remote_file import RemoteFile
from airflow_provider_connectif.files.errors import ArchiveError, ArchiveTooLarge, FileError
from airflow_provider_connectif.files.unpack.archive import open_archive
from tests.files.archives import RawMember, build_zip, make_zip, stream_zip
from tests.files.file_server import Faults, serve_file
from tests.files.remote_files import FAST_RETRIES, unpack
from tests.files.unpack.test_archive_properties import _mutated

CASES = int(os.environ.get("CONNECTIF_FUZZ_CASES", "300"))

_NAMES = [
    b"a.csv",
    b"b.csv",
    b"A.CSV",
    b"x/",
    b"__MACOSX/._a.csv",
    b"d/.DS_Store",
    b"c.csv.gz",
    b"\x82.csv",
    "ñ.csv".encode(),
]
LISTED = build_zip([RawMember(b"a.csv", b"1")])
HIDDEN = build_zip([RawMember(b"b.csv", b"2")])
HIDDEN_MEMBER = HIDDEN[: HIDDEN.index(b"PK\x01\x02")]


def _descriptor(chance: random.Random, data: bytes, compressed: int) -> bytes:
    signature = chance.choice((b"PK\x07\x08", b""))
    return signature + struct.pack(chance.choice(("<LLL", "<LQQ")), zlib.crc32(data), compressed, len(data))


def _deflated(data: bytes) -> bytes:
    compressor = zlib.compressobj(6, zlib.DEFLATED, -15)
    return compressor.compress(data) + compressor.flush()


def _member(chance: random.Random) -> RawMember:
    name = chance.choice(_NAMES)
    data = b"" if name.endswith(b"/") and chance.random() < 0.8 else chance.randbytes(chance.choice((0, 1, 50, 3000)))
    if name.endswith(b".gz") and chance.random() < 0.7:
        data = gzip.compress(data, mtime=chance.randrange(1000))
    method = chance.choice((0, 8, 8))
    member = RawMember(name, data, method=method)
    size = len(data) if method == 0 else len(_deflated(data))
    if chance.random() < 0.4:
        member.flags = 8
        member.descriptor = _descriptor(chance, data, size)
        known = {"crc": zlib.crc32(data), "compressed": size, "size": len(data)}
        member.local = chance.choice(({"crc": 0, "compressed": 0, "size": 0}, known, known | {"compressed": size + 1}))
    elif chance.random() < 0.1:
        member.local = {chance.choice(("crc", "flags", "method", "size")): chance.randrange(3)}
    if chance.random() < 0.1:  # a gap, a member that the directory does not list, or a missing descriptor
        member.descriptor = (member.descriptor or b"") + chance.choice((bytes(5), b"rubbish", HIDDEN_MEMBER))
    if chance.random() < 0.1:  # another name, according to an extra field
        member.extra = struct.pack("<HHBL", 0x7075, 10, 1, zlib.crc32(name)) + b"n.csv"
        member.local = (member.local or {}) | chance.choice(({}, {"extra": b""}))
    if chance.random() < 0.05:
        member.flags |= 1
    return member


def make_archive(chance: random.Random) -> bytes:
    """Return a ZIP archive that is valid, unusual or contradictory."""
    members = [_member(chance) for _ in range(chance.randrange(4))]
    inner = chance.choice((LISTED, make_zip({"i.csv": b"inner"}), b"PK\x05\x06" + bytes(18), chance.randbytes(30)))
    comment = chance.choice((b"", b"", b"a comment", inner, inner + b"x"))
    prefix = chance.choice((b"", b"", b"", b"", b"#!/bin/sh\n", bytes(7), LISTED, HIDDEN_MEMBER, b"text\n" * 2000))
    if chance.random() < 0.1:
        members.append(RawMember(b"i.csv", inner, method=0))
    entries = len(members) + chance.choice((0,) * 20 + (1, -1))
    content = build_zip(members, comment=comment, prefix=prefix, entries=max(0, entries))
    if chance.random() < 0.1:  # a digital signature at the end of the directory
        end = content.rindex(b"PK\x05\x06")
        content = content[:end] + b"PK\x05\x05\x02\x00ab" + content[end:]
    if chance.random() < 0.05:
        content = content[: chance.randrange(len(content) + 1)]
    return content


@pytest.mark.parametrize("file_format", ["csv", "csv.gz", "archive"])
@pytest.mark.parametrize("mutated", [False, True], ids=["generated", "mutated"])
def test_reading_with_and_without_ranges_agrees(file_format: str, mutated: bool) -> None:
    chance = random.Random(os.environ.get("CONNECTIF_FUZZ_SEED", f"{file_format} {mutated}"))
    accepted = 0
    with serve_file(b"", Faults()) as ranged, serve_file(b"", Faults(ranges=False)) as unranged:
        for _ in range(CASES):
            content = make_archive(chance)
            if mutated:
                content = _mutated(chance, content or b"P")
            results: list[dict[str, bytes] | None] = []
            for server in (ranged, unranged):
                server.content = content
                results.append(_read(RemoteFile(server.renew, policy=FAST_RETRIES), file_format))
            assert results[0] == results[1], f"different files of {content!r}: {results}"
            accepted += results[0] is not None
    assert CASES // 20 < accepted < CASES


def _read(remote: RemoteFile, file_format: str) -> dict[str, bytes] | None:
    with remote:
        try:
            archive = open_archive(remote, file_format=file_format, file_name="x")  # type: ignore[arg-type]
            return {member.name: b"".join(member.chunks()) for member in archive}
        except FileError:
            return None


AMBIGUOUS = {
    "a gap between members": build_zip([RawMember(b"a.csv", b"1", descriptor=b"gap"), RawMember(b"b.csv", b"2")]),
    "a gap before the directory": build_zip([RawMember(b"a.csv", b"1", descriptor=bytes(100))]),
    "a gap of 9 MB": build_zip([RawMember(b"a.csv", b"1", descriptor=bytes(9 << 20)), RawMember(b"b.csv", b"2")]),
    "a member that is not listed": build_zip([RawMember(b"a.csv", b"1", descriptor=HIDDEN_MEMBER)]),
    "an archive before an archive": HIDDEN + LISTED,
    "an archive in the comment": make_zip({"a.csv": b"1"}, comment=HIDDEN),
}


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("file_format", ["csv", "csv.gz"])
@pytest.mark.parametrize("content", AMBIGUOUS.values(), ids=list(AMBIGUOUS))
def test_an_archive_that_could_be_read_in_two_ways_is_refused(content: bytes, file_format: str, ranges: bool) -> None:
    with pytest.raises(ArchiveError) as caught:
        unpack(content, file_format, ranges=ranges)
    assert caught.value.final


@pytest.mark.parametrize("ranges", [True, False])
def test_the_number_of_members_is_limited_only_where_they_are_unpacked(ranges: bool) -> None:
    content = build_zip([RawMember(b"%d.csv" % number, b"", method=0) for number in range(10_001)])
    assert unpack(content, "archive", ranges=ranges) == {"export.zip": content}
    with pytest.raises(ArchiveTooLarge, match="10,001 members"):
        unpack(content, "csv", ranges=ranges)


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("make", [make_zip, stream_zip])
def test_files_that_are_not_data_are_left_out(make: object, ranges: bool, caplog: pytest.LogCaptureFixture) -> None:
    junk = ["__MACOSX/._a.csv", "x/.DS_Store", "._b.csv", "Thumbs.db", "x\\desktop.ini"]
    content = make({"a.csv": b"1,2\n"} | dict.fromkeys(junk, b"junk") | {"b.csv": b"3,4\n"})  # type: ignore[operator]
    with (
        serve_file(content, Faults(ranges=ranges)) as server,
        RemoteFile(server.renew) as remote,
        caplog.at_level("INFO"),
    ):
        archive = open_archive(remote, file_format="csv", file_name="x")
        assert {member.name: b"".join(member.chunks()) for member in archive} == {"a.csv": b"1,2\n", "b.csv": b"3,4\n"}
    assert archive.skipped == junk
    assert all(repr(name) in caplog.text for name in junk)
