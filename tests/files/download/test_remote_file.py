# SPDX-License-Identifier: Apache-2.0
"""A remote file, read from a real store on loopback that misbehaves."""

from __future__ import annotations

import hashlib
import io
import os
import random
import threading
import time
import zipfile

import pytest
import requests
import requests_mock

from airflow_provider_connectif.files.download.range_reader import BLOCK_SIZE
from airflow_provider_connectif.files.download.remote_file import RemoteFile, RetryPolicy
from airflow_provider_connectif.files.download.source import HEAD_SIZE
from airflow_provider_connectif.files.errors import (
    FileError,
    RemoteFileChanged,
    RemoteFileRefused,
    RemoteFileUnavailable,
)
from tests.files.file_server import Faults, serve_file
from tests.files.remote_files import FAST_RETRIES, package_threads, read_all, remote_file

MB = 1_000_000
BYTES = random.Random(5).randbytes(6 * MB)


@pytest.mark.parametrize("size", [0, 1, 262_143, 262_144, 262_145, 1 << 20, (1 << 20) + 1, 6 * MB])
@pytest.mark.parametrize("ranges", [True, False])
def test_a_file_of_any_size_arrives_byte_for_byte(size: int, ranges: bool) -> None:
    with remote_file(BYTES[:size], Faults(ranges=ranges)) as (file, _):
        assert read_all(file) == BYTES[:size]
        assert file.size == size


def test_a_small_file_takes_one_request() -> None:
    with remote_file(b"a,b\n") as (file, store):
        assert read_all(file) == b"a,b\n"
        assert len(store.requests) == 1


def test_any_part_can_be_read_by_itself() -> None:
    with remote_file(BYTES) as (file, store):
        for start, stop in [(0, 5), (100, 300_000), (262_144, 262_145), (2 * MB, 5 * MB), (6 * MB - 7, None), (9, 9)]:
            assert b"".join(file.chunks(start, stop)) == BYTES[start:stop]
        assert store.bytes_sent < 4 * MB


def test_a_part_is_read_from_a_store_without_ranges_too() -> None:
    with remote_file(BYTES, Faults(ranges=False)) as (file, _):
        assert not file.supports_ranges
        assert b"".join(file.chunks(MB, 2 * MB)) == BYTES[MB : 2 * MB]
        assert b"".join(file.chunks(5, 9)) == BYTES[5:9]


def test_the_size_of_a_chunked_answer_is_known_at_its_end() -> None:
    with remote_file(BYTES, Faults(ranges=False, chunked=True)) as (file, _):
        assert file.size is None
        assert read_all(file) == BYTES
        assert file.size == len(BYTES)


