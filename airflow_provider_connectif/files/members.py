# SPDX-License-Identifier: Apache-2.0
"""What comes out of an archive: members, and the watch over how much that may be."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from airflow_provider_connectif.files.errors import ArchiveTooLarge
from airflow_provider_connectif.files.readahead import ReadAhead

#: A thread is worth its start from this size on.
_THREAD_FROM = 1 << 20
#: Blocks of up to 256 KB (1 MB in a file that is passed on) which may wait to be written.
_WAITING = 8


class Member:
    """
    One object to be written.

    :param name: its final name, safe and distinct within the archive, with extension.
    :param source_name: what the archive called it.
    :param size: its bytes uncompressed; None when not known before it is read.
    :param blocks: what is to be written.
    :param ahead: has a thread make blocks, so many at most before they are asked for.
    """

    def __init__(
        self,
        name: str,
        source_name: str,
        size: int | None,
        blocks: Iterator[bytes],
        ahead: Callable[[Callable[[], bytes], int], ReadAhead],
    ) -> None:
        self.name = name
        self.source_name = source_name
        self.size = size
        self._blocks = blocks
        self._ahead = ahead
        self._handed_out: Iterator[bytes] | None = None

    def __repr__(self) -> str:
        return f"<Member {self.name!r}>"

    def chunks(self) -> Iterator[bytes]:
        """
        Yield what is to be written, once.

        After the last block it has been checked against the length and CRC that the archive holds; if they
        are wrong, this raises in place of ending.

        :raises FileError: the member is not whole, or cannot be read.
        """
        if self._handed_out is not None:
            raise ValueError(f"The member {self.name!r} was read already.")
        if self.size is not None and self.size < _THREAD_FROM:
            self._handed_out = self._blocks
        else:
            # Unpacked and checked in a thread, while the caller digests and writes the blocks before.
            blocks = self._blocks
            self._handed_out = self._ahead(lambda: next(blocks, b""), _WAITING)
        return self._handed_out

    def finish(self) -> None:
        """Read, and so check, what was not asked for."""
        if isinstance(self._handed_out, ReadAhead):
            self._handed_out.close()
        for _ in self._blocks:
            pass

    def close(self) -> None:
        """Give the member up."""
        for blocks in (self._handed_out, self._blocks):
            close: Callable[[], None] | None = getattr(blocks, "close", None)
            if close is not None:
                close()


class Budget:
    """
    Counts what comes out of an archive, as what the archive says of itself may be a lie.

    :param limit: bytes that may come out in all; None for no limit.
    """

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._spent = 0

    def declare(self, size: int) -> None:
        """
        Check what is announced to come.

        :raises ArchiveTooLarge: it would be too much.
        """
        if self._limit is not None and self._spent + size > self._limit:
            raise self._error(f"at least {self._spent + size:,}")

    def spend(self, size: int) -> None:
        """
        Count what came out.

        :raises ArchiveTooLarge: it is too much.
        """
        self._spent += size
        if self._limit is not None and self._spent > self._limit:
            raise self._error("more")

    def _error(self, amount: str) -> ArchiveTooLarge:
        return ArchiveTooLarge(
            f"The export's file unpacks to {amount} bytes, but max_uncompressed_bytes allows "
            f"{self._limit:,}. Raise it if the export is meant to be that large."
        )
