# SPDX-License-Identifier: Apache-2.0
"""Faults in the transfer of a file."""

from __future__ import annotations

import pytest
import requests
import urllib3


@pytest.fixture
def export_id(sandbox, client) -> str:
    """An export whose file is slightly larger than 100 kB."""
    sandbox.set(file_bytes=100_000, stored=True)
    return client.create()["id"]


def receive(client, export_id: str, **headers: str) -> tuple[bytes, bool]:
    """Return the received part of a file, and whether it has the announced length."""
    url = client.export(export_id)["fileUrl"]
    received = b""
    with requests.get(url, headers=headers, timeout=10, stream=True) as response:
        try:
            while piece := response.raw.read1(1 << 16):
                received += piece
        except urllib3.exceptions.ProtocolError:
            pass
        return received, len(received) == int(response.headers["Content-Length"])


def resume(client, export_id: str, max_requests: int = 50) -> tuple[bytes, int]:
    """Download a file by resuming after each cut; return it and the number of requests."""
    received = b""
    for count in range(1, max_requests):
        more, complete = receive(client, export_id, Range=f"bytes={len(received)}-")
        received += more
        if complete:
            return received, count
    raise AssertionError("the file was never complete")


def test_the_connection_is_closed_at_regular_intervals(sandbox, client, export_id) -> None:
    content, _ = resume(client, export_id)
    sandbox.set(cut_every_bytes=30_000)
    again, count = resume(client, export_id)
    assert again == content
    # A cut occurs whenever the number of bytes sent for this file reaches a multiple of 30,000.
    sent = len(content)
    assert count == 1 + 2 * sent // 30_000 - sent // 30_000


def test_the_number_of_cuts_may_be_limited(sandbox, client, export_id) -> None:
    sandbox.set(cut_every_bytes=10_000, cut_times=2)
    first, complete = receive(client, export_id)
    assert (len(first), complete) == (10_000, False)
    assert (len(receive(client, export_id)[0]), receive(client, export_id)[1]) == (10_000, True)


def test_cuts_are_counted_for_each_file(sandbox, client, export_id) -> None:
    sandbox.set(cut_every_bytes=10_000, cut_times=1)
    other = client.create()["id"]
    assert [receive(client, which)[1] for which in (export_id, other, export_id, other)] == [False, False, True, True]


def test_a_fault_closes_the_connection_once_after_some_bytes(sandbox, client, export_id) -> None:
    sandbox.fault("file", "cut", bytes=1234)
    assert (len(receive(client, export_id)[0]), receive(client, export_id)[1]) == (1234, True)


def test_a_fault_closes_the_connection_without_a_response(sandbox, client, export_id) -> None:
    sandbox.fault("file", "cut")
    with pytest.raises(requests.ConnectionError):
        client.file(export_id)


def test_the_announced_length_may_exceed_the_file(sandbox, client, export_id) -> None:
    size = len(client.file(export_id).content)
    sandbox.set(length_lie=500)
    assert client.file(export_id, "HEAD").headers["Content-Length"] == str(size + 500)
    received, complete = receive(client, export_id)
    assert (len(received), complete) == (size, False)
    assert sandbox.stats.by_status["cut"] == 1


def test_a_file_ends_at_an_announced_length_that_is_too_short(sandbox, client, export_id) -> None:
    size = len(client.file(export_id).content)
    sandbox.set(length_lie=-500)
    response = client.file(export_id)
    assert len(response.content) == size - 500
    assert client.file(export_id, Range="bytes=0-0").headers["Content-Range"] == f"bytes 0-0/{size - 500}"


def test_a_short_range_is_consistent(sandbox, client, export_id) -> None:
    sandbox.fault("file", "short", bytes=40)
    response = client.file(export_id, Range="bytes=100-199")
    assert (response.status_code, len(response.content)) == (206, 60)
    assert response.headers["Content-Range"].startswith("bytes 100-159/")


def test_a_file_changes_halfway(sandbox, client, export_id) -> None:
    before = client.file(export_id).headers["ETag"]
    sandbox.set(change_after_bytes=150_000)
    received, complete = receive(client, export_id)
    assert not complete
    assert 0 < len(received) < 100_000
    after = client.file(export_id)
    assert after.headers["ETag"] != before
    assert client.file(export_id).headers["ETag"] == after.headers["ETag"]
    assert client.file(export_id, Range="bytes=0-9", **{"If-Range": before}).status_code == 200


def test_a_fault_replaces_a_file_before_the_response(sandbox, client, export_id) -> None:
    before = client.file(export_id)
    sandbox.fault("file", "change")
    after = client.file(export_id)
    assert after.headers["ETag"] != before.headers["ETag"]
    assert after.content != before.content
    assert client.file(export_id).content == after.content


def test_some_requests_fail_with_500_or_503(sandbox, client, export_id) -> None:
    sandbox.set(file_error_share=0.5, random_seed=3)
    statuses = [client.file(export_id, "HEAD").status_code for _ in range(25)]
    assert set(statuses) == {200, 500, 503}
    assert 5 < statuses.count(200) < 20
    sandbox.set(random_seed=3)
    assert [client.file(export_id, "HEAD").status_code for _ in range(25)] == statuses


@pytest.mark.parametrize("status", [403, 404, 500, 503])
def test_a_fault_responds_with_a_status_in_xml(sandbox, client, export_id, status: int) -> None:
    sandbox.fault("file", str(status), retry_after=7)
    response = client.file(export_id)
    assert (response.status_code, response.headers["Retry-After"]) == (status, "7")
    assert response.text.startswith("<?xml")
    assert client.file(export_id).status_code == 200


def test_a_fault_responds_with_html(sandbox, client, export_id) -> None:
    sandbox.fault("file", "html")
    response = client.file(export_id)
    assert (response.status_code, response.headers["Content-Type"]) == (200, "text/html; charset=utf-8")


def test_a_file_is_sent_at_the_given_rate(sandbox, client, clock, export_id) -> None:
    sandbox.set(bytes_per_second=250_000)
    started = clock()
    size = len(client.file(export_id).content)
    assert size > 100_000
    assert clock() - started == pytest.approx(size / 250_000, abs=1e-3)


def test_a_response_stalls_and_continues(sandbox, client, clock, export_id) -> None:
    sandbox.set(stall_after_bytes=1000, stall_seconds=30)
    started = clock()
    received, complete = receive(client, export_id)
    assert complete
    assert len(received) > 100_000
    assert clock() - started == 30


def test_a_response_stalls_until_the_client_gives_up(sandbox, client, clock, export_id) -> None:
    clock.paused = True
    sandbox.fault("file", "stall", bytes=1000, seconds=60)
    url = client.export(export_id)["fileUrl"]
    received = b""
    with requests.get(url, timeout=1, stream=True) as response:
        while len(received) < 1000:
            received += response.raw.read1(1 << 16)
        with pytest.raises(urllib3.exceptions.ReadTimeoutError):
            response.raw.read1(1 << 16)
    assert len(received) == 1000
    assert client.file(export_id).status_code == 200


def test_a_fault_for_one_export_does_not_affect_others(sandbox, client, export_id) -> None:
    other = client.create()["id"]
    sandbox.fault("file", "500", export_id=other)
    assert [client.file(which).status_code for which in (export_id, other, other)] == [200, 500, 200]


def test_a_file_can_be_replaced_with_any_bytes(sandbox, client, export_id) -> None:
    before = client.file(export_id).headers["ETag"]
    assert client.control("PUT", f"exports/{export_id}/file", data=b"no zip").status_code == 200
    response = client.file(export_id)
    assert response.content == b"no zip"
    assert response.headers["ETag"] != before
