# SPDX-License-Identifier: Apache-2.0
"""
The number of records of a CSV file and its columns, while its bytes pass.

The result is exactly that of Python's ``csv`` module (:mod:`~airflow_provider_connectif.files.tables.records`), but
that follows each field, which is far too slow for gigabytes. So whole lines are counted in few calls that look at many
bytes at once, and only where they cannot be sure do single records get followed:

- Lines without a quotation mark are records, save the empty ones.
- Where lines have quotation marks, quoted fields are replaced by a letter. If no quotation mark is left, each of them
  began where a field may begin, and what remains is lines without one.
- Where every field is quoted, most quotation marks stand in ``","``. After one of these the text is inside or outside
  of quotes as before it, so they are replaced first, which leaves less to do.
"""

from __future__ import annotations

import io
import re

from airflow_provider_connectif.files.tables.records import QUOTED, RECORD_START, Scanner, iter_records

BOM = b"\xef\xbb\xbf"
#: A header that is longer is none.
MAX_HEADER = 1 << 20
#: Bytes per quotation mark, below which most of them are supposed to stand in ``","``.
_DENSE = 40
_SAMPLE = 8 << 10

#: Stands for ``","``.
_MARK = b"\0"


class RecordCounter:
    """
    Counts the records of one file and reads its header.

    :param delimiter: one ASCII character, neither a quotation mark nor a line break
    :param boundaries_only: find out where records end and read the header, but do not count, which is faster
    """

    def __init__(self, delimiter: str = ",", *, boundaries_only: bool = False) -> None:
        if len(delimiter) != 1 or not delimiter.isascii() or delimiter in '"\r\n':
            raise ValueError(f"delimiter: {delimiter!r} is not supported; use one ASCII character, such as ',' or ';'")
        self._delimiter = delimiter
        self._boundaries_only = boundaries_only
        self._scanner = Scanner(delimiter)
        encoded = delimiter.encode()
        self._before_field = {b"", encoded, b"\n", b"\r"}
        # Each begins where a field may begin, or goes on after a doubled quotation mark.
        quoted_field = rb'"(?<![^\r\n"' + re.escape(encoded) + rb']")[^"]*"'
        self._quoted_field = re.compile(quoted_field)
        self._quoted_fields = re.compile(rb'(?:[^"]*' + quoted_field + rb")*")
        self._between_quoted = b'"' + encoded + b'"'
        self._head = bytearray()
        self._in_head = True
        self._columns: list[str] | None = None
        #: The header as it was written, with the empty lines before it; empty as long as it is not known.
        self.header = b""
        #: The bytes of the file up to the end of the header.
        self.header_end = 0

    @property
    def in_record(self) -> bool:
        """Whether the bytes so far end within a record."""
        return self._scanner.state != RECORD_START

    @property
    def in_quotes(self) -> bool:
        """Whether the bytes so far end within a quoted field."""
        return self._scanner.state == QUOTED

    @property
    def header_too_long(self) -> bool:
        """Whether the first record has more than :data:`MAX_HEADER` bytes."""
        return not self._in_head and self._columns is None

    @property
    def rows(self) -> int:
        """The records without the header."""
        return max(0, self._scanner.records - 1)

    @property
    def columns(self) -> list[str] | None:
        """The names in the header; None if there is none yet, or if it is longer than :data:`MAX_HEADER`."""
        return self._columns

    def feed(self, block: bytes) -> int:
        """
        Count the records in the next bytes of the file.

        :return: how many bytes of the block precede the end of the last record that ends in it; 0 if none does
        """
        if not self._in_head:
            return self._count(block, 0)
        return self._read_head(block)

    def finish(self) -> tuple[int, list[str] | None]:
        """Return the number of records and the columns, after the last byte."""
        if self._in_head:
            self._head_is_read(bytes(self._head))
        return self.rows, self._columns

    def _read_head(self, block: bytes) -> int:
        known = len(self._head)
        self._head += block[: MAX_HEADER + len(BOM)]
        head = bytes(self._head)
        if len(head) < len(BOM) and BOM.startswith(head):
            return 0
        # From its first byte: this is done once, and again only where a block ends within the header.
        self._scanner = Scanner(self._delimiter)
        start = len(BOM) if head.startswith(BOM) else 0
        end = self._scanner.scan(head, start, len(head), one_record=True)
        if self._scanner.state == RECORD_START and self._scanner.records:
            self._head_is_read(head[:end])
            return max(self._count(block, end - known), end - known)
        if len(head) >= MAX_HEADER:
            self._in_head = False
            return self._count(block, len(head) - known)
        return 0

    def _head_is_read(self, head: bytes) -> None:
        self._in_head = False
        self.header, self.header_end = head.removeprefix(BOM), len(head)
        names = next(iter_records(self.header, self._delimiter), [])
        self._columns = [name.decode("utf-8", "replace") for name in names]

    def _count(self, block: bytes, start: int) -> int:
        """Follow ``block[start:]``: a record's rest and the last line by itself, the lines between all together."""
        scanner, size = self._scanner, len(block)
        first = start
        if scanner.state != RECORD_START:
            start = scanner.scan(block, start, size, one_record=True)
            if scanner.state != RECORD_START:
                return 0
        end = max(block.rfind(b"\n", start) + 1, block.rfind(b"\r", start) + 1, start)
        boundary = start if start > first else 0
        if end > start:
            boundary = max(boundary, self._count_lines(block, start, end))
        scanner.scan(block, end, size)
        return boundary

    def _count_lines(self, block: bytes, start: int, end: int) -> int:
        """Count the records of ``block[start:end]``, which begins with a record and ends with a line break."""
        lines = block[start:end]
        if b'"' not in lines:
            if not self._boundaries_only:
                self._scanner.records += _lines_with_content(lines)
            return end
        counted = self._follow_quoted(lines) if self._boundaries_only else self._count_quoted(lines)
        if counted is None:
            return self._follow(block, start, end)
        return start + counted

    def _count_quoted(self, lines: bytes) -> int | None:
        """
        Count records with quoted fields.

        :return: the length up to the end of the last record; None if single records have to be followed
        """
        text = None
        if lines.count(b'"', 0, _SAMPLE) * _DENSE > min(_SAMPLE, len(lines)) and _MARK not in lines:
            text = self._quoted_field.sub(b"x", lines.replace(self._between_quoted, _MARK))
        if text is None or _MARK in text:  # one that begins outside of quotes
            text = self._quoted_field.sub(b"x", lines)
        unclosed = text.find(b'"')
        if unclosed >= 0:
            if text.find(b'"', unclosed + 1) >= 0 or text[max(0, unclosed - 1) : unclosed] not in self._before_field:
                return None
            text = text[: unclosed + 1]
            self._scanner.state = QUOTED
        self._scanner.records += _lines_with_content(text)
        return len(lines) if unclosed < 0 else _end_of_last_record(lines)

    def _follow_quoted(self, lines: bytes) -> int | None:
        """As :meth:`_count_quoted`, without counting."""
        found = self._quoted_fields.match(lines)
        rest = found.end() if found else 0
        unclosed = lines.find(b'"', rest)
        if unclosed < 0:
            return len(lines)
        if lines.find(b'"', unclosed + 1) >= 0 or lines[max(0, unclosed - 1) : unclosed] not in self._before_field:
            return None
        self._scanner.state = QUOTED
        end = max(lines.rfind(b"\n", rest, unclosed), lines.rfind(b"\r", rest, unclosed)) + 1
        return end or _end_of_last_record(lines)

    def _follow(self, block: bytes, start: int, end: int) -> int:
        """Follow each record that has a quotation mark, and count the lines between them."""
        scanner, boundary = self._scanner, 0
        while start < end:
            quote = block.find(b'"', start, end)
            line = end if quote < 0 else max(block.rfind(b"\n", start, quote), block.rfind(b"\r", start, quote)) + 1
            if line > start:
                scanner.records += _lines_with_content(block[start:line])
                start = boundary = line
            if start < end:
                start = scanner.scan(block, start, end, one_record=True)
                if scanner.state == RECORD_START:
                    boundary = start
        return boundary


def _lines_with_content(lines: bytes) -> int:
    if b"\r" in lines:
        found = lines.splitlines()
        return len(found) - found.count(b"")
    found = io.BytesIO(lines).readlines()
    return len(found) - found.count(b"\n")


def _end_of_last_record(lines: bytes) -> int:
    """Return where the last record ends in lines that end within a quoted field."""
    pieces = lines.split(b'"')
    for outside in range(len(pieces) - 2, -1, -2):
        end = max(pieces[outside].rfind(b"\n"), pieces[outside].rfind(b"\r")) + 1
        if end:
            return sum(map(len, pieces[:outside])) + outside + end
    return 0
