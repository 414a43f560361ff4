# SPDX-License-Identifier: Apache-2.0
"""Verification of a file that is stored unchanged: its length, its end, and the checksums that the store reports."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from airflow_provider_connectif.files.deflate import crc32
from airflow_provider_connectif.files.download.remote_file import RemoteFile
from airflow_provider_connectif.files.errors import RemoteFileDamaged
from airflow_provider_connectif.files.unpack.zip_records import MAX_END_SIZE, EndRecord, find_end_record

_TAIL_SIZE = 1 << 20


class Tail:
    """The last bytes of a stream, at least 1 MB if the stream is that long."""

    def __init__(self) -> None:
        self.length = 0
        self._blocks: deque[bytes] = deque()
        self._kept = 0

    def add(self, block: bytes) -> None:
        """Add the next block of the stream."""
        self._blocks.append(block)
        self.length += len(block)
        self._kept += len(block)
        while self._kept - len(self._blocks[0]) >= _TAIL_SIZE:
            self._kept -= len(self._blocks.popleft())

    def since(self, position: int) -> bytes | None:
        """Return the bytes from ``position`` of the stream; None if they are no longer kept."""
        start = self.length - self._kept
        return b"".join(self._blocks)[position - start :] if position >= start else None

    def find_end_record(self) -> EndRecord | None:
        """Return the end record of an archive, or None if the stream does not end with one."""
        return find_end_record(self.since(max(0, self.length - MAX_END_SIZE)) or b"", self.length)


class _Checksum:
    """A running checksum of one of the algorithms that stores use."""

    def __init__(self, algorithm: str) -> None:
        self._hash: Any = None if algorithm == "crc32" else hashlib.new(algorithm, usedforsecurity=False)
        self._crc = 0

    def update(self, block: bytes) -> None:
        if self._hash is None:
            self._crc = crc32(block, self._crc)
        else:
            self._hash.update(block)

    def digest(self) -> bytes:
        return self._crc.to_bytes(4, "big") if self._hash is None else bytes(self._hash.digest())


def verify_blocks(remote: RemoteFile, blocks: Iterator[bytes], check_end: Callable[[Tail], None]) -> Iterator[bytes]:
    """
    Yield the blocks of a file, and verify it after the last one.

    :param remote: the file, with its expected size and checksums
    :param blocks: its content from the first byte
    :param check_end: checks the last bytes
    :raises RemoteFileDamaged: the length or a checksum differs from what the store reports
    """
    tail = Tail()
    checksums = {name: _Checksum(name) for name in ("crc32", "md5", "sha1", "sha256") if name in remote.info.checksums}
    for block in blocks:
        tail.add(block)
        for checksum in checksums.values():
            checksum.update(block)
        yield block
    if remote.size is not None and tail.length != remote.size:
        raise RemoteFileDamaged(
            f"The export's file has {remote.size} bytes in the vendor's store, but {tail.length} were received."
        )
    for name, checksum in checksums.items():
        if checksum.digest() != remote.info.checksums[name]:
            raise RemoteFileDamaged(
                f"The {name.upper()} of the downloaded file differs from the one that the vendor's store reports."
            )
    check_end(tail)
