# SPDX-License-Identifier: Apache-2.0
"""Members: sizes, limits and incomplete reading."""

from __future__ import annotations

import gzip
import zipfile

import pytest

from airflow_provider_connectif.files.errors import (
    ArchiveCorrupt,
    ArchiveTooLarge,
)
from airflow_provider_connectif.files.unpack.archive import open_archive
from tests.files.archives import (
    EXPORT,
    ROWS,
    make_zip,
    stream_zip,
)
from tests.files.file_server import Faults
from tests.files.remote_files import (
    FORMATS,
    WITH_AND_WITHOUT_RANGES,
    package_threads,
    remote_file,
    unpack,
)


def test_sizes_and_names_are_known_before_anything_is_read() -> None:
    with remote_file(stream_zip(EXPORT)) as (file, _):
        archive = open_archive(file, file_format="csv", file_name="x")
        assert [(member.name, member.source_name, member.size) for member in archive] == [
            (name, name, len(data)) for name, data in EXPORT.items()
        ]


def test_the_unread_rest_of_a_member_is_verified() -> None:
    good = make_zip(EXPORT)
    damaged = bytearray(good)
    damaged[good.index(b"PK\x03\x04", 10) - 9] ^= 0xFF
    for content in (good, bytes(damaged)):
        with remote_file(content) as (file, _):
            archive = iter(open_archive(file, file_format="csv", file_name="x"))
            next(next(archive).chunks())
            if content is good:
                assert b"".join(next(archive).chunks()) == ROWS[:5000]
            else:
                with pytest.raises(ArchiveCorrupt):
                    next(archive)


def test_a_member_can_be_read_only_once() -> None:
    with remote_file(make_zip(EXPORT)) as (file, _):
        members = iter(open_archive(file, file_format="csv", file_name="x"))
        member = next(members)
        list(member.chunks())
        with pytest.raises(ValueError, match="already read"):
            member.chunks()


@WITH_AND_WITHOUT_RANGES
@FORMATS
def test_a_bomb_stops_at_the_limit(file_format: str, ranges: bool) -> None:
    bomb = make_zip({"bomb.csv": bytes(50_000_000)})
    with pytest.raises(ArchiveTooLarge, match="max_uncompressed_bytes allows 1,000,000"):
        unpack(bomb, file_format, ranges=ranges, limit=1_000_000)
    assert unpack(make_zip({"a.csv": b"x" * 1000}), file_format, ranges=ranges, limit=1000)


@WITH_AND_WITHOUT_RANGES
@pytest.mark.parametrize("content", [b"x,y\n" * 1000, gzip.compress(b"x,y\n" * 1000)], ids=["csv", "gzip"])
def test_the_limit_applies_to_files_other_than_archives(content: bytes, ranges: bool) -> None:
    with pytest.raises(ArchiveTooLarge):
        unpack(content, ranges=ranges, limit=3999)
    assert unpack(content, ranges=ranges, limit=4000)


def test_closing_the_file_halfway_leaves_no_thread() -> None:
    for ranges in (True, False):
        with remote_file(make_zip({"a.csv": ROWS * 10}, zipfile.ZIP_STORED), Faults(ranges=ranges)) as (file, _):
            members = iter(open_archive(file, file_format="csv", file_name="x"))
            kept = next(members).chunks()
            next(kept)
            assert package_threads()
        assert not package_threads()
        with pytest.raises(ValueError, match="closed before its end"):
            list(kept)


@FORMATS
def test_a_member_that_is_closed_halfway_raises_an_error_instead_of_ending(file_format: str) -> None:
    with remote_file(make_zip({"a.csv": ROWS[:400_000]}, zipfile.ZIP_STORED)) as (file, _):
        members = iter(open_archive(file, file_format=file_format, file_name="x"))
        kept = next(members).chunks()
        next(kept)
        members.close()  # type: ignore[attr-defined]
        with pytest.raises(ValueError, match="The member was closed before its end"):
            list(kept)


@pytest.mark.parametrize("size", [1000, 5_000_000])
def test_a_member_whose_archive_was_deleted_raises_an_error_instead_of_ending(size: int) -> None:
    with remote_file(make_zip({"a.csv": bytes(size)})) as (file, _):
        dropped = next(iter(open_archive(file, file_format="csv", file_name="x")))
        with pytest.raises(ValueError, match="closed"):
            list(dropped.chunks())
