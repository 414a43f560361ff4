# SPDX-License-Identifier: Apache-2.0
"""The kinds of files that an export can be, and the formats to store."""

from __future__ import annotations

import gzip
import hashlib
import random
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from airflow_provider_connectif.files.errors import (
    ArchiveError,
    ArchiveUnsupported,
    RemoteFileChanged,
    RemoteFileError,
)
from airflow_provider_connectif.files.unpack.archive import open_archive
from tests.files.archives import (
    EXPORT,
    ROWS,
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
    read_members,
    remote_file,
    unpack,
)


@WITH_AND_WITHOUT_RANGES
@pytest.mark.parametrize("size", [1_000, 700_000, 5_000_000])
def test_the_sha256_of_an_unchanged_file_is_computed_while_reading(ranges: bool, size: int) -> None:
    content = make_zip({"a.csv": random.Random(size).randbytes(size)})
    faults = Faults(ranges=ranges, cut_after=size // 2, cuts=3)
    with remote_file(content, faults) as (file, _):
        for member in open_archive(file, file_format="archive", file_name="x"):
            assert b"".join(member.chunks()) == content
            assert member.sha256 is not None
            assert member.sha256() == hashlib.sha256(content).hexdigest()


@FORMATS
def test_the_sha256_of_unpacked_members_is_left_to_the_writer(file_format: str) -> None:
    with remote_file(make_zip(EXPORT)) as (file, _):
        assert [member.sha256 for member in open_archive(file, file_format=file_format, file_name="x")] == [None] * 4


@WITH_AND_WITHOUT_RANGES
@pytest.mark.parametrize(
    ("content", "name"),
    [(make_zip(EXPORT), "Ventas!.zip"), (ROWS, "Ventas!.csv"), (gzip.compress(ROWS), "Ventas!.csv.gz")],
    ids=["zip", "csv", "gzip"],
)
def test_as_an_archive_the_file_is_unchanged(content: bytes, name: str, ranges: bool) -> None:
    with remote_file(content, Faults(ranges=ranges)) as (file, _):
        members = read_as_list(file, "archive")
    assert members == [(name, content)]


def read_as_list(file: object, file_format: str) -> list[tuple[str, bytes]]:
    archive = open_archive(file, file_format=file_format, file_name="Ventas!")  # type: ignore[arg-type]
    return [(member.name, b"".join(member.chunks())) for member in archive]


@WITH_AND_WITHOUT_RANGES
@FORMATS
@pytest.mark.parametrize("text", [ROWS, b"a,b\n", b"\xef\xbb\xbfa;b\n", "año\n".encode("latin-1"), b"PK;b\n"])
def test_a_plain_csv_can_be_read_instead_of_an_archive(text: bytes, file_format: str, ranges: bool) -> None:
    assert unpack(text, file_format, ranges=ranges) == with_extensions({"export.csv": text}, file_format)


@WITH_AND_WITHOUT_RANGES
@FORMATS
def test_a_gzip_file_can_be_read_instead_of_an_archive(file_format: str, ranges: bool) -> None:
    content = gzip.compress(ROWS) + gzip.compress(b"more,rows\n")
    found = unpack(content, file_format, ranges=ranges)
    assert found == with_extensions({"export.csv": ROWS + b"more,rows\n"}, file_format)


def test_without_ranges_an_archive_after_text_is_not_mistaken_for_a_csv() -> None:
    assert unpack(b"#!/bin/sh\n" + make_zip(EXPORT), ranges=False) == EXPORT
    with pytest.raises(ArchiveUnsupported, match="an archive after other text"):
        unpack(b"#!/bin/sh\n" * 500 + make_zip(EXPORT), ranges=False)


@WITH_AND_WITHOUT_RANGES
def test_names_are_safe_and_unique(ranges: bool) -> None:
    members = {
        "a/x.csv": b"1",
        "b/x.csv": b"2",
        "X.csv": b"3",
        "../../../etc/cron.d/x": b"4",
        "_connectif_manifest.json": b"5",
        "C:\\y.csv": b"6",
    }
    assert unpack(make_zip(members), ranges=ranges) == {
        "x.csv": b"1",
        "x-2.csv": b"2",
        "X-3.csv": b"3",
        "x-4.csv": b"4",
        "connectif_manifest.json.csv": b"5",
        "y.csv": b"6",
    }


def test_members_that_cannot_be_unpacked_can_be_stored_as_an_archive() -> None:
    content = build_zip([RawMember(b"secret.csv", b"1", flags=1), RawMember(b"b.csv", b"1", method=12)])
    assert unpack(content, "archive") == {"export.zip": content}


@WITH_AND_WITHOUT_RANGES
@FORMATS
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (gzip.compress(b""), "empty"),
        (b"7z\xbc\xaf\x27\x1c\x00\x04rest", "not a ZIP archive, a CSV or a gzip file"),
        (gzip.compress(make_zip({"a.csv": b"1"})), "not a ZIP archive"),
        (gzip.compress(ROWS)[:-4], "truncated gzip file"),
        (gzip.compress(ROWS)[:-8] + bytes(8), "damaged"),
        (gzip.compress(ROWS) + b"something else", "damaged"),
    ],
    # Fixed ids: archives contain the time, and processes that share the tests compare their ids.
    ids=["nothing", "empty gzip", "7z", "gzip of a ZIP", "truncated gzip", "CRC", "data after a gzip"],
)
def test_a_file_that_is_not_an_export_is_refused(content: bytes, words: str, file_format: str, ranges: bool) -> None:
    with pytest.raises(ArchiveError, match=words):
        unpack(content, file_format, ranges=ranges)


