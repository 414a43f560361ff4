# SPDX-License-Identifier: Apache-2.0
"""
The number of records of a CSV file and its columns, while its bytes pass.

The result is exactly that of Python's ``csv`` module (:mod:`~airflow_provider_connectif.files.tables.records`), but
that follows each field, which is far too slow for gigabytes. NumPy looks at all bytes of a block at once, and without
Python's lock, so that other threads continue:

- If every second quotation mark stands where a quoted field may begin, the others end these fields. Line breaks after
  an even number of quotation marks then end records.
- Otherwise, some are ordinary characters of an unquoted field. The two halves of the block are tried, and so on, until
  the pieces are so small that their fields are followed one by one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from airflow_provider_connectif.files.tables.records import (
    AFTER_QUOTE,
    FIELD_START,
    LINE_BREAKS,
    QUOTE,
    QUOTED,
    RECORD_START,
    UNQUOTED,
    Scanner,
    iter_records,
)

BOM = b"\xef\xbb\xbf"
#: A longer header is treated as missing.
MAX_HEADER = 1 << 20
#: Bytes for which following each field takes no longer than the calls of NumPy.
_SMALL = 1 << 10
_LF, _CR = LINE_BREAKS[1], LINE_BREAKS[0]


class RecordCounter:
    """
    Counts the records of one file, finds where they end, and reads its header.

    :param delimiter: one ASCII character, neither a quotation mark nor a line break nor NUL
    :raises ValueError: the delimiter is another
    """

    def __init__(self, delimiter: str = ",") -> None:
        if len(delimiter) != 1 or not delimiter.isascii() or delimiter in '"\r\n\0':
            raise ValueError(f"delimiter: {delimiter!r} is not supported; use one ASCII character, such as ',' or ';'")
        self._delimiter = delimiter
        self._scanner = Scanner(delimiter)
        #: The state after a byte outside of quotes; after any other byte it is UNQUOTED.
        self._state = {_LF: RECORD_START, _CR: RECORD_START, ord(delimiter): FIELD_START, QUOTE: AFTER_QUOTE}
        self._before_field = np.zeros(256, bool)
        self._before_field[list(self._state)] = True
        self._head = bytearray()
        self._in_head = True
        self._records = 0
        #: The names in the header; None if there is none yet, or if it is longer than :data:`MAX_HEADER`.
        self.columns: list[str] | None = None
        #: The header as it was written, with the empty lines before it; empty as long as it is not known.
        self.header = b""
        #: The bytes of the file up to the end of the header.
        self.header_end = 0

    @property
    def in_quotes(self) -> bool:
        """Whether the file ends within a quoted field, known when it has ended."""
        return self._scanner.state == QUOTED

    @property
    def header_too_long(self) -> bool:
        """Whether the first record has more than :data:`MAX_HEADER` bytes."""
        return not self._in_head and self.columns is None

    @property
    def rows(self) -> int:
        """The records without the header, complete when the file has ended."""
        return max(0, self._records + (self._scanner.state != RECORD_START) - 1)

    def feed(self, block: bytes) -> int:
        """
        Count the records in the next bytes of the file.

        :return: how many bytes of the block precede the end of the last record that ends in it; 0 if none does
        """
        if not self._in_head:
            return self._take(block)
        start = self._read_head(block)
        end = self._take(block[start:]) if start else 0
        return start + end if self.header else 0

    def finish(self) -> tuple[int, list[str] | None]:
        """Return the number of records and the columns, after the last byte."""
        if self._in_head:
            self._head_is_read(bytes(self._head))
        return self.rows, self.columns

    def _read_head(self, block: bytes) -> int:
        """Return where the header ends in a block; 0 if it does not."""
        known = len(self._head)
        self._head += block[: MAX_HEADER + len(BOM)]
        head = bytes(self._head)
        if len(head) < len(BOM) and BOM.startswith(head):
            return 0
        # From its first byte: this is done once, and again only where a block ends within the header.
        self._scanner = Scanner(self._delimiter)
        end = self._scanner.scan(head, len(BOM) if head.startswith(BOM) else 0, len(head), one_record=True)
        ended = self._scanner.state == RECORD_START and self._scanner.records > 0
        if ended:
            self._records = 1
            self._head_is_read(head[:end])
        elif len(head) >= MAX_HEADER:
            self._in_head = False
        else:
            return 0
        return end - known

    def _head_is_read(self, head: bytes) -> None:
        self._in_head = False
        self.header, self.header_end = head.removeprefix(BOM), len(head)
        names = next(iter_records(self.header, self._delimiter), [])
        self.columns = [name.decode("utf-8", "replace") for name in names]

    def _take(self, block: bytes) -> int:
        """Count the records that end in a block, and return where the last one does."""
        if not block:
            return 0
        characters = np.frombuffer(block, np.uint8)
        in_quotes = int(self._scanner.state == QUOTED)
        found = np.flatnonzero(_is_special(block, characters))
        is_quote = characters[found] == QUOTE
        quotes = found[is_quote]
        if not self._begin_fields(characters, quotes[in_quotes::2]):
            return self._take_halves(block)
        if in_quotes or quotes.size:
            found = found[~is_quote & ((np.cumsum(is_quote) + in_quotes) % 2 == 0)]
        ends = self._without_empty_lines(found)
        ends_in_quotes = (quotes.size + in_quotes) % 2
        self._scanner.state = QUOTED if ends_in_quotes else self._state.get(block[-1], UNQUOTED)
        self._records += ends.size
        if not ends.size:
            return 0
        end = int(ends[-1]) + 1
        return end + (block[end - 1 : end + 1] == LINE_BREAKS)

    def _begin_fields(self, characters: npt.NDArray[Any], quotes: npt.NDArray[Any]) -> bool:
        """Return whether each of these quotation marks begins a quoted field, or is the second of a doubled one."""
        begin = self._before_field[characters[quotes - 1]]
        if quotes.size and quotes[0] == 0:
            begin[0] = self._scanner.state != UNQUOTED
        return bool(begin.all())

    def _without_empty_lines(self, breaks: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return only the first of several line breaks in a row: CRLF is one, and empty lines are not records."""
        before = -1 if self._scanner.state == RECORD_START else -2
        return breaks[np.diff(breaks, prepend=before) > 1]

    def _take_halves(self, block: bytes) -> int:
        half = len(block) // 2
        if len(block) > _SMALL:
            end = self._take(block[:half])
            rest = self._take(block[half:])
            return half + rest if rest else end
        return self._follow(block)

    def _follow(self, block: bytes) -> int:
        """Follow each field."""
        position = end = 0
        while position < len(block):
            before = self._scanner.state
            begun = self._scanner.records
            position = self._scanner.scan(block, position, len(block), one_record=True)
            if self._scanner.state == RECORD_START and (before != RECORD_START or self._scanner.records > begun):
                self._records += 1
                end = position
        return end


def _is_special(block: bytes, characters: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return for each byte whether it is a quotation mark or a line break."""
    special: npt.NDArray[Any] = characters == _LF
    for character in (QUOTE, _CR):
        if character in block:
            special |= characters == character
    return special
