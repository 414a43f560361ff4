# SPDX-License-Identifier: Apache-2.0
"""Reading an exact number of bytes from a stream of blocks."""

from __future__ import annotations

from collections.abc import Iterator


class ByteReader:
    """
    A reader with a position in a stream of blocks.

    :param blocks: the stream
    :param position: the position of the stream's first byte in the file
    """

    def __init__(self, blocks: Iterator[bytes], position: int = 0) -> None:
        self._blocks = blocks
        self._block = b""
        self._at = 0
        self.position = position

    def read_some(self, limit: int) -> bytes:
        """Return at least one byte and at most ``limit`` bytes; ``b""`` at the end of the stream."""
        while self._at >= len(self._block):
            self._block, self._at = next(self._blocks, b""), 0
            if not self._block:
                return b""
        data = self._block[self._at : self._at + limit]
        self._at += len(data)
        self.position += len(data)
        return data

    def read(self, count: int) -> bytes:
        """Return ``count`` bytes, or fewer at the end of the stream."""
        parts: list[bytes] = []
        while count and (part := self.read_some(count)):
            parts.append(part)
            count -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def peek(self, count: int) -> bytes:
        """Return the next ``count`` bytes without consuming them, or fewer at the end of the stream."""
        data = self.read(count)
        self.unread(data)
        return data

    def unread(self, data: bytes) -> None:
        """Put back the bytes that were read last."""
        if not data:
            return
        if self._at >= len(data):  # the bytes are still in the current block
            self._at -= len(data)
        else:
            self._block, self._at = data + self._block[self._at :], 0
        self.position -= len(data)

    def skip(self, count: int) -> bool:
        """Skip ``count`` bytes; return False if the stream ends before that."""
        while count:
            skipped = len(self.read_some(count))
            if not skipped:
                return False
            count -= skipped
        return True

    def close(self) -> None:
        """Close the stream."""
        close = getattr(self._blocks, "close", None)
        if close is not None:
            close()
