# SPDX-License-Identifier: Apache-2.0
"""Helpers for tests that read a remote file."""

from __future__ import annotations

import gzip
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from airflow_provider_connectif.files.download.remote_file import RemoteFile, RetryPolicy
from airflow_provider_connectif.files.unpack.archive import open_archive
from tests.files.file_server import Faults, FileServer, serve_file

FAST_RETRIES = RetryPolicy(first_wait=0.001, longest_wait=0.01)


@contextmanager
def remote_file(
    content: bytes, faults: Faults | None = None, **options: Any
) -> Iterator[tuple[RemoteFile, FileServer]]:
    """Yield a remote file and the server that serves it."""
    with (
        serve_file(content, faults) as server,
        RemoteFile(server.renew, **({"policy": FAST_RETRIES} | options)) as file,
    ):
        yield file, server


def read_all(file: RemoteFile) -> bytes:
    return b"".join(file.chunks())


def unpack(
    content: bytes,
    file_format: str = "csv",
    *,
    ranges: bool = True,
    limit: int | None = None,
    file_name: str = "export",
    faults: Faults | None = None,
) -> dict[str, bytes]:
    """Return the members of an export's file by name, with gzip files decompressed."""
    with remote_file(content, faults or Faults(ranges=ranges)) as (file, _):
        return read_members(file, file_format, limit, file_name)


def read_members(
    file: RemoteFile, file_format: str = "csv", limit: int | None = None, file_name: str = "export"
) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    archive = open_archive(
        file,
        file_format=file_format,
        file_name=file_name,
        max_uncompressed_bytes=limit,
    )
    for member in archive:
        assert member.name not in found
        data = b"".join(member.chunks())
        found[member.name] = gzip.decompress(data) if member.name.endswith(".gz") else data
    return found


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for a condition, up to a limit that only a failing test reaches."""
    for _ in range(6000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("the condition was not met within a minute")


_OF_OTHER_TESTS = ("connectif-sandbox", "connectif-poll")


def package_threads() -> list[str]:
    """Return the names of the package's threads, except a sandbox and pollers that other tests of this process use."""
    names = [thread.name for thread in threading.enumerate()]
    return [name for name in names if name.startswith("connectif") and not name.startswith(_OF_OTHER_TESTS)]


MB = 1_000_000


BYTES = random.Random(5).randbytes(6 * MB)


WITH_AND_WITHOUT_RANGES = pytest.mark.parametrize("ranges", [True, False], ids=["ranges", "no ranges"])


FORMATS = pytest.mark.parametrize("file_format", ["csv", "csv.gz"])
