# SPDX-License-Identifier: Apache-2.0
"""A remote file, read from a real server on loopback."""

from __future__ import annotations

import io
import os
import threading
import time
import zipfile
from collections.abc import Callable

import pytest

from airflow_provider_connectif.files.download.remote_file import RemoteFile, RetryPolicy
from tests.files.file_server import Faults, serve_file
from tests.files.remote_files import (
    BYTES,
    FAST_RETRIES,
    MB,
    package_threads,
    read_all,
    remote_file,
    wait_until,
)


@pytest.mark.parametrize("size", [0, 1, 262_143, 262_144, 262_145, 1 << 20, (1 << 20) + 1, 6 * MB])
@pytest.mark.parametrize("ranges", [True, False])
def test_a_file_of_any_size_arrives_byte_for_byte(size: int, ranges: bool) -> None:
    with remote_file(BYTES[:size], Faults(ranges=ranges)) as (file, _):
        assert read_all(file) == BYTES[:size]
        assert file.size == size


def test_a_small_file_takes_one_request() -> None:
    with remote_file(b"a,b\n") as (file, server):
        assert read_all(file) == b"a,b\n"
        assert len(server.requests) == 1


def test_any_range_can_be_read_without_the_bytes_before_it() -> None:
    with remote_file(BYTES) as (file, server):
        for start, stop in [(0, 5), (100, 300_000), (262_144, 262_145), (2 * MB, 5 * MB), (6 * MB - 7, None), (9, 9)]:
            assert b"".join(file.chunks(start, stop)) == BYTES[start:stop]
        assert server.bytes_sent < 4 * MB


def test_a_range_can_be_read_from_a_store_without_ranges() -> None:
    with remote_file(BYTES, Faults(ranges=False)) as (file, _):
        assert not file.info.supports_ranges
        assert b"".join(file.chunks(MB, 2 * MB)) == BYTES[MB : 2 * MB]
        assert b"".join(file.chunks(5, 9)) == BYTES[5:9]


def test_it_can_be_read_as_a_stream() -> None:
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
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number in range(5):
            archive.writestr(f"{number}.csv", BYTES[number * 100_000 : (number + 1) * 100_000])
    with remote_file(buffer.getvalue(), faults) as (file, _), zipfile.ZipFile(file) as archive:  # type: ignore[type-var]
        assert archive.testzip() is None
        assert archive.read("3.csv") == BYTES[300_000:400_000]


def test_seeking_does_not_read_the_whole_file_each_time() -> None:
    with remote_file(BYTES * 4) as (file, server):
        for position in range(MB, 20 * MB, MB):
            file.seek(position)
            assert file.read(10) == (BYTES * 4)[position : position + 10]
        assert server.bytes_sent < 20 * 300_000


def test_only_a_few_blocks_are_read_ahead() -> None:
    with remote_file(BYTES * 10, read_ahead=3) as (file, server):
        chunks = file.chunks()
        next(chunks)
        next(chunks)
        sent = -1
        while sent != server.bytes_sent:
            sent = server.bytes_sent
            time.sleep(0.2)
        # The queued blocks, one more, and the buffers of the sockets.
        assert sent < 30 * MB
        chunks.close()  # type: ignore[attr-defined]


def test_deleting_the_iterator_leaves_no_thread() -> None:
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
    with serve_file(BYTES * 10, faults) as server:
        file = RemoteFile(server.renew, policy=FAST_RETRIES)
        chunks = file.chunks()
        for _ in range(2):
            next(chunks)
        file.close()
        assert not package_threads()
        with pytest.raises(ValueError, match="closed"):
            list(chunks)
    del chunks
    wait_until(lambda: len(os.listdir("/proc/self/fd")) <= open_before)


def finishes(close: Callable[[], None]) -> None:
    """Call ``close`` in a thread, which must end long before anything that it could wait for."""
    outcome: list[BaseException | None] = []

    def run() -> None:
        try:
            close()
            outcome.append(None)
        except BaseException as error:
            outcome.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(60)
    assert outcome == [None]


def test_closing_does_not_wait_for_a_store_that_sends_nothing() -> None:
    release = threading.Event()
    faults = Faults(cut_after=MB, cuts=1)
    faults.on_request = lambda number: release.wait(100) if number > 2 else None
    errors: list[BaseException] = []
    with serve_file(BYTES, faults) as server:
        file = RemoteFile(server.renew, policy=FAST_RETRIES, timeout=(5, 200))

        def read() -> None:
            try:
                read_all(file)
            except ValueError as error:
                errors.append(error)

        reader = threading.Thread(target=read)
        reader.start()
        wait_until(lambda: len(server.requests) == 3)
        time.sleep(0.1)  # until the reader waits for the response
        finishes(file.close)
        reader.join(60)
        assert not reader.is_alive()
        assert not package_threads()
        assert len(errors) == 1
        release.set()


def test_closing_does_not_wait_for_the_next_attempt() -> None:
    with serve_file(BYTES, Faults(cut_after=MB, cuts=99, statuses=[0, 0, *[503] * 9])) as server:
        file = RemoteFile(server.renew, policy=RetryPolicy(first_wait=1000.0, longest_wait=1000.0))
        chunks = file.chunks()
        next(chunks)
        next(chunks)
        wait_until(lambda: len(server.requests) == 3)
        time.sleep(0.1)  # until the reader waits for the next attempt
        assert package_threads()
        finishes(file.close)
        assert not package_threads()


def test_using_a_closed_file_raises_an_error() -> None:
    with remote_file(BYTES) as (file, _):
        pass
    for use in (lambda: file.size, lambda: file.read(1), lambda: list(file.chunks()), lambda: file.seek(1)):
        with pytest.raises(ValueError, match="closed"):
            use()
