# SPDX-License-Identifier: Apache-2.0
"""The members of an archive, and the limit on their total size."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator

from airflow_provider_connectif.files.errors import ArchiveTooLarge
from airflow_provider_connectif.files.read_ahead import ReadAhead
from airflow_provider_connectif.files.tables.contents import Contents, ContentsCounter
from airflow_provider_connectif.files.tables.parquet import ParquetConverter

#: Smaller members are read without a thread: starting one would take longer.
_MIN_THREAD_SIZE = 1 << 20
#: Maximum number of queued blocks, of up to 256 KB (1 MB if the file is stored unchanged).
_QUEUED_BLOCKS = 8


class Member:
    """
    A file to store.

    :param name: its final name, safe and unique within the archive, with extension
    :param source_name: its name in the archive
    :param size: its uncompressed size in bytes; None if unknown before it is read
    :param blocks: its content
    :param read_ahead: starts a thread that produces blocks, given the maximum number of queued ones; None if producing
        them takes no time
    :param sha256: returns the hexadecimal SHA-256 of everything that :meth:`chunks` yields, after its end; None if it
        is not computed while reading
    :param counter: counts its records, which :attr:`contents` returns; None if it is not a CSV file, or not unpacked
    """

    def __init__(
        self,
        name: str,
        source_name: str,
        size: int | None,
        blocks: Iterator[bytes],
        read_ahead: Callable[[Callable[[], bytes], int], ReadAhead] | None,
        sha256: Callable[[], str] | None = None,
        counter: ContentsCounter | ParquetConverter | None = None,
    ) -> None:
        self.name = name
        self.source_name = source_name
        self.size = size
        self.sha256 = sha256
        # The blocks refer to this state and not to the member, so that an unused member is garbage-collected.
        self._state = _State()
        self._blocks = _note_end(blocks, self._state)
        self._read_ahead = read_ahead
        self._chunks: ReadAhead | None = None
        self._counter = counter

    def __repr__(self) -> str:
        return f"<Member {self.name!r}>"

    @property
    def contents(self) -> Contents | None:
        """Its records and columns, after everything was read; None if it is not a CSV file, or not unpacked."""
        return self._counter.finish() if self._counter else None

    def chunks(self) -> Iterator[bytes]:
        """
        Yield the content. Can be called once.

        After the last block, the length and CRC are compared with those in the archive; if they differ, the iterator
        raises instead of ending.

        :raises FileError: the member is incomplete or cannot be read
        """
        if self._state.started:
            raise ValueError(f"The member {self.name!r} was already read or closed.")
        self._state.started = True
        if self._read_ahead is None or (self.size is not None and self.size < _MIN_THREAD_SIZE):
            return _raise_if_closed(self._blocks, self._state)
        # Decompressed and verified in a thread, while the caller hashes and writes the blocks before.
        blocks = self._blocks
        self._chunks = self._read_ahead(lambda: next(blocks, b""), _QUEUED_BLOCKS)
        return _raise_if_closed(self._chunks, self._state)

    def finish(self) -> None:
        """Read, and thereby verify, the rest of the content."""
        self._state.started = True
        if self._chunks is not None:
            self._chunks.close()
        for _ in self._blocks:
            pass
        if self._counter is not None:
            self._counter.finish()

    def close(self) -> None:
        """Stop reading the member."""
        self._state.started = True
        if self._chunks is not None:
            self._chunks.close()
        self._blocks.close()
        if self._counter is not None:
            self._counter.close()


class _State:
    started = False
    ended = False


def _note_end(blocks: Iterator[bytes], state: _State) -> Generator[bytes, None, None]:
    yield from blocks
    state.ended = True


def _raise_if_closed(blocks: Iterator[bytes], state: _State) -> Iterator[bytes]:
    yield from blocks
    if not state.ended:
        raise ValueError("The member was closed before its end.")


class SizeLimit:
    """
    A limit on the uncompressed size of an archive, which counts the bytes read because declared sizes may be wrong.

    :param limit: maximum number of uncompressed bytes; None for no limit
    """

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._total = 0

    def check_declared(self, size: int) -> None:
        """
        Check a size that the archive declares for content that has not been read.

        :raises ArchiveTooLarge: it would exceed the limit
        """
        if self._limit is not None and self._total + size > self._limit:
            raise self._error(f"at least {self._total + size:,}")

    def add(self, size: int) -> None:
        """
        Count bytes that were read.

        :raises ArchiveTooLarge: they exceed the limit
        """
        self._total += size
        if self._limit is not None and self._total > self._limit:
            raise self._error("more")

    def _error(self, amount: str) -> ArchiveTooLarge:
        return ArchiveTooLarge(
            f"The uncompressed size of the export's file is {amount} bytes, but max_uncompressed_bytes allows "
            f"{self._limit:,}. Increase it if the export is expected to be that large."
        )
