# SPDX-License-Identifier: Apache-2.0
"""A range is read to its end despite broken connections and wrong headers."""

from __future__ import annotations

import hashlib

import pytest

from airflow_provider_connectif.files.download.range_reader import BLOCK_SIZE
from airflow_provider_connectif.files.errors import (
    FileError,
    RemoteFileChanged,
    RemoteFileUnavailable,
)
from tests.files.file_server import Faults
from tests.files.remote_files import (
    BYTES,
    MB,
    read_all,
    remote_file,
)


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize("block", [40_000, 300_000])
def test_fifty_broken_connections_lose_no_byte(block: int, reset: bool) -> None:
    content = BYTES * (block // 100_000 or 1)
    faults = Faults(cut_after=block, cuts=50, reset=reset)
    with remote_file(content, faults) as (file, server):
        assert hashlib.sha256(read_all(file)).digest() == hashlib.sha256(content).digest()
        assert faults.cuts == 0
        assert len(server.requests) >= 51
    if not reset:  # bytes discarded by a reset are sent again
        assert server.bytes_sent <= len(content) + 51 * block


def test_after_a_broken_connection_reading_resumes_at_the_next_byte_with_the_etag_as_condition() -> None:
    with remote_file(BYTES, Faults(cut_after=MB, cuts=1)) as (file, server):
        read_all(file)
        assert [request["Range"] for request in server.requests] == [
            "bytes=0-262143",
            f"bytes=262144-{6 * MB - 1}",
            f"bytes={262_144 + MB}-{6 * MB - 1}",
        ]
        assert server.requests[2]["If-Range"] == file.info.validator


@pytest.mark.parametrize("reset", [False, True])
def test_a_broken_fast_response_loses_at_most_one_block(reset: bool) -> None:
    with remote_file(BYTES, Faults(cut_after=3 * MB + 700_001, cuts=1, reset=reset)) as (file, server):
        assert read_all(file) == BYTES
        starts = [int(request["Range"].removeprefix("bytes=").partition("-")[0]) for request in server.requests[1:]]
    assert starts[-1] >= 3 * MB + 700_001 - BLOCK_SIZE - (3 * MB if reset else 0)  # a reset discards bytes in transit


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
def test_a_store_without_ranges_is_read_again_up_to_the_broken_byte(chunked: bool, reset: bool) -> None:
    with remote_file(BYTES, Faults(ranges=False, chunked=chunked, cut_after=4 * MB, cuts=3, reset=reset)) as (file, _):
        assert read_all(file) == BYTES


def test_a_store_that_stops_supporting_ranges_halfway_is_read_to_the_end() -> None:
    with remote_file(BYTES, Faults(ranges="once", cut_after=4 * MB, cuts=1)) as (file, _):
        assert read_all(file) == BYTES


def test_a_request_that_stalls_is_sent_again() -> None:
    with remote_file(BYTES, Faults(stall_after=MB, stalls=2), timeout=(5, 0.3)) as (file, server):
        assert read_all(file) == BYTES
        assert len(server.requests) >= 3


def test_a_store_without_ranges_that_always_breaks_at_the_same_byte_raises_an_error() -> None:
    with (
        remote_file(BYTES, Faults(ranges=False, cut_after=MB)) as (file, _),
        pytest.raises(RemoteFileUnavailable, match="8 attempts"),
    ):
        read_all(file)


def test_another_file_of_the_same_size_without_etag_is_detected_by_its_first_bytes() -> None:
    faults = Faults(ranges=False, etag=False, cut_after=3 * MB, cuts=1)
    with remote_file(BYTES, faults) as (file, server):
        faults.on_request = lambda number: setattr(server, "content", BYTES[::-1]) if faults.cuts == 0 else None
        with pytest.raises(RemoteFileChanged, match="sent a different file"):
            read_all(file)


@pytest.mark.parametrize("error", [-100_000, -1, 1, 5_000])
def test_a_wrong_content_length_of_a_range_loses_no_byte(error: int) -> None:
    faults = Faults()
    faults.on_request = lambda number: setattr(faults, "length_error", error if 1 < number < 6 else 0)
    with remote_file(BYTES, faults, timeout=(5, 0.5)) as (file, _):
        assert read_all(file) == BYTES


def test_a_reported_size_larger_than_the_file_raises_an_error() -> None:
    with remote_file(BYTES, Faults(total_error=1000)) as (file, _), pytest.raises(FileError):
        read_all(file)


def test_a_content_length_larger_than_the_response_raises_an_error() -> None:
    with (
        remote_file(BYTES, Faults(ranges=False, length_error=500)) as (file, _),
        pytest.raises(RemoteFileUnavailable),
    ):
        read_all(file)
