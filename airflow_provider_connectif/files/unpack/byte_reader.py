# SPDX-License-Identifier: Apache-2.0
"""A stream of blocks, read byte-exactly."""

from __future__ import annotations

from collections.abc import Iterator


class Cursor:
    """
    A place in a stream of blocks.

    :param blocks: the stream.
    :param position: where in the file its first byte is.
    """

    def __init__(self, blocks: Iterator[bytes], position: int = 0) -> None:
        self._blocks = blocks
        self._block = b""
        self._at = 0
        self.position = position

    def some(self, limit: int) -> bytes:
        """Return at least one byte and at most ``limit``; ``b""`` at the end of the stream."""
        while self._at >= len(self._block):
            self._block, self._at = next(self._blocks, b""), 0
            if not self._block:
                return b""
        taken = self._block[self._at : self._at + limit]
        self._at += len(taken)
        self.position += len(taken)
        return taken

    def take(self, count: int) -> bytes:
        """Return ``count`` bytes, fewer only at the end of the stream."""
        parts: list[bytes] = []
        while count and (part := self.some(count)):
            parts.append(part)
            count -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def peek(self, count: int) -> bytes:
        """Return the next ``count`` bytes without going past them, fewer only at the end of the stream."""
        seen = self.take(count)
        self.unread(seen)
        return seen

    def unread(self, data: bytes) -> None:
        """Put bytes back that were taken last."""
        if not data:
            return
        if self._at >= len(data):  # they are the bytes just before this place of the block
            self._at -= len(data)
        else:
            self._block, self._at = data + self._block[self._at :], 0
        self.position -= len(data)

    def skip(self, count: int) -> bool:
        """Go ``count`` bytes on; return False when the stream ends before."""
        while count:
            passed = len(self.some(count))
            if not passed:
                return False
            count -= passed
        return True

    def close(self) -> None:
        """End the stream."""
        close = getattr(self._blocks, "close", None)
        if close is not None:
            close()
