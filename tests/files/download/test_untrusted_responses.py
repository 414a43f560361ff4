# SPDX-License-Identifier: Apache-2.0
"""What a store says is checked, and what it leaves out is not taken for agreement."""

from __future__ import annotations

import gzip
from typing import Any

import pytest

from airflow_provider_connectif.files.download.response_headers import validator
from airflow_provider_connectif.files.errors import (
    ExportMissing,
    RemoteFileChanged,
    RemoteFileDamaged,
    RemoteFileRefused,
)
from tests.files.archives import EXPORT, ROWS, make_zip, stream_zip
from tests.files.file_server import Faults
from tests.files.remote_files import BYTES, MB, read_all, remote_file, unpack

ZIP = make_zip(EXPORT)
WITH_RANGES = pytest.mark.parametrize("ranges", [True, False])


@WITH_RANGES
@pytest.mark.parametrize("cut", [None, 30_000])
@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "GZIP", "aws-chunked, gzip"])
def test_an_encoded_file_is_decoded(encoding: str, cut: int | None, ranges: bool) -> None:
    faults = Faults(ranges=ranges, headers={"Content-Encoding": encoding}, cut_after=cut, cuts=2)
    with remote_file(gzip.compress(ZIP), faults) as (file, _):
        assert read_all(file) == ZIP
        assert file.size == len(ZIP)
        file.seek(100)
        assert file.read(50) == ZIP[100:150]


@WITH_RANGES
@pytest.mark.parametrize("encoding", ["identity", "aws-chunked", "binary", "utf-8", "gzip", ""])
def test_a_file_that_is_not_encoded_is_read_as_it_is_whatever_its_header_says(encoding: str, ranges: bool) -> None:
    faults = Faults(ranges=ranges, headers={"Content-Encoding": encoding}, cut_after=MB, cuts=2)
    with remote_file(BYTES, faults) as (file, _):
        assert read_all(file) == BYTES
        assert file.info.supports_ranges == ranges


@WITH_RANGES
@pytest.mark.parametrize("encoding", ["br", "zstd", "deflate", "compress", "gzip, gzip", "unheard-of"])
def test_an_encoding_that_is_not_supported_is_an_error_that_may_pass(encoding: str, ranges: bool) -> None:
    faults = Faults(ranges=ranges, headers={"Content-Encoding": encoding})
    with remote_file(ZIP, faults) as (file, _), pytest.raises(RemoteFileRefused, match="encoding") as caught:
        read_all(file)
    assert not caught.value.final


def test_a_truncated_encoding_is_not_the_end_of_the_file() -> None:
    faults = Faults(ranges=False, close_delimited=True, headers={"Content-Encoding": "gzip"}, cut_after=MB, cuts=3)
    with remote_file(gzip.compress(BYTES), faults) as (file, server):
        assert read_all(file) == BYTES
        assert len(server.requests) == 4


def _later(faults: Faults, server: Any, **changes: Any) -> None:
    """Change the behavior, and perhaps the file, after the first connection broke."""
    content = changes.pop("content", server.content)

    def change(number: int) -> None:
        if faults.cuts == 0:
            server.content = content
            for name, value in changes.items():
                setattr(faults, name, value)

    faults.on_request = change


@pytest.mark.parametrize("first_ranges", [True, False])
@pytest.mark.parametrize("length", [{"chunked": True}, {"close_delimited": True}, {}], ids=str)
@pytest.mark.parametrize(
    "other", [BYTES[: 2 * MB] + BYTES[2 * MB :][::-1], BYTES[::-1]], ids=["same start", "other start"]
)
def test_a_silent_response_with_another_file_of_the_same_size_is_not_spliced(
    other: bytes, length: dict[str, bool], first_ranges: bool
) -> None:
    faults = Faults(ranges=first_ranges, cut_after=3 * MB, cuts=1)
    with remote_file(BYTES, faults) as (file, server):
        _later(faults, server, content=other, ranges=False, etag=False, **length)
        with pytest.raises(RemoteFileChanged):
            read_all(file)


def test_a_silent_range_is_not_spliced() -> None:
    faults = Faults(cut_after=3 * MB, cuts=1)
    with remote_file(BYTES, faults) as (file, server):
        _later(faults, server, etag=False)
        with pytest.raises(RemoteFileChanged, match="does not show that it is still the same"):
            read_all(file)


@pytest.mark.parametrize("content", [BYTES + b"more", BYTES[:-5]], ids=["longer", "shorter"])
def test_a_silent_response_with_a_longer_or_shorter_file_is_detected(content: bytes) -> None:
    faults = Faults(ranges=False, etag=False, cut_after=3 * MB, cuts=1)
    with remote_file(BYTES, faults) as (file, server):
        _later(faults, server, content=content, chunked=True)
        with pytest.raises(RemoteFileChanged):
            read_all(file)


def test_ranges_of_a_file_without_a_version_are_not_used() -> None:
    with remote_file(BYTES, Faults(etag=False, cut_after=3 * MB, cuts=2)) as (file, server):
        assert read_all(file) == BYTES
        assert not file.info.supports_ranges
        assert ["Range" in request for request in server.requests] == [True, False, False, False]


