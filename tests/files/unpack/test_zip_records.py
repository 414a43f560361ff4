# SPDX-License-Identifier: Apache-2.0
"""Names, flags, descriptors and end records of ZIP archives by different writers."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib

import pytest

from airflow_provider_connectif.files.errors import (
    ArchiveEncrypted,
    ArchiveUnsupported,
)
from tests.files.archives import (
    EXPORT,
    ROWS,
    ROWS_CRC,
    ROWS_DEFLATED,
    RawMember,
    build_zip,
    make_zip,
    stream_zip,
)
from tests.files.remote_files import (
    FORMATS,
    WITH_AND_WITHOUT_RANGES,
    unpack,
)


@WITH_AND_WITHOUT_RANGES
@pytest.mark.parametrize("comment", [b"a comment", b"x" * 65_535, b"PK\x05\x06" + bytes(18), b"PK\x05\x06"])
def test_a_comment_at_the_end_is_allowed(comment: bytes, ranges: bool) -> None:
    assert unpack(make_zip({"a.csv": b"1,2"}, comment=comment), ranges=ranges) == {"a.csv": b"1,2"}


@pytest.mark.parametrize("prefix", [b"MZ\x90\x00 a program", b"#!/bin/sh\nunzip $0\n"], ids=["binary", "text"])
def test_data_before_the_archive_is_allowed(prefix: bytes) -> None:
    content = prefix + make_zip(EXPORT)
    assert unpack(content) == EXPORT


@WITH_AND_WITHOUT_RANGES
@pytest.mark.parametrize(
    ("part", "name"),
    [
        (RawMember("año.csv".encode(), b"1", flags=1 << 11), "año.csv"),
        (RawMember("año.csv".encode(), b"1"), "año.csv"),
        (RawMember("año.csv".encode("cp437"), b"1"), "año.csv"),
        (
            RawMember(
                b"a_o.csv",
                b"1",
                extra=struct.pack("<HHBL", 0x7075, 5 + 8, 1, zlib.crc32(b"a_o.csv")) + "año.csv".encode(),
            ),
            "año.csv",
        ),
    ],
    ids=["flagged UTF-8", "UTF-8 without a flag", "cp437", "Unicode path"],
)
def test_names_are_decoded_from_the_encodings_that_writers_use(part: RawMember, name: str, ranges: bool) -> None:
    assert unpack(build_zip([part]), ranges=ranges) == {name: b"1"}


@WITH_AND_WITHOUT_RANGES
@pytest.mark.parametrize("signature", [b"PK\x07\x08", b""], ids=["signed", "unsigned"])
@pytest.mark.parametrize("layout", ["<LLL", "<LQQ"], ids=["narrow", "wide"])
def test_every_kind_of_data_descriptor_is_supported(signature: bytes, layout: str, ranges: bool) -> None:
    part = RawMember(
        b"a.csv",
        ROWS,
        flags=8,
        descriptor=signature + struct.pack(layout, ROWS_CRC, len(ROWS_DEFLATED), len(ROWS)),
        local={"crc": 0, "compressed": 0, "size": 0},
    )
    assert unpack(build_zip([part, part]), ranges=ranges) == {"a.csv": ROWS, "a-2.csv": ROWS}


@WITH_AND_WITHOUT_RANGES
@FORMATS
@pytest.mark.parametrize("flag", [1, 1 << 6 | 1])
def test_an_encrypted_member_is_refused(flag: int, file_format: str, ranges: bool) -> None:
    with pytest.raises(ArchiveEncrypted, match=r"'secret\.csv' .* is encrypted"):
        unpack(build_zip([RawMember(b"secret.csv", b"1", flags=flag)]), file_format, ranges=ranges)


@WITH_AND_WITHOUT_RANGES
@pytest.mark.parametrize(("method", "words"), [(12, "bzip2"), (14, "LZMA"), (93, "Zstandard"), (77, "number 77")])
def test_an_unsupported_compression_method_is_named(method: int, words: str, ranges: bool) -> None:
    with pytest.raises(ArchiveUnsupported, match=words):
        unpack(build_zip([RawMember(b"a.csv", b"1", method=method)]), ranges=ranges)


def test_the_streamed_archives_of_these_tests_have_data_descriptors() -> None:
    assert struct.unpack_from("<H", stream_zip({"a": b"1"}), 6)[0] & 8
    assert zipfile.ZipFile(io.BytesIO(stream_zip(EXPORT))).testzip() is None
