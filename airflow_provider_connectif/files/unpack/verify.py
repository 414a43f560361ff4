# SPDX-License-Identifier: Apache-2.0
"""A file passed on byte for byte, checked by its length, its end and what checksums the store tells."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from airflow_provider_connectif.files.deflate import crc32
from airflow_provider_connectif.files.download.remote_file import RemoteFile
from airflow_provider_connectif.files.errors import RemoteFileDamaged
from airflow_provider_connectif.files.unpack import zip_records as z

_KEPT = 1 << 20


class Tail:
    """The last bytes of a stream, at least 1 MB where there are as many."""

    def __init__(self) -> None:
        self.passed = 0
        self._blocks: deque[bytes] = deque()
        self._kept = 0

    def add(self, block: bytes) -> None:
        """Note what passes."""
        self._blocks.append(block)
        self.passed += len(block)
        self._kept += len(block)
        while self._kept - len(self._blocks[0]) >= _KEPT:
            self._kept -= len(self._blocks.popleft())

    def since(self, position: int) -> bytes | None:
        """Return the bytes from ``position`` of the stream on; None when they are not kept any more."""
        start = self.passed - self._kept
        return b"".join(self._blocks)[position - start :] if position >= start else None

    def find_end(self) -> z.End | None:
        """Return the end record of an archive, if the stream ended with one."""
        return z.find_end(self.since(max(0, self.passed - z.TAIL)) or b"", self.passed)


class _Checksum:
    """Counts one of the checksums that stores tell."""

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


def whole(remote: RemoteFile, blocks: Iterator[bytes], end_check: Callable[[Tail], None] | None) -> Iterator[bytes]:
    """
    Pass blocks on, and check them when the last one has passed.

    :param remote: tells the size and checksums that they must have.
    :param blocks: the file, from its first byte.
    :param end_check: looks at the file's end.
    :raises RemoteFileDamaged: the length or a checksum is not what the store tells.
    """
    tail = Tail()
    sums = {name: _Checksum(name) for name in ("crc32", "md5", "sha1", "sha256") if name in remote.checksums}
    for block in blocks:
        tail.add(block)
        for checksum in sums.values():
            checksum.update(block)
        yield block
    if remote.size is not None and tail.passed != remote.size:
        raise RemoteFileDamaged(f"The file has {remote.size} bytes in the vendor's store, but {tail.passed} arrived.")
    for name, checksum in sums.items():
        if checksum.digest() != remote.checksums[name]:
            raise RemoteFileDamaged(
                f"The file that arrived has not the {name.upper()} that the vendor's store tells for it."
            )
    if end_check is not None:
        end_check(tail)