# Breaks


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize("block", [40_000, 300_000])
def test_fifty_cuts_cost_no_byte(block: int, reset: bool) -> None:
    content = BYTES * (block // 100_000 or 1)
    faults = Faults(cut_after=block, cuts=50, reset=reset)
    with remote_file(content, faults) as (file, store):
        assert hashlib.sha256(read_all(file)).digest() == hashlib.sha256(content).digest()
        assert faults.cuts == 0
        assert len(store.requests) >= 51
    if not reset:  # what a reset throws away on the way is sent again
        assert store.bytes_sent <= len(content) + 51 * block


def test_after_a_break_reading_goes_on_at_the_next_byte_with_the_etag_as_condition() -> None:
    with remote_file(BYTES, Faults(cut_after=MB, cuts=1)) as (file, store):
        read_all(file)
        assert [request["Range"] for request in store.requests] == [
            "bytes=0-262143",
            f"bytes=262144-{6 * MB - 1}",
            f"bytes={262_144 + MB}-{6 * MB - 1}",
        ]
        assert store.requests[2]["If-Range"] == file.etag


def test_after_a_break_reading_goes_on_at_once() -> None:
    waits: list[float] = []
    with remote_file(BYTES, Faults(cut_after=MB, cuts=3), sleep=waits.append) as (file, _):
        read_all(file)
    assert waits == [0.0] * 3


@pytest.mark.parametrize("reset", [False, True])
def test_a_break_of_a_fast_answer_costs_a_block_at_most(reset: bool) -> None:
    with remote_file(BYTES, Faults(cut_after=3 * MB + 700_001, cuts=1, reset=reset)) as (file, store):
        assert read_all(file) == BYTES
        starts = [int(request["Range"].removeprefix("bytes=").partition("-")[0]) for request in store.requests[1:]]
    assert starts[-1] >= 3 * MB + 700_001 - BLOCK_SIZE - (3 * MB if reset else 0)  # a reset drops what was on its way


def test_what_comes_slowly_is_handed_on_before_a_block_is_full() -> None:
    faults = Faults(block=50_000, pause=0.1)
    with remote_file(BYTES, faults) as (file, _):
        began = time.monotonic()
        sizes = [len(block) for block, _ in zip(file.chunks(HEAD_SIZE), range(2), strict=False)]
        assert time.monotonic() - began < 3.0  # a block of 1 MiB would take 2 s, two of them 4
    assert max(sizes) < BLOCK_SIZE


def test_every_request_asks_for_bytes_as_they_are_stored() -> None:
    with remote_file(BYTES, Faults(cut_after=MB, cuts=1)) as (file, store):
        read_all(file)
        assert {request["Accept-Encoding"] for request in store.requests} == {"identity"}


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
def test_a_store_without_ranges_is_read_again_up_to_the_break(chunked: bool, reset: bool) -> None:
    with remote_file(BYTES, Faults(ranges=False, chunked=chunked, cut_after=4 * MB, cuts=3, reset=reset)) as (file, _):
        assert read_all(file) == BYTES


def test_a_store_that_forgets_its_ranges_half_way_is_read_on() -> None:
    with remote_file(BYTES, Faults(ranges="once", cut_after=4 * MB, cuts=1)) as (file, _):
        assert read_all(file) == BYTES


def test_a_store_that_stops_sending_is_asked_again() -> None:
    with remote_file(BYTES, Faults(stall_after=MB, stalls=2), timeout=(5, 0.3)) as (file, store):
        assert read_all(file) == BYTES
        assert len(store.requests) >= 3


def test_a_slow_drip_is_no_break() -> None:
    content = BYTES[:300_000]
    with remote_file(content, Faults(block=20_000, pause=0.05), timeout=(5, 0.3)) as (file, store):
        assert read_all(file) == content
        assert len(store.requests) == 2


def test_errors_of_the_store_now_and_then_are_waited_out() -> None:
    faults = Faults(cut_after=MB, cuts=4, statuses=[503, 0, 500, 0, 429, 502, 0, 503])
    with remote_file(BYTES, faults) as (file, _):
        assert read_all(file) == BYTES
        assert faults.statuses == []


def test_retry_after_is_obeyed_and_bounded() -> None:
    for told, waited in [("7", 7.0), ("100000", 300.0)]:
        waits: list[float] = []
        with remote_file(b"x", Faults(statuses=[503], retry_after=told), sleep=waits.append) as (file, _):
            assert read_all(file) == b"x"
        assert waits == [waited]


def test_attempts_without_progress_are_bounded() -> None:
    waits: list[float] = []
    with remote_file(BYTES, Faults(statuses=[503] * 99), policy=RetryPolicy(), sleep=waits.append) as (file, store):
        with pytest.raises(RemoteFileUnavailable, match="8 attempts: the store responded with 503"):
            read_all(file)
        assert len(store.requests) == 8
    assert waits == sorted(waits)
    assert 0.5 <= waits[0] <= 1.0


def test_a_break_that_always_comes_at_the_same_byte_of_a_store_without_ranges_ends_in_an_error() -> None:
    with (
        remote_file(BYTES, Faults(ranges=False, cut_after=MB)) as (file, _),
        pytest.raises(RemoteFileUnavailable, match="8 attempts"),
    ):
        read_all(file)


def test_a_store_that_is_not_there_is_an_error_in_our_words() -> None:
    with (
        RemoteFile(lambda: "http://127.0.0.1:9/x?X-Amz-Signature=secret", policy=FAST_RETRIES) as file,
        pytest.raises(RemoteFileUnavailable, match="no connection to the store could be established"),
    ):
        read_all(file)


# Addresses


def test_an_address_that_expires_during_the_download_is_replaced() -> None:
    faults = Faults(url_requests=4, cut_after=400_000, cuts=10)
    with remote_file(BYTES, faults) as (file, store):
        assert read_all(file) == BYTES
        assert store.renewals >= 3


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_a_refused_address_is_replaced_at_once(status: int) -> None:
    waits: list[float] = []
    with remote_file(BYTES, Faults(statuses=[status]), sleep=waits.append) as (file, store):
        assert read_all(file) == BYTES
        assert store.renewals == 2
    assert waits == [0.0]


def test_an_address_is_replaced_before_it_expires() -> None:
    now = [0.0]
    faults = Faults(cut_after=2 * MB, cuts=2)
    faults.on_request = lambda number: now.__setitem__(0, [0.0, 0.0, 899.0, 899.0, 899.0, 901.0][number])
    with remote_file(BYTES, faults, url_lifetime=1000.0, clock=lambda: now[0]) as (file, store):
        read_all(file)
        assert store.renewals == 1
        now[0] = 901.0
        assert b"".join(file.chunks(3 * MB, 4 * MB)) == BYTES[3 * MB : 4 * MB]
        assert store.renewals == 2


def test_fresh_addresses_that_are_refused_too_end_in_an_error() -> None:
    with remote_file(BYTES, Faults(statuses=[403] * 99)) as (file, store):
        with pytest.raises(RemoteFileRefused, match=r"refuses the signed URL of the export's file \(403\)"):
            read_all(file)
        assert store.renewals == 4


def test_what_renew_raises_is_passed_through() -> None:
    class Gone(Exception):
        pass

    faults = Faults(cut_after=MB, cuts=1)
    with serve_file(BYTES, faults) as store:
        answers = [store.renew()]

        def renew() -> str:
            if not answers:
                raise Gone
            return answers.pop()

        faults.on_request = lambda number: store.expire_urls() if number > 2 else None
        with RemoteFile(renew, policy=FAST_RETRIES) as file, pytest.raises(Gone):
            read_all(file)


# The same file


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("etag", [True, False], ids=["etag", "size alone"])
def test_a_file_that_changes_half_way_is_noticed(ranges: bool, etag: bool) -> None:
    faults = Faults(ranges=ranges, etag=etag, cut_after=3 * MB, cuts=1)
    with remote_file(BYTES, faults) as (file, store):
        faults.on_request = lambda number: setattr(store, "content", BYTES[::-1] + b"!") if faults.cuts == 0 else None
        with pytest.raises(RemoteFileChanged):
            read_all(file)


def test_another_file_of_the_same_size_is_noticed_by_its_first_bytes_where_nothing_else_tells() -> None:
    faults = Faults(ranges=False, etag=False, cut_after=3 * MB, cuts=1)
    with remote_file(BYTES, faults) as (file, store):
        faults.on_request = lambda number: setattr(store, "content", BYTES[::-1]) if faults.cuts == 0 else None
        with pytest.raises(RemoteFileChanged, match="sent a different file"):
            read_all(file)


# Lengths that lie


@pytest.mark.parametrize("lie", [-100_000, -1, 1, 5_000])
def test_a_content_length_that_lies_about_a_range_costs_no_byte(lie: int) -> None:
    faults = Faults()
    faults.on_request = lambda number: setattr(faults, "length_error", lie if 1 < number < 6 else 0)
    with remote_file(BYTES, faults, timeout=(5, 0.5)) as (file, _):
        assert read_all(file) == BYTES


def test_a_size_that_is_larger_than_the_file_ends_in_an_error() -> None:
    with remote_file(BYTES, Faults(total_error=1000)) as (file, _), pytest.raises(FileError):
        read_all(file)


def test_an_answer_that_says_it_is_longer_than_it_is_ends_in_an_error() -> None:
    with (
        remote_file(BYTES, Faults(ranges=False, length_error=500)) as (file, _),
        pytest.raises(RemoteFileUnavailable),
    ):
        read_all(file)


# Secrets and redirects


def test_nothing_but_the_request_is_sent_not_even_from_netrc(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    netrc = os.path.join(str(tmp_path), "netrc")
    with open(netrc, "w") as file:
        file.write("machine 127.0.0.1 login somebody password hidden\n")
    os.chmod(netrc, 0o600)
    monkeypatch.setenv("NETRC", netrc)
    session = requests.Session()
    session.headers["Authorization"] = "apiKey of:theapi"
    for options in ({}, {"session": session}):
        with remote_file(BYTES, Faults(cut_after=MB, cuts=1, headers={"Set-Cookie": "a=b"}), **options) as (
            file,
            store,
        ):
            read_all(file)
            assert len(store.requests) == 3
            assert not any("Authorization" in request for request in store.requests)
    with requests.Session() as plain, serve_file(b"x") as store:
        plain.get(store.renew())
        assert "Authorization" in store.requests[0], "the netrc file of this test should work where it is used"


def test_a_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with serve_file(b"by proxy") as proxy:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("no_proxy", "")
        address = proxy.renew().replace(f"127.0.0.1:{proxy.port}", "store.example")
        with RemoteFile(lambda: address, policy=FAST_RETRIES) as file:
            assert read_all(file) == b"by proxy"
        assert proxy.requests[0]["Host"] == "store.example"


def test_a_redirect_is_followed() -> None:
    with remote_file(BYTES, Faults(redirect=lambda path: path + "&redirected=1")) as (file, _):
        assert read_all(file) == BYTES


@pytest.mark.parametrize("target", ["http://store.example/x", "file:///x", ""])
def test_a_redirect_away_from_https_is_not_followed(target: str) -> None:
    session, store = requests.Session(), requests_mock.Adapter()
    session.mount("https://", store)
    store.register_uri("GET", "https://store.example/file", status_code=302, headers={"Location": target})
    with (
        RemoteFile(lambda: "https://store.example/file", policy=FAST_RETRIES, session=session) as file,
        pytest.raises(RemoteFileRefused, match="redirects"),
    ):
        read_all(file)
    assert len(store.request_history) == 1


def test_redirects_in_a_circle_end_in_an_error() -> None:
    with (
        remote_file(BYTES, Faults(redirect=lambda path: path)) as (file, _),
        pytest.raises(RemoteFileRefused, match="redirects more than 5 times"),
    ):
        read_all(file)


def test_an_address_of_another_kind_is_refused() -> None:
    for address in ("file:///etc/passwd", "ftp://example.com/x", "nonsense", "http://[bad/x"):
        with RemoteFile(lambda address=address: address, policy=FAST_RETRIES) as file, pytest.raises(RemoteFileRefused):
            read_all(file)


# As a stream


def test_it_reads_as_a_stream() -> None:
    with remote_file(BYTES) as (file, _):
        assert file.read(10) == BYTES[:10]
        assert file.tell() == 10
        file.seek(3 * MB)
        buffered = io.BufferedReader(file)  # type: ignore[type-var]
        assert buffered.read(2 * MB) == BYTES[3 * MB : 5 * MB]
        buffered.detach()
        file.seek(-5, io.SEEK_END)
        assert file.read() == BYTES[-5:]
        assert file.read(1) == b""
        file.seek(0)
        assert file.read() == BYTES


@pytest.mark.parametrize("faults", [Faults(), Faults(ranges=False), Faults(ranges=False, chunked=True)], ids=repr)
def test_zipfile_can_read_it(faults: Faults) -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for number in range(5):
            archive.writestr(f"{number}.csv", BYTES[number * 100_000 : (number + 1) * 100_000])
    with remote_file(made.getvalue(), faults) as (file, _), zipfile.ZipFile(file) as archive:  # type: ignore[type-var]
        assert archive.testzip() is None
        assert archive.read("3.csv") == BYTES[300_000:400_000]


def test_jumping_about_does_not_read_the_file_each_time() -> None:
    with remote_file(BYTES * 4) as (file, store):
        for position in range(MB, 20 * MB, MB):
            file.seek(position)
            assert file.read(10) == (BYTES * 4)[position : position + 10]
        assert store.bytes_sent < 20 * 300_000


# Memory, threads, connections


def test_not_more_than_a_few_blocks_are_read_before_they_are_wanted() -> None:
    with remote_file(BYTES * 10, read_ahead=3) as (file, store):
        chunks = file.chunks()
        next(chunks)
        next(chunks)
        time.sleep(0.5)
        # The blocks that wait, one on its way, and what the sockets hold.
        assert store.bytes_sent < 30 * MB
        chunks.close()  # type: ignore[attr-defined]


def test_dropping_the_iterator_leaves_no_thread() -> None:
    with remote_file(BYTES * 10) as (file, _):
        chunks = file.chunks()
        next(chunks)
        next(chunks)
        assert package_threads()
        del chunks
        assert not package_threads()


@pytest.mark.parametrize("faults", [Faults(), Faults(ranges=False), Faults(stall_after=2 * MB, stalls=9)], ids=repr)
def test_closing_leaves_no_thread_and_no_connection(faults: Faults) -> None:
    open_before = len(os.listdir("/proc/self/fd"))
    with serve_file(BYTES * 10, faults) as store:
        file = RemoteFile(store.renew, policy=FAST_RETRIES)
        chunks = file.chunks()
        for _ in range(2):
            next(chunks)
        file.close()
        assert not package_threads()
        with pytest.raises(ValueError, match="closed"):
            list(chunks)
    del chunks
    deadline = time.monotonic() + 5
    while len(os.listdir("/proc/self/fd")) > open_before and time.monotonic() < deadline:
        time.sleep(0.02)
    assert len(os.listdir("/proc/self/fd")) <= open_before


def test_closing_does_not_wait_for_a_store_that_is_silent() -> None:
    answering = threading.Event()
    faults = Faults(cut_after=MB, cuts=1)
    faults.on_request = lambda number: answering.wait(20) if number > 2 else None
    ended: list[BaseException] = []
    with serve_file(BYTES, faults) as store:
        file = RemoteFile(store.renew, policy=FAST_RETRIES, timeout=(5, 30))

        def read() -> None:
            try:
                read_all(file)
            except ValueError as error:
                ended.append(error)

        reader = threading.Thread(target=read)
        reader.start()
        while len(store.requests) < 3:
            time.sleep(0.01)
        time.sleep(0.1)
        started = time.monotonic()
        file.close()
        reader.join(5)
        assert time.monotonic() - started < 3
        assert not package_threads()
        assert len(ended) == 1
        answering.set()


def test_closing_does_not_wait_for_the_next_attempt() -> None:
    with serve_file(BYTES, Faults(cut_after=MB, cuts=99, statuses=[0, 0, *[503] * 9])) as store:
        file = RemoteFile(store.renew, policy=RetryPolicy(first_wait=30.0, longest_wait=60.0))
        chunks = file.chunks()
        next(chunks)
        next(chunks)
        while len(store.requests) < 3:
            time.sleep(0.01)
        time.sleep(0.1)
        assert package_threads()
        started = time.monotonic()
        file.close()
        assert time.monotonic() - started < 3
        assert not package_threads()


def test_a_closed_file_says_so() -> None:
    with remote_file(BYTES) as (file, _):
        pass
    for use in (lambda: file.size, lambda: file.read(1), lambda: list(file.chunks()), lambda: file.seek(1)):
        with pytest.raises(ValueError, match="closed"):
            use()
