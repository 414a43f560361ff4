# SPDX-License-Identifier: Apache-2.0
"""Short forms of what the tests of this room do again and again."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from airflow_provider_connectif.files.download.remote_file import RemoteFile, RetryPolicy
from airflow_provider_connectif.files.unpack.archive import open_archive
from tests.files.store import Faults, Store, serving

IMPATIENT = RetryPolicy(first_wait=0.001, longest_wait=0.01)


@contextmanager
def remote_file(content: bytes, faults: Faults | None = None, **options: Any) -> Iterator[tuple[RemoteFile, Store]]:
    """A remote file in a store of its own, and the store."""
    with serving(content, faults) as store, RemoteFile(store.renew, **({"policy": IMPATIENT} | options)) as file:
        yield file, store


def read_all(file: RemoteFile) -> bytes:
    return b"".join(file.chunks())


def unpacked(
    content: bytes,
    file_format: str = "csv",
    *,
    ranges: bool = True,
    limit: int | None = None,
    file_name: str = "export",
    faults: Faults | None = None,
) -> dict[str, bytes]:
    """What comes out of an export's file, by name; gzip members unpacked."""
    with remote_file(content, faults or Faults(ranges=ranges)) as (file, _):
        return members_of(file, file_format, limit, file_name)


def members_of(
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


def threads_of_ours() -> list[str]:
    """Names of the package's threads; a sandbox that serves other tests of this process is not meant."""
    names = [thread.name for thread in threading.enumerate()]
    return [name for name in names if name.startswith("connectif") and name != "connectif-sandbox"]