def test_a_csv_whose_truncation_would_not_be_detected_is_refused() -> None:
    with pytest.raises(RemoteFileError, match="an incomplete download would not be detected"):
        unpack(ROWS, faults=Faults(ranges=False, close_delimited=True))
    assert unpack(make_zip(EXPORT), faults=Faults(ranges=False, close_delimited=True)) == EXPORT


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
def test_members_are_complete_despite_faults_of_the_store(faults: Faults, file_format: str) -> None:
    members = {"a.csv": ROWS, "b.csv": ROWS[::-1]}
    assert unpack(stream_zip(members), file_format, faults=faults) == with_extensions(members, file_format)


@FORMATS
@WITH_AND_WITHOUT_RANGES
def test_a_file_that_changes_halfway_is_never_mixed(file_format: str, ranges: bool) -> None:
    one, other = stream_zip({"a.csv": ROWS}), stream_zip({"a.csv": ROWS[::-1]})
    faults = Faults(ranges=ranges, cut_after=200_000, cuts=1)
    with remote_file(one, faults) as (file, server):
        faults.on_request = lambda number: setattr(server, "content", other) if faults.cuts == 0 else None
        with pytest.raises(RemoteFileChanged):
            read_members(file, file_format)


_MEMORY = """
import resource, sys
from airflow_provider_connectif.files.unpack.archive import open_archive
from airflow_provider_connectif.files.download.remote_file import RemoteFile
url, file_format, expected = sys.argv[1:]
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
total = 0
with RemoteFile(lambda: url) as file:
    for member in open_archive(file, file_format=file_format, file_name="x"):
        for chunk in member.chunks():
            total += len(chunk)
assert total == int(expected) or file_format == "csv.gz", total
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.slow
@WITH_AND_WITHOUT_RANGES
@pytest.mark.parametrize("file_format", ["csv", "csv.gz", "archive"])
def test_memory_does_not_grow_with_the_file(file_format: str, ranges: bool) -> None:
    members = {"a.csv": ROWS * 60}
    content = stream_zip(members) if file_format == "csv.gz" else make_zip(members, zipfile.ZIP_STORED)
    expected = len(content) if file_format == "archive" else len(ROWS) * 60
    assert expected > 100_000_000
    with remote_file(content, Faults(ranges=ranges)) as (_, server):
        ran = subprocess.run(
            [sys.executable, "-c", _MEMORY, server.renew(), file_format, str(expected)],
            capture_output=True,
            text=True,
            check=False,
            cwd=Path(__file__).parents[3],
        )
    assert ran.returncode == 0, ran.stderr
    assert int(ran.stdout) < 50_000, "KiB more than the imports"
