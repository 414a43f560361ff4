# SPDX-License-Identifier: Apache-2.0
"""What can go wrong with a file on its way."""

from __future__ import annotations

import time

import pytest
import requests
import urllib3


@pytest.fixture
def export_id(sandbox, client) -> str:
    """An export whose file has 100 kB and a little, the same each time."""
    sandbox.set(file_bytes=100_000, stored=True)
    return client.create()["id"]


def partly(client, export_id: str, **headers: str) -> tuple[bytes, bool]:
    """Return what arrives of a file, and whether that was all that was promised."""
    url = client.export(export_id)["fileUrl"]
    received = b""
    with requests.get(url, headers=headers, timeout=10, stream=True) as answer:
        try:
            while piece := answer.raw.read1(1 << 16):
                received += piece
        except urllib3.exceptions.ProtocolError:
            pass
        return received, len(received) == int(answer.headers["Content-Length"])


def resumed(client, export_id: str, most: int = 50) -> tuple[bytes, int]:
    """Fetch a file by going on after each cut; return it and the number of requests."""
    received = b""
    for count in range(1, most):
        more, whole = partly(client, export_id, Range=f"bytes={len(received)}-")
        received += more
        if whole:
            return received, count
    raise AssertionError("never whole")


def test_the_connection_is_cut_every_so_many_bytes(sandbox, client, export_id) -> None:
    content, _ = resumed(client, export_id)
    sandbox.set(cut_every_bytes=30_000)
    again, count = resumed(client, export_id)
    assert again == content
    # The cuts fall where the sum of all that was sent for this file is a multiple of 30,000.
    sent = len(content)
    assert count == 1 + 2 * sent // 30_000 - sent // 30_000


def test_the_cuts_end_after_some_times(sandbox, client, export_id) -> None:
    sandbox.set(cut_every_bytes=10_000, cut_times=2)
    first, whole = partly(client, export_id)
    assert (len(first), whole) == (10_000, False)
    assert (len(partly(client, export_id)[0]), partly(client, export_id)[1]) == (10_000, True)


def test_each_file_is_cut_by_its_own_count(sandbox, client, export_id) -> None:
    sandbox.set(cut_every_bytes=10_000, cut_times=1)
    other = client.create()["id"]
    assert [partly(client, which)[1] for which in (export_id, other, export_id, other)] == [False, False, True, True]


def test_a_fault_cuts_after_some_bytes_once(sandbox, client, export_id) -> None:
    sandbox.fault("file", "cut", bytes=1234)
    assert (len(partly(client, export_id)[0]), partly(client, export_id)[1]) == (1234, True)


def test_a_fault_cuts_without_an_answer(sandbox, client, export_id) -> None:
    sandbox.fault("file", "cut")
    with pytest.raises(requests.ConnectionError):
        client.file(export_id)


def test_a_file_is_said_to_be_longer_than_it_is(sandbox, client, export_id) -> None:
    size = len(client.file(export_id).content)
    sandbox.set(length_lie=500)
    assert client.file(export_id, "HEAD").headers["Content-Length"] == str(size + 500)
    received, whole = partly(client, export_id)
    assert (len(received), whole) == (size, False)
    assert sandbox.stats.by_status["cut"] == 1


def test_a_file_is_said_to_be_shorter_than_it_is_and_ends_there(sandbox, client, export_id) -> None:
    size = len(client.file(export_id).content)
    sandbox.set(length_lie=-500)
    answer = client.file(export_id)
    assert len(answer.content) == size - 500
    assert client.file(export_id, Range="bytes=0-0").headers["Content-Range"] == f"bytes 0-0/{size - 500}"


def test_a_short_range_is_whole_in_itself(sandbox, client, export_id) -> None:
    sandbox.fault("file", "short", bytes=40)
    answer = client.file(export_id, Range="bytes=100-199")
    assert (answer.status_code, len(answer.content)) == (206, 60)
    assert answer.headers["Content-Range"].startswith("bytes 100-159/")


def test_a_file_changes_half_way(sandbox, client, export_id) -> None:
    before = client.file(export_id).headers["ETag"]
    sandbox.set(change_after_bytes=150_000)
    received, whole = partly(client, export_id)
    assert not whole
    assert 0 < len(received) < 100_000
    after = client.file(export_id)
    assert after.headers["ETag"] != before
    assert client.file(export_id).headers["ETag"] == after.headers["ETag"]
    assert client.file(export_id, Range="bytes=0-9", **{"If-Range": before}).status_code == 200


def test_a_file_changes_by_a_fault_before_the_answer(sandbox, client, export_id) -> None:
    before = client.file(export_id)
    sandbox.fault("file", "change")
    after = client.file(export_id)
    assert after.headers["ETag"] != before.headers["ETag"]
    assert after.content != before.content
    assert client.file(export_id).content == after.content


def test_some_requests_are_answered_with_500_or_503(sandbox, client, export_id) -> None:
    sandbox.set(file_error_share=0.5, random_seed=3)
    statuses = [client.file(export_id, "HEAD").status_code for _ in range(25)]
    assert set(statuses) == {200, 500, 503}
    assert 5 < statuses.count(200) < 20
    sandbox.set(random_seed=3)
    assert [client.file(export_id, "HEAD").status_code for _ in range(25)] == statuses


@pytest.mark.parametrize("status", [403, 404, 500, 503])
def test_a_fault_answers_with_a_status_in_xml(sandbox, client, export_id, status: int) -> None:
    sandbox.fault("file", str(status), retry_after=7)
    answer = client.file(export_id)
    assert (answer.status_code, answer.headers["Retry-After"]) == (status, "7")
    assert answer.text.startswith("<?xml")
    assert client.file(export_id).status_code == 200


def test_a_fault_answers_with_html(sandbox, client, export_id) -> None:
    sandbox.fault("file", "html")
    answer = client.file(export_id)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")


def test_a_file_drips(sandbox, client, export_id) -> None:
    sandbox.set(bytes_per_second=250_000)
    started = time.monotonic()
    assert len(client.file(export_id).content) > 100_000
    assert 0.35 < time.monotonic() - started < 10


def test_a_response_stalls_by_option_and_goes_on(sandbox, client, export_id) -> None:
    sandbox.set(stall_after_bytes=1000, stall_seconds=0.3)
    started = time.monotonic()
    received, whole = partly(client, export_id)
    assert whole
    assert len(received) > 100_000
    assert time.monotonic() - started >= 0.3


def test_a_response_stalls_by_a_fault_until_the_client_gives_up(sandbox, client, export_id) -> None:
    sandbox.fault("file", "stall", bytes=1000, seconds=60)
    url = client.export(export_id)["fileUrl"]
    received = b""
    with requests.get(url, timeout=1, stream=True) as answer:
        while len(received) < 1000:
            received += answer.raw.read1(1 << 16)
        with pytest.raises(urllib3.exceptions.ReadTimeoutError):
            answer.raw.read1(1 << 16)
    assert len(received) == 1000
    assert client.file(export_id).status_code == 200


def test_a_fault_for_one_export_spares_the_others(sandbox, client, export_id) -> None:
    other = client.create()["id"]
    sandbox.fault("file", "500", export_id=other)
    assert [client.file(which).status_code for which in (export_id, other, other)] == [200, 500, 200]


def test_any_bytes_can_be_put_in_place_of_a_file(sandbox, client, export_id) -> None:
    before = client.file(export_id).headers["ETag"]
    assert client.control("PUT", f"exports/{export_id}/file", data=b"no zip").status_code == 200
    answer = client.file(export_id)
    assert answer.content == b"no zip"
    assert answer.headers["ETag"] != before
