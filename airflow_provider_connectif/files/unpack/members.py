# SPDX-License-Identifier: Apache-2.0
"""What comes out of an archive: members, and the watch over how much that may be."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator

from airflow_provider_connectif.files.errors import ArchiveTooLarge
from airflow_provider_connectif.files.read_ahead import ReadAhead

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
    :param ahead: has a thread make blocks, so many at most before they are asked for; None where they cost nothing
        to make.
    :param sha256: gives the SHA-256 of all that :meth:`chunks` yields, hexadecimal, after its end; None where nobody
        takes it on the way.
    """

    def __init__(
        self,
        name: str,
        source_name: str,
        size: int | None,
        blocks: Iterator[bytes],
        ahead: Callable[[Callable[[], bytes], int], ReadAhead] | None,
        sha256: Callable[[], str] | None = None,
    ) -> None:
        self.name = name
        self.source_name = source_name
        self.size = size
        self.sha256 = sha256
        # Not this object itself: what the blocks hold on to would keep a reading alive that everybody has dropped.
        self._state = _State()
        self._blocks = _noting_the_end(blocks, self._state)
        self._ahead = ahead
        self._handed_out: ReadAhead | None = None

    def __repr__(self) -> str:
        return f"<Member {self.name!r}>"

    def chunks(self) -> Iterator[bytes]:
        """
        Yield what is to be written, once.

        After the last block it has been checked against the length and CRC that the archive holds; if they are wrong,
        this raises in place of ending.

        :raises FileError: the member is not whole, or cannot be read.
        """
        if self._state.begun:
            raise ValueError(f"The member {self.name!r} was read already, or closed.")
        self._state.begun = True
        if self._ahead is None or (self.size is not None and self.size < _THREAD_FROM):
            return _whole_only(self._blocks, self._state)
        # Unpacked and checked in a thread, while the caller digests and writes the blocks before.
        blocks = self._blocks
        self._handed_out = self._ahead(lambda: next(blocks, b""), _WAITING)
        return _whole_only(self._handed_out, self._state)

    def finish(self) -> None:
        """Read, and so check, what was not asked for."""
        self._state.begun = True
        if self._handed_out is not None:
            self._handed_out.close()
        for _ in self._blocks:
            pass

    def close(self) -> None:
        """Give the member up."""
        self._state.begun = True
        if self._handed_out is not None:
            self._handed_out.close()
        self._blocks.close()


class _State:
    begun = False
    ended = False


def _noting_the_end(blocks: Iterator[bytes], state: _State) -> Generator[bytes, None, None]:
    yield from blocks
    state.ended = True


def _whole_only(blocks: Iterator[bytes], state: _State) -> Iterator[bytes]:
    yield from blocks
    if not state.ended:
        raise ValueError("The member was closed before its end.")


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