@pytest.mark.parametrize("age", [0, 1, 5])
def test_a_modification_date_identifies_a_file_if_it_is_older_than_the_response(age: int) -> None:
    modified = f"Sun, 01 Nov 2026 10:00:0{5 - age} GMT"
    headers = {"Date": "Sun, 01 Nov 2026 10:00:05 GMT", "Last-Modified": modified, "ETag": 'W/"weak"'}
    assert validator(headers) == (modified if age else None)
    assert validator(headers | {"ETag": '"strong"'}) == '"strong"'
    assert validator({"Last-Modified": modified}) is None


BODIES = {
    "page": (b"<!DOCTYPE html><html>Please sign in</html>", {}),
    "page after a comment": (b"\n <!-- login -->\n<html>", {}),
    "XML": (b'\xef\xbb\xbf<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', {}),
    "JSON": (b'{"status": 403, "title": "Forbidden"}', {}),
    "JSON list": (b'[ {"error": 1} ]', {}),
    "text in a page's type": (b"Your session has expired.", {"Content-Type": "text/html; charset=utf-8"}),
    "JSON of another type": (b"null", {"Content-Type": "application/problem+json"}),
    "encoded page": (gzip.compress(b"<html>Please sign in</html>"), {"Content-Encoding": "gzip"}),
}


@WITH_RANGES
@pytest.mark.parametrize("body", list(BODIES))
@pytest.mark.parametrize("file_format", ["csv", "csv.gz", "archive"])
def test_a_body_that_cannot_be_the_file_is_an_error_that_may_pass(file_format: str, body: str, ranges: bool) -> None:
    content, headers = BODIES[body]
    with pytest.raises(RemoteFileRefused, match="a web page or an error message") as caught:
        unpack(content, file_format, faults=Faults(ranges=ranges, headers=headers))
    assert not caught.value.final


@WITH_RANGES
@pytest.mark.parametrize("body", list(BODIES))
@pytest.mark.parametrize("at_request", [1, 2, 3])
def test_a_body_that_cannot_be_the_file_gets_a_new_url(at_request: int, body: str, ranges: bool) -> None:
    faults = Faults(ranges=ranges, cut_after=2 * MB, cuts=3)
    with remote_file(BYTES, faults, sleep=lambda seconds: None) as (file, server):
        wrong, headers = BODIES[body]

        def change(number: int) -> None:
            is_wrong = number == at_request
            server.content, faults.headers = (wrong, headers) if is_wrong else (BYTES, {})
            faults.etag = not is_wrong
            faults.ranges = ranges and not is_wrong

        faults.on_request = change
        assert read_all(file) == BYTES
        assert server.renewals == 2


@pytest.mark.parametrize("target", ["loop", "file:///x", ""])
def test_a_redirect_that_leads_nowhere_gets_a_new_url(target: str) -> None:
    faults = Faults(cut_after=2 * MB, cuts=1)
    with remote_file(BYTES, faults) as (file, server):

        def redirect(path: str) -> str:
            dead = server.renewals == 1 and len(server.requests) > 2
            return (path if target == "loop" else target) if dead else path + "&redirected=1"

        faults.redirect = redirect
        assert read_all(file) == BYTES
        assert server.renewals == 2


@pytest.mark.parametrize("text", [b"{a};b\n1;2\n", b"[total],b\n", b"<b>total</b>,c\n", b'"<html>",c\n', b"null\n"])
def test_a_csv_that_begins_like_a_message_is_stored(text: bytes) -> None:
    assert unpack(text) == {"export.csv": text}


@pytest.mark.parametrize("file_format", ["csv", "csv.gz", "archive"])
@pytest.mark.parametrize(
    "content", [ZIP, stream_zip({"a.csv": ROWS}), gzip.compress(ROWS)], ids=["zip", "streamed", "gzip"]
)
def test_a_connection_that_closes_early_is_not_damage(content: bytes, file_format: str) -> None:
    faults = Faults(ranges=False, close_delimited=True, cut_after=len(content) - 3000)
    with pytest.raises(Exception, match=r"may help|would not be detected") as caught:
        unpack(content, file_format, faults=faults)
    assert not caught.value.final  # type: ignore[attr-defined]


def test_damage_of_a_complete_file_is_final_and_of_one_with_an_unknown_end_is_not() -> None:
    damaged = ZIP[:100] + bytes([ZIP[100] ^ 1]) + ZIP[101:]
    with pytest.raises(Exception, match="damaged") as caught:
        unpack(damaged)
    assert caught.value.final  # type: ignore[attr-defined]
    with pytest.raises(RemoteFileDamaged, match=r"damaged.*a retry may help"):
        unpack(damaged, faults=Faults(ranges=False, close_delimited=True))


@pytest.mark.parametrize(
    "content",
    [b"", gzip.compress(b""), b"\x89PNG\r\n\x1a\n\0\0", gzip.compress(b'{"error": 1}')],
    ids=["nothing", "empty gzip", "PNG", "JSON in gzip"],
)
def test_a_file_that_is_not_an_export_is_an_error_that_may_pass(content: bytes) -> None:
    with pytest.raises(ExportMissing) as caught:
        unpack(content)
    assert not caught.value.final
