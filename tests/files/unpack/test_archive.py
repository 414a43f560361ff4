# SPDX-License-Identifier: Apache-2.0
"""What an export's file is made of, and that nothing in it does harm."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import random
import struct
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

import pytest

from airflow_provider_connectif.files.errors import (
    ArchiveCorrupt,
    ArchiveEncrypted,
    ArchiveError,
    ArchiveTooLarge,
    ArchiveUnsupported,
    FileError,
    RemoteFileChanged,
    RemoteFileDamaged,
    RemoteFileError,
)
from airflow_provider_connectif.files.unpack.archive import open_archive
from tests.files.archives import Part, handmade, streamed, zipped
from tests.files.file_server import Faults
from tests.files.remote_files import package_threads, read_members, remote_file, unpack

WITH_AND_WITHOUT_RANGES = pytest.mark.parametrize("ranges", [True, False], ids=["ranges", "no ranges"])
FORMATS = pytest.mark.parametrize("file_format", ["csv", "csv.gz"])

_RANDOM = random.Random(3)
ROWS = b"".join(b"%d,%d@example.com,purchase\r\n" % (n, _RANDOM.randrange(10**9)) for n in range(60_000))
EXPORT = {
    "export-activities-1.csv": ROWS,
    "export-activities-1-products.csv": ROWS[:5000],
    "¡Sólo cabecera!.csv": b"a,b\n",
    "empty.csv": b"",
}


def named(members: dict[str, bytes], file_format: str) -> dict[str, bytes]:
    return {name + (".gz" if file_format == "csv.gz" else ""): data for name, data in members.items()}


# What comes out


@WITH_AND_WITHOUT_RANGES
@FORMATS
@pytest.mark.parametrize(
    "made",
    [
        zipped(EXPORT),
        zipped(EXPORT, zipfile.ZIP_STORED),
        streamed(EXPORT),
        streamed(EXPORT, zip64=True),
        streamed(EXPORT, zipfile.ZIP_STORED),
        streamed(EXPORT, zipfile.ZIP_STORED, zip64=True),
    ],
    ids=["deflated", "stored", "streamed", "streamed zip64", "streamed stored", "streamed stored zip64"],
)
def test_every_member_comes_out_byte_for_byte(made: bytes, file_format: str, ranges: bool) -> None:
    assert unpack(made, file_format, ranges=ranges) == named(EXPORT, file_format)


@WITH_AND_WITHOUT_RANGES
@pytest.mark.parametrize("size", [1_000, 700_000, 5_000_000])
def test_the_sha256_of_a_file_that_is_passed_on_is_taken_while_it_is_read(ranges: bool, size: int) -> None:
    content = zipped({"a.csv": random.Random(size).randbytes(size)})
    faults = Faults(ranges=ranges, cut_after=size // 2, cuts=3)
    with remote_file(content, faults) as (file, _):
        for member in open_archive(file, file_format="archive", file_name="x"):
            assert b"".join(member.chunks()) == content
            assert member.sha256 is not None
            assert member.sha256() == hashlib.sha256(content).hexdigest()


@FORMATS
def test_the_sha256_of_what_is_unpacked_is_left_to_whoever_writes_it(file_format: str) -> None:
    with remote_file(zipped(EXPORT)) as (file, _):
        assert [member.sha256 for member in open_archive(file, file_format=file_format, file_name="x")] == [None] * 4


@WITH_AND_WITHOUT_RANGES
def test_a_deflated_member_becomes_a_gzip_file_without_being_compressed_anew(ranges: bool) -> None:
    made = zipped({"a.csv": ROWS})
    with remote_file(made, Faults(ranges=ranges)) as (file, _):
        (member,) = (b"".join(member.chunks()) for member in open_archive(file, file_format="csv.gz", file_name="x"))
    packer = zlib.compressobj(-1, zlib.DEFLATED, -15)
    assert member[10:-8] == packer.compress(ROWS) + packer.flush()
    assert member[-8:] == struct.pack("<LL", zlib.crc32(ROWS), len(ROWS))


@WITH_AND_WITHOUT_RANGES
@pytest.mark.parametrize(
    ("made", "name"),
    [(zipped(EXPORT), "Ventas!.zip"), (ROWS, "Ventas!.csv"), (gzip.compress(ROWS), "Ventas!.csv.gz")],
    ids=["zip", "csv", "gzip"],
)
def test_as_an_archive_the_file_passes_byte_for_byte(made: bytes, name: str, ranges: bool) -> None:
    with remote_file(made, Faults(ranges=ranges)) as (file, _):
        members = list_of(file, "archive")
    assert members == [(name, made)]


def list_of(file: object, file_format: str) -> list[tuple[str, bytes]]:
    archive = open_archive(file, file_format=file_format, file_name="Ventas!")  # type: ignore[arg-type]
    return [(member.name, b"".join(member.chunks())) for member in archive]


@WITH_AND_WITHOUT_RANGES
@FORMATS
@pytest.mark.parametrize("text", [ROWS, b"a,b\n", b"\xef\xbb\xbfa;b\n", "año\n".encode("latin-1"), b"PK;b\n"])
def test_a_plain_csv_in_place_of_an_archive_comes_out(text: bytes, file_format: str, ranges: bool) -> None:
    assert unpack(text, file_format, ranges=ranges) == named({"export.csv": text}, file_format)


@WITH_AND_WITHOUT_RANGES
@FORMATS
def test_a_gzip_file_in_place_of_an_archive_comes_out(file_format: str, ranges: bool) -> None:
    made = gzip.compress(ROWS) + gzip.compress(b"more,rows\n")
    found = unpack(made, file_format, ranges=ranges)
    assert found == named({"export.csv": ROWS + b"more,rows\n"}, file_format)


@WITH_AND_WITHOUT_RANGES
def test_an_archive_without_members_has_none(ranges: bool) -> None:
    assert unpack(zipped({}), ranges=ranges) == {}


@WITH_AND_WITHOUT_RANGES
def test_folders_are_no_members(ranges: bool) -> None:
    assert unpack(zipped({"f/": b"", "f/a.csv": b"1", "g/": b""}), ranges=ranges) == {"a.csv": b"1"}


@WITH_AND_WITHOUT_RANGES
def test_a_folder_with_content_is_refused(ranges: bool) -> None:
    with pytest.raises(ArchiveCorrupt, match="folder 'f/' has content"):
        unpack(zipped({"f/": b"hidden"}), ranges=ranges)


@WITH_AND_WITHOUT_RANGES
@pytest.mark.parametrize("comment", [b"made by somebody", b"x" * 65_535, b"PK\x05\x06" + bytes(18), b"PK\x05\x06"])
def test_a_comment_at_the_end_does_no_harm(comment: bytes, ranges: bool) -> None:
    assert unpack(zipped({"a.csv": b"1,2"}, comment=comment), ranges=ranges) == {"a.csv": b"1,2"}


@pytest.mark.parametrize("prefix", [b"MZ\x90\x00 a program", b"#!/bin/sh\nunzip $0\n"], ids=["binary", "text"])
def test_something_before_the_archive_does_no_harm(prefix: bytes) -> None:
    made = prefix + zipped(EXPORT)
    assert unpack(made) == EXPORT


def test_without_ranges_an_archive_behind_text_is_not_taken_for_a_csv() -> None:
    assert unpack(b"#!/bin/sh\n" + zipped(EXPORT), ranges=False) == EXPORT
    with pytest.raises(ArchiveUnsupported, match="an archive after other text"):
        unpack(b"#!/bin/sh\n" * 500 + zipped(EXPORT), ranges=False)


@WITH_AND_WITHOUT_RANGES
def test_names_are_safe_and_distinct(ranges: bool) -> None:
    members = {
        "a/x.csv": b"1",
        "b/x.csv": b"2",
        "X.csv": b"3",
        "../../../etc/cron.d/x": b"4",
        "_connectif_manifest.json": b"5",
        "C:\\y.csv": b"6",
    }
    assert unpack(zipped(members), ranges=ranges) == {
        "x.csv": b"1",
        "x-2.csv": b"2",
        "X-3.csv": b"3",
        "x-4.csv": b"4",
        "connectif_manifest.json.csv": b"5",
        "y.csv": b"6",
    }


@WITH_AND_WITHOUT_RANGES
@pytest.mark.parametrize(
    ("part", "name"),
    [
        (Part("año.csv".encode(), b"1", flags=1 << 11), "año.csv"),
        (Part("año.csv".encode(), b"1"), "año.csv"),
        (Part("año.csv".encode("cp437"), b"1"), "año.csv"),
        (
            Part(
                b"a_o.csv",
                b"1",
                extra=struct.pack("<HHBL", 0x7075, 5 + 8, 1, zlib.crc32(b"a_o.csv")) + "año.csv".encode(),
            ),
            "año.csv",
        ),
    ],
    ids=["flagged UTF-8", "UTF-8 without a flag", "cp437", "Unicode path"],
)
def test_names_are_read_in_the_encodings_that_writers_use(part: Part, name: str, ranges: bool) -> None:
    assert unpack(handmade([part]), ranges=ranges) == {name: b"1"}


_CRC = zlib.crc32(ROWS)
_PACKER = zlib.compressobj(6, zlib.DEFLATED, -15)
_PACKED = _PACKER.compress(ROWS) + _PACKER.flush()


@WITH_AND_WITHOUT_RANGES
@pytest.mark.parametrize("signature", [b"PK\x07\x08", b""], ids=["signed", "unsigned"])
@pytest.mark.parametrize("layout", ["<LLL", "<LQQ"], ids=["narrow", "wide"])
def test_every_kind_of_data_descriptor_is_read(signature: bytes, layout: str, ranges: bool) -> None:
    part = Part(
        b"a.csv",
        ROWS,
        flags=8,
        descriptor=signature + struct.pack(layout, _CRC, len(_PACKED), len(ROWS)),
        local={"crc": 0, "packed": 0, "size": 0},
    )
    assert unpack(handmade([part, part]), ranges=ranges) == {"a.csv": ROWS, "a-2.csv": ROWS}


def test_sizes_and_names_are_known_before_anything_is_read() -> None:
    with remote_file(streamed(EXPORT)) as (file, _):
        archive = open_archive(file, file_format="csv", file_name="x")
        assert archive.size == sum(map(len, EXPORT.values()))
        assert [(member.name, member.source_name, member.size) for member in archive] == [
            (name, name, len(data)) for name, data in EXPORT.items()
        ]


def test_what_is_left_unread_of_a_member_is_checked_all_the_same() -> None:
    good = zipped(EXPORT)
    damaged = bytearray(good)
    damaged[good.index(b"PK\x03\x04", 10) - 9] ^= 0xFF
    for made in (good, bytes(damaged)):
        with remote_file(made) as (file, _):
            archive = iter(open_archive(file, file_format="csv", file_name="x"))
            next(next(archive).chunks())
            if made is good:
                assert b"".join(next(archive).chunks()) == ROWS[:5000]
            else:
                with pytest.raises(ArchiveCorrupt):
                    next(archive)


def test_a_member_is_read_once() -> None:
    with remote_file(zipped(EXPORT)) as (file, _):
        members = iter(open_archive(file, file_format="csv", file_name="x"))
        member = next(members)
        list(member.chunks())
        with pytest.raises(ValueError, match="already read"):
            member.chunks()


# What is refused


@WITH_AND_WITHOUT_RANGES
@FORMATS
@pytest.mark.parametrize("flag", [1, 1 << 6 | 1])
def test_an_encrypted_member_is_refused(flag: int, file_format: str, ranges: bool) -> None:
    with pytest.raises(ArchiveEncrypted, match=r"'secret\.csv' .* is encrypted"):
        unpack(handmade([Part(b"secret.csv", b"1", flags=flag)]), file_format, ranges=ranges)


@WITH_AND_WITHOUT_RANGES
@pytest.mark.parametrize(("method", "words"), [(12, "bzip2"), (14, "LZMA"), (93, "Zstandard"), (77, "number 77")])
def test_another_compression_method_is_refused_with_its_name(method: int, words: str, ranges: bool) -> None:
    with pytest.raises(ArchiveUnsupported, match=words):
        unpack(handmade([Part(b"a.csv", b"1", method=method)]), ranges=ranges)


def test_what_is_refused_unpacked_can_be_stored_as_an_archive() -> None:
    made = handmade([Part(b"secret.csv", b"1", flags=1), Part(b"b.csv", b"1", method=12)])
    assert unpack(made, "archive") == {"export.zip": made}


@WITH_AND_WITHOUT_RANGES
@FORMATS
def test_a_bomb_stops_at_the_limit(file_format: str, ranges: bool) -> None:
    bomb = zipped({"bomb.csv": bytes(50_000_000)})
    with pytest.raises(ArchiveTooLarge, match="max_uncompressed_bytes allows 1,000,000"):
        unpack(bomb, file_format, ranges=ranges, limit=1_000_000)
    assert unpack(zipped({"a.csv": b"x" * 1000}), file_format, ranges=ranges, limit=1000)


@WITH_AND_WITHOUT_RANGES
@FORMATS
@pytest.mark.parametrize("streaming", [True, False])
def test_a_bomb_that_says_it_is_small_stops_as_well(streaming: bool, file_format: str, ranges: bool) -> None:
    fields = {"crc": 0, "packed": 0, "size": 0} if streaming else None
    bomb = Part(b"bomb.csv", bytes(50_000_000), size=10, flags=8 if streaming else 0, local=fields)
    with pytest.raises(ArchiveError, match=r"longer than declared|max_uncompressed_bytes"):
        unpack(handmade([bomb]), file_format, ranges=ranges, limit=1_000_000)


def test_with_ranges_a_bomb_is_refused_before_anything_comes_out() -> None:
    with (
        remote_file(zipped({"a.csv": b"1", "bomb.csv": bytes(5_000_000)})) as (file, _),
        pytest.raises(ArchiveTooLarge),
    ):
        open_archive(file, file_format="csv", file_name="x", max_uncompressed_bytes=1_000_000)


@WITH_AND_WITHOUT_RANGES
@pytest.mark.parametrize("made", [b"x,y\n" * 1000, gzip.compress(b"x,y\n" * 1000)], ids=["csv", "gzip"])
def test_the_limit_holds_for_files_that_are_no_archives(made: bytes, ranges: bool) -> None:
    with pytest.raises(ArchiveTooLarge):
        unpack(made, ranges=ranges, limit=3999)
    assert unpack(made, ranges=ranges, limit=4000)


def test_overlapping_members_are_refused() -> None:
    first = Part(b"a.csv", ROWS)
    with pytest.raises(ArchiveCorrupt, match="overlap"):
        unpack(handmade([first, Part(b"a.csv", ROWS, offset=0)]))
    quoted = handmade([Part(b"b.csv", ROWS)])[: 35 + len(_PACKED)]
    outer = Part(b"a.csv", quoted, method=0)
    with pytest.raises(ArchiveCorrupt, match="overlap"):
        unpack(handmade([outer, Part(b"b.csv", ROWS, offset=35)]))


def test_a_directory_that_is_too_large_is_refused() -> None:
    made = handmade([Part(b"%d.csv" % number, b"", method=0) for number in range(10_001)])
    for ranges in (True, False):
        with pytest.raises(ArchiveTooLarge, match="10,001 members"):
            unpack(made, ranges=ranges)


@WITH_AND_WITHOUT_RANGES
@FORMATS
@pytest.mark.parametrize(
    ("made", "words"),
    [
        (b"", "empty"),
        (gzip.compress(b""), "empty"),
        (b"<!DOCTYPE html><html>Sign in</html>", "web page"),
        (b'\n<?xml version="1.0"?><Error>Expired</Error>', "web page or an XML"),
        (b"7z\xbc\xaf\x27\x1c\x00\x04rest", "not a ZIP archive, a CSV or a gzip file"),
        (gzip.compress(zipped({"a.csv": b"1"})), "not a ZIP archive"),
        (gzip.compress(ROWS)[:-4], "truncated gzip file"),
        (gzip.compress(ROWS)[:-8] + bytes(8), "damaged"),
        (gzip.compress(ROWS) + b"something else", "damaged"),
    ],
    # Fixed ids: archives contain the time, and processes that share the tests compare their ids.
    ids=["nothing", "empty gzip", "page", "XML", "7z", "gzip of a ZIP", "cut gzip", "CRC", "more behind a gzip"],
)
def test_what_is_no_export_is_refused(made: bytes, words: str, file_format: str, ranges: bool) -> None:
    with pytest.raises(ArchiveError, match=words):
        unpack(made, file_format, ranges=ranges)


def test_a_csv_whose_end_cannot_be_told_from_a_cut_is_refused() -> None:
    with pytest.raises(RemoteFileError, match="an incomplete download would not be detected"):
        unpack(ROWS, faults=Faults(ranges=False, close_delimited=True))
    assert unpack(zipped(EXPORT), faults=Faults(ranges=False, close_delimited=True)) == EXPORT


def _deflated_plainly(data: bytes) -> bytes:
    """A deflate stream of stored blocks alone: as long as the data, and five bytes for each block."""
    pieces = [data[at : at + 65_535] for at in range(0, len(data), 65_535)]
    return b"".join(
        struct.pack("<BHH", piece is pieces[-1], len(piece), len(piece) ^ 0xFFFF) + piece for piece in pieces
    )


_DAMAGE: dict[str, bytes] = {
    "wrong CRC": handmade([Part(b"a.csv", ROWS, crc=1)]),
    "wrong CRC, stored": handmade([Part(b"a.csv", ROWS, crc=1, method=0)]),
    "too short": handmade([Part(b"a.csv", ROWS, size=len(ROWS) + 1)]),
    "too long": handmade([Part(b"a.csv", ROWS, size=len(ROWS) - 1)]),
    "data behind the deflate stream": handmade([Part(b"a.csv", ROWS, packed=_PACKED + b"more")]),
    "much data behind the deflate stream": handmade([Part(b"a.csv", ROWS, packed=_PACKED + bytes(600_000))]),
    # They end where a block that is read ends (with ranges the first one has the member's header too), so that nothing
    # of what is behind them comes along.
    **{
        f"data behind a deflate stream of {length} bytes": handmade(
            [Part(b"a.csv", ROWS[: length - 20], packed=_deflated_plainly(ROWS[: length - 20]) + b"more")]
        )
        for length in (262_144, 262_144 - 35)
    },
    "deflate stream cut": handmade([Part(b"a.csv", ROWS, packed=_PACKED[:-3])]),
    "no deflate stream": handmade([Part(b"a.csv", ROWS, packed=b"\xff" * 100)]),
    "other name in front": handmade([Part(b"a.csv", b"1", local={"name": b"b.csv"})]),
    "other method in front": handmade([Part(b"a.csv", b"1", local={"method": 0})]),
    "other CRC in front": handmade([Part(b"a.csv", b"1", local={"crc": 7})]),
    "members missing": handmade([Part(b"a.csv", b"1")], entries=2),
    "end cut": zipped(EXPORT)[:-1],
    "end missing": zipped(EXPORT)[:-22],
    "half": zipped(EXPORT)[: len(zipped(EXPORT)) // 2],
    "rubbish behind": zipped(EXPORT) + b"rubbish",
    "header missing": handmade([Part(b"a.csv", b"1")]).replace(b"PK\x03\x04", b"PK\x03\x00"),
}


@WITH_AND_WITHOUT_RANGES
@FORMATS
@pytest.mark.parametrize("damage", list(_DAMAGE))
def test_a_damaged_archive_is_refused(damage: str, file_format: str, ranges: bool) -> None:
    with pytest.raises(ArchiveError):
        unpack(_DAMAGE[damage], file_format, ranges=ranges)


@WITH_AND_WITHOUT_RANGES
@pytest.mark.parametrize("damage", ["end cut", "end missing", "half", "rubbish behind", "members missing"])
def test_as_an_archive_a_damaged_directory_is_noticed_too(damage: str, ranges: bool) -> None:
    with pytest.raises(ArchiveCorrupt):
        unpack(_DAMAGE[damage], "archive", ranges=ranges)


def test_without_ranges_a_member_that_the_directory_does_not_list_is_noticed() -> None:
    listed, hidden = Part(b"a.csv", b"1"), handmade([Part(b"b.csv", b"2")])
    hidden_member = hidden[: hidden.index(b"PK\x01\x02")]
    made = handmade([Part(b"a.csv", b"1", descriptor=hidden_member)])
    with pytest.raises(ArchiveCorrupt, match="does not list"):
        unpack(made, ranges=False)
    assert unpack(handmade([listed]), ranges=False) == {"a.csv": b"1"}


# Checksums of the store


def _sums(content: bytes, **changed: str) -> dict[str, dict[str, str]]:
    def b64(digest: bytes) -> str:
        return base64.b64encode(digest).decode()

    return {
        "Content-MD5": {"Content-MD5": b64(hashlib.md5(content).digest())},
        "x-goog-hash": {"x-goog-hash": f"crc32c=AAAAAA==,md5={b64(hashlib.md5(content).digest())}"},
        "Azure": {"x-ms-blob-content-md5": b64(hashlib.md5(content).digest())},
        "x-amz sha256": {"x-amz-checksum-sha256": b64(hashlib.sha256(content).digest())},
        "x-amz crc32": {"x-amz-checksum-crc32": b64(zlib.crc32(content).to_bytes(4, "big"))},
        "S3 ETag": {"Server": "AmazonS3", "ETag": f'"{hashlib.md5(content).hexdigest()}"'},
    }


@pytest.mark.parametrize("kind", list(_sums(b"")))
def test_as_an_archive_the_file_must_have_the_checksum_that_the_store_tells(kind: str) -> None:
    made = zipped(EXPORT)
    right, wrong = (_sums(content)[kind] for content in (made, made + b"x"))
    assert unpack(made, "archive", faults=Faults(ranges=False, etag=False, headers=right)) == {"export.zip": made}
    with pytest.raises(RemoteFileDamaged):
        unpack(made, "archive", faults=Faults(ranges=False, etag=False, headers=wrong))


@pytest.mark.parametrize(
    "headers",
    [
        {"Server": "MinIO", "ETag": '"' + "0" * 32 + '"'},
        {"Server": "AmazonS3", "ETag": '"' + "0" * 32 + '-2"'},
        {"Server": "AmazonS3", "ETag": '"' + "0" * 32 + '"', "x-amz-server-side-encryption": "aws:kms"},
        {"x-amz-checksum-sha256": "AAAA-2"},
        {"x-amz-checksum-crc32": "AAAAAA==", "x-amz-checksum-type": "COMPOSITE"},
        {"Content-MD5": "no base64"},
    ],
    ids=repr,
)
def test_what_is_no_checksum_of_the_file_is_not_taken_for_one(headers: dict[str, str]) -> None:
    made = zipped(EXPORT)
    assert unpack(made, "archive", faults=Faults(ranges=False, etag=False, headers=headers)) == {"export.zip": made}


def test_a_checksum_of_a_part_is_not_taken_for_the_files() -> None:
    made = zipped(EXPORT)
    headers = {"Content-MD5": base64.b64encode(bytes(16)).decode(), "x-amz-checksum-crc32": "AAAAAA=="}
    assert unpack(made, "archive", faults=Faults(headers=headers)) == {"export.zip": made}


# On a store that misbehaves


@FORMATS
@pytest.mark.parametrize(
    "faults",
    [
        Faults(cut_after=300_000, cuts=50),
        Faults(cut_after=300_000, cuts=50, reset=True),
        Faults(ranges=False, cut_after=500_000, cuts=3),
        Faults(ranges=False, chunked=True, cut_after=500_000, cuts=3),
        Faults(statuses=[0, 503, 0, 500, 0, 403]),
        Faults(url_requests=2, cut_after=200_000),
    ],
    ids=repr,
)
def test_members_come_out_whole_through_a_stores_faults(faults: Faults, file_format: str) -> None:
    members = {"a.csv": ROWS, "b.csv": ROWS[::-1]}
    assert unpack(streamed(members), file_format, faults=faults) == named(members, file_format)


@FORMATS
@WITH_AND_WITHOUT_RANGES
def test_a_file_that_changes_half_way_never_comes_out_mixed(file_format: str, ranges: bool) -> None:
    one, other = streamed({"a.csv": ROWS}), streamed({"a.csv": ROWS[::-1]})
    faults = Faults(ranges=ranges, cut_after=200_000, cuts=1)
    with remote_file(one, faults) as (file, store):
        faults.on_request = lambda number: setattr(store, "content", other) if faults.cuts == 0 else None
        with pytest.raises(RemoteFileChanged):
            read_members(file, file_format)


def test_giving_up_in_the_middle_leaves_no_thread() -> None:
    for ranges in (True, False):
        with remote_file(zipped({"a.csv": ROWS * 10}, zipfile.ZIP_STORED), Faults(ranges=ranges)) as (file, _):
            members = iter(open_archive(file, file_format="csv", file_name="x"))
            kept = next(members).chunks()
            next(kept)
            assert package_threads()
        assert not package_threads()
        with pytest.raises(ValueError, match="closed before its end"):
            list(kept)


@FORMATS
def test_a_member_that_is_closed_half_way_does_not_look_as_if_it_were_over(file_format: str) -> None:
    with remote_file(zipped({"a.csv": ROWS[:400_000]}, zipfile.ZIP_STORED)) as (file, _):
        members = iter(open_archive(file, file_format=file_format, file_name="x"))
        kept = next(members).chunks()
        next(kept)
        members.close()  # type: ignore[attr-defined]
        with pytest.raises(ValueError, match="The member was closed before its end"):
            list(kept)


@pytest.mark.parametrize("size", [1000, 5_000_000])
def test_a_member_whose_archive_was_dropped_does_not_look_as_if_it_were_over(size: int) -> None:
    with remote_file(zipped({"a.csv": bytes(size)})) as (file, _):
        dropped = next(iter(open_archive(file, file_format="csv", file_name="x")))
        with pytest.raises(ValueError, match="closed"):
            list(dropped.chunks())


def test_archives_that_fail_leave_no_thread() -> None:
    for _ in range(100):
        with pytest.raises(FileError):
            unpack(_DAMAGE["wrong CRC"], ranges=False)
    assert not package_threads()


_MEMORY = """
import resource, sys
from airflow_provider_connectif.files.unpack.archive import open_archive
from airflow_provider_connectif.files.download.remote_file import RemoteFile
address, file_format, wanted = sys.argv[1:]
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
total = 0
with RemoteFile(lambda: address) as file:
    for member in open_archive(file, file_format=file_format, file_name="x"):
        for chunk in member.chunks():
            total += len(chunk)
assert total == int(wanted) or file_format == "csv.gz", total
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@WITH_AND_WITHOUT_RANGES
@pytest.mark.parametrize("file_format", ["csv", "csv.gz", "archive"])
def test_memory_does_not_grow_with_the_file(file_format: str, ranges: bool) -> None:
    made = zipped({"a.csv": ROWS * 60}, zipfile.ZIP_STORED) if file_format != "csv.gz" else streamed({"a": ROWS * 60})
    wanted = len(made) if file_format == "archive" else len(ROWS) * 60
    assert wanted > 100_000_000
    with remote_file(made, Faults(ranges=ranges)) as (_, store):
        ran = subprocess.run(
            [sys.executable, "-c", _MEMORY, store.renew(), file_format, str(wanted)],
            capture_output=True,
            text=True,
            check=False,
            cwd=Path(__file__).parents[3],
        )
    assert ran.returncode == 0, ran.stderr
    assert int(ran.stdout) < 50_000, "KiB above what the imports took"


def test_a_pipe_of_this_test_knows_no_way_back() -> None:
    assert struct.unpack_from("<H", streamed({"a": b"1"}), 6)[0] & 8
    assert zipfile.ZipFile(io.BytesIO(streamed(EXPORT))).testzip() is None
