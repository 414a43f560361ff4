# SPDX-License-Identifier: Apache-2.0
"""What is known of a CSV file after its bytes have passed."""

from __future__ import annotations

from typing import NamedTuple

from airflow_provider_connectif.files.background import BackgroundCalls
from airflow_provider_connectif.files.deflate import crc32
from airflow_provider_connectif.files.tables.counter import RecordCounter

#: What the API uses if an export does not name its delimiter.
DEFAULT_DELIMITER = ","
#: Bytes that are counted together. Smaller files are counted without a thread: starting one would take longer.
_BATCH = 1 << 20
#: Bytes that may wait to be counted.
_MAX_WAITING = 4 << 20


class Contents(NamedTuple):
    """The records and columns of a CSV file.

    :param rows: the number of records without the header; None if the delimiter is not supported
    :param columns: the names in the header; None if the delimiter is not supported, or if the header is extremely long
    """

    rows: int | None
    columns: tuple[str, ...] | None
    #: The CRC-32 and the length of the text, if files that are not equal as bytes may have the same text.
    digest: str | None = None


def format_digest(crc: int, length: int) -> str:
    """Return the digest of a text, by its CRC-32 and its length in bytes."""
    return f"crc32:{crc:08x}:{length}"


class ContentsCounter:
    """Counts the records of a CSV file in a background thread, while other threads decompress, hash and write it.

    :param delimiter: the character between the fields
    :param with_digest: whether to compute the digest, too
    """

    def __init__(self, delimiter: str = DEFAULT_DELIMITER, *, with_digest: bool = False) -> None:
        try:
            self._counter: RecordCounter | None = RecordCounter(delimiter)
        except ValueError:
            self._counter = None
        self._calls = BackgroundCalls(_MAX_WAITING)
        self._batch: list[bytes] = []
        self._size = 0
        self._with_digest = with_digest
        self._crc = 0
        self._length = 0
        self._contents: Contents | None = None

    def feed(self, block: bytes) -> None:
        """Add the next bytes of the file."""
        self._batch.append(block)
        self._size += len(block)
        if self._size >= _BATCH:
            batch, size = self._batch, self._size
            self._batch, self._size = [], 0
            self._calls.submit(self._count, batch, size=size)

    def finish(self) -> Contents:
        """Return the records and columns, after the last byte. Can be called more than once."""
        if self._contents is None:
            self._calls.finish()
            self._count(self._batch)
            self._batch = []
            rows, columns = self._counter.finish() if self._counter else (None, None)
            digest = format_digest(self._crc, self._length) if self._with_digest else None
            self._contents = Contents(rows, None if columns is None else tuple(columns), digest)
        return self._contents

    def close(self) -> None:
        """Stop counting, and end the thread. Can be called more than once."""
        self._calls.close()

    def _count(self, blocks: list[bytes]) -> None:
        block = b"".join(blocks)
        if self._with_digest:
            self._crc = crc32(block, self._crc)
            self._length += len(block)
        if self._counter is not None:
            self._counter.feed(block)
