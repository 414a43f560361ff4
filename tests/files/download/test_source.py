# SPDX-License-Identifier: Apache-2.0
"""Requests for a file: retries, waits, refused signed URLs and files that change."""

from __future__ import annotations

import pytest

from airflow_provider_connectif.files.download.remote_file import RetryPolicy
from airflow_provider_connectif.files.errors import (
    RemoteFileChanged,
    RemoteFileRefused,
    RemoteFileUnavailable,
)
from tests.files.file_server import Faults
from tests.files.remote_files import (
    BYTES,
    MB,
    read_all,
    remote_file,
)


def test_after_a_broken_connection_reading_resumes_immediately() -> None:
    waits: list[float] = []
    with remote_file(BYTES, Faults(cut_after=MB, cuts=3), sleep=waits.append) as (file, _):
        read_all(file)
    assert waits == [0.0] * 3


def test_occasional_errors_of_the_store_are_retried() -> None:
    faults = Faults(cut_after=MB, cuts=4, statuses=[503, 0, 500, 0, 429, 502, 0, 503])
    with remote_file(BYTES, faults) as (file, _):
        assert read_all(file) == BYTES
        assert faults.statuses == []


def test_retry_after_is_respected_up_to_a_maximum() -> None:
    for value, waited in [("7", 7.0), ("80000", 300.0)]:
        waits: list[float] = []
        with remote_file(b"x", Faults(statuses=[503], retry_after=value), sleep=waits.append) as (file, _):
            assert read_all(file) == b"x"
        assert waits == [waited]


def test_attempts_without_progress_are_limited() -> None:
    waits: list[float] = []
    with remote_file(BYTES, Faults(statuses=[503] * 99), policy=RetryPolicy(), sleep=waits.append) as (file, server):
        with pytest.raises(RemoteFileUnavailable, match="8 attempts: the store responded with 503"):
            read_all(file)
        assert len(server.requests) == 8
    assert waits == sorted(waits)
    assert 0.5 <= waits[0] <= 1.0


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_a_refused_url_is_renewed_immediately(status: int) -> None:
    waits: list[float] = []
    with remote_file(BYTES, Faults(statuses=[status]), sleep=waits.append) as (file, server):
        assert read_all(file) == BYTES
        assert server.renewals == 2
    assert waits == [0.0]


def test_new_urls_that_are_refused_as_well_raise_an_error() -> None:
    with remote_file(BYTES, Faults(statuses=[403] * 99)) as (file, server):
        with pytest.raises(RemoteFileRefused, match=r"refuses the signed URL of the export's file \(403\)"):
            read_all(file)
        assert server.renewals == 4


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("etag", [True, False], ids=["etag", "size alone"])
def test_a_file_that_changes_halfway_is_detected(ranges: bool, etag: bool) -> None:
    faults = Faults(ranges=ranges, etag=etag, cut_after=3 * MB, cuts=1)
    with remote_file(BYTES, faults) as (file, server):
        faults.on_request = lambda number: setattr(server, "content", BYTES[::-1] + b"!") if faults.cuts == 0 else None
        with pytest.raises(RemoteFileChanged):
            read_all(file)
