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
from abc import ABC, abstractmethod

from airflow_provider_connectif.files.tables.records import QUOTED, RECORD_START, Scanner, iter_records

BOM = b"\xef\xbb\xbf"
#: A header that is longer is none.
MAX_HEADER = 1 << 20
#: Bytes per quotation mark, below which most of them are supposed to stand in ``","``.
_DENSE = 40
_SAMPLE = 8 << 10

#: Bytes of a line that are kept until the rest of it comes.
_KEPT = 16 << 10
#: Stands for ``","``.
_MARK = b"\0"


class _RecordReader(ABC):
    """
    Follows the records of one file, and reads its header.

    :param delimiter: one ASCII character, neither a quotation mark nor a line break
    """

    def __init__(self, delimiter: str = ",") -> None:
        if len(delimiter) != 1 or not delimiter.isascii() or delimiter in '"\r\n':
            raise ValueError(f"delimiter: {delimiter!r} is not supported; use one ASCII character, such as ',' or ';'")
        self._delimiter = delimiter
        self._scanner = Scanner(delimiter)
        encoded = delimiter.encode()
        self._before_field = {b"", encoded, b"\n", b"\r"}
        # Each begins where a field may begin, or goes on after a doubled quotation mark.
        self._quoted_field = re.compile(rb'"(?<![^\r\n"' + re.escape(encoded) + rb']")[^"]*"')
        self._head = bytearray()
        self._in_head = True
        self._kept = b""
        self._columns: list[str] | None = None
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
        return not self._in_head and self._columns is None

    @property
    def columns(self) -> list[str] | None:
        """The names in the header; None if there is none yet, or if it is longer than :data:`MAX_HEADER`."""
        return self._columns

    @abstractmethod
    def _take_plain(self, lines: bytes) -> None:
        """Take whole lines without a quotation mark, which begin with a record."""

    @abstractmethod
    def _take_quoted(self, lines: bytes) -> int | None:
        """
        Take whole lines with quotation marks, which begin with a record.

        :return: the length up to the end of the last record; None if single records have to be followed
        """

    def _feed(self, block: bytes) -> int:
        return self._read_head(block) if self._in_head else self._take(block, 0)

    def _finish(self) -> None:
        if self._in_head:
            self._head_is_read(bytes(self._head))
        self._end_kept()

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
            return max(self._take(block, end - known), end - known)
        if len(head) >= MAX_HEADER:
            self._in_head = False
            return self._take(block, len(head) - known)
        return 0

    def _head_is_read(self, head: bytes) -> None:
        self._in_head = False
        self.header, self.header_end = head.removeprefix(BOM), len(head)
        names = next(iter_records(self.header, self._delimiter), [])
        self._columns = [name.decode("utf-8", "replace") for name in names]

    def _take(self, block: bytes, start: int) -> int:
        """Follow ``block[start:]``, whole lines together; the beginning of a line is kept for the next block."""
        scanner, first = self._scanner, start
        if scanner.state != RECORD_START:
            start = scanner.scan(block, start, len(block), one_record=True)
            if scanner.state != RECORD_START:
                return 0
        boundary = start if start > first else 0
        end = (block.rfind(b"\n", start) + 1) or (block.rfind(b"\r", start) + 1)
        if end:
            kept, self._kept = self._kept, b""
            taken = self._take_lines(b"".join((kept, memoryview(block)[start:end])))
            boundary = max(boundary, start + taken - len(kept))
            start = end
        if scanner.state == RECORD_START and len(self._kept) + len(block) - start <= _KEPT:
            self._kept += block[start:]
        else:
            self._end_kept()
            scanner.scan(block, start, len(block))
        return boundary

    def _end_kept(self) -> None:
        self._scanner.scan(self._kept, 0, len(self._kept))
        self._kept = b""

    def _take_lines(self, lines: bytes) -> int:
        """Take whole lines, which begin with a record."""
        if b'"' not in lines:
            self._take_plain(lines)
            return len(lines)
        taken = self._take_quoted(lines)
        return self._follow(lines) if taken is None else taken

    def _opens_a_field(self, text: bytes, quote: int) -> bool:
        """Return whether the quotation mark there is the last one, and begins a field that is not closed."""
        return text.find(b'"', quote + 1) < 0 and text[max(0, quote - 1) : quote] in self._before_field

    def _follow(self, lines: bytes) -> int:
        """Follow each record that has a quotation mark, and take the lines between them."""
        scanner, boundary, start, end = self._scanner, 0, 0, len(lines)
        while start < end:
            quote = lines.find(b'"', start)
            line = end if quote < 0 else max(lines.rfind(b"\n", start, quote), lines.rfind(b"\r", start, quote)) + 1
            if line > start:
                self._take_plain(lines[start:line])
                start = boundary = line
            if start < end:
                start = scanner.scan(lines, start, end, one_record=True)
                if scanner.state == RECORD_START:
                    boundary = start
        return boundary


class RecordCounter(_RecordReader):
    """
    Counts the records of one file and reads its header.

    :param delimiter: one ASCII character, neither a quotation mark nor a line break
    """

    def __init__(self, delimiter: str = ",") -> None:
        super().__init__(delimiter)
        self._between_quoted = f'"{delimiter}"'.encode()

    def feed(self, block: bytes) -> None:
        """Count the records in the next bytes of the file."""
        self._feed(block)

    def finish(self) -> tuple[int, list[str] | None]:
        """Return the number of records and the columns, after the last byte."""
        self._finish()
        return self.rows, self.columns

    @property
    def rows(self) -> int:
        """The records without the header, complete when the file has ended."""
        return max(0, self._scanner.records - 1)

    def _take_plain(self, lines: bytes) -> None:
        if b"\r" in lines:
            found = lines.splitlines()
            self._scanner.records += len(found) - found.count(b"")
        else:
            found = io.BytesIO(lines).readlines()
            self._scanner.records += len(found) - found.count(b"\n")

    def _take_quoted(self, lines: bytes) -> int | None:
        text = None
        if lines.count(b'"', 0, _SAMPLE) * _DENSE > min(_SAMPLE, len(lines)) and _MARK not in lines:
            text = self._collapsed(lines.replace(self._between_quoted, _MARK))
        if text is None or _MARK in text:  # one that begins outside of quotes
            text = self._collapsed(lines)
        quote = text.find(b'"')
        if quote >= 0:
            if not self._opens_a_field(text, quote):
                return None
            text = text[: quote + 1]
            self._scanner.state = QUOTED
        self._take_plain(text)
        return 0  # where the last one ends is of no use here

    def _collapsed(self, lines: bytes) -> bytes:
        """Return lines with a letter for each quoted field; ``sub`` would take a third more time."""
        return b"x".join(self._quoted_field.split(lines))


class RecordFinder(_RecordReader):
    """
    Finds where the records of one file end and reads its header, without counting, which is faster.

    :param delimiter: one ASCII character, neither a quotation mark nor a line break
    """

    def __init__(self, delimiter: str = ",") -> None:
        super().__init__(delimiter)
        self._quoted_fields = re.compile(rb'(?:[^"]*' + self._quoted_field.pattern + rb")*")

    def feed(self, block: bytes) -> int:
        """
        Follow the records in the next bytes of the file.

        :return: how many bytes of the block precede the end of the last record that ends in it; 0 if none does
        """
        return self._feed(block)

    def finish(self) -> None:
        """Read a header that the file ends with."""
        self._finish()

    def _take_plain(self, lines: bytes) -> None: ...

    def _take_quoted(self, lines: bytes) -> int | None:
        found = self._quoted_fields.match(lines)
        rest = found.end() if found else 0
        quote = lines.find(b'"', rest)
        if quote < 0:
            return len(lines)
        if not self._opens_a_field(lines, quote):
            return None
        self._scanner.state = QUOTED
        end = max(lines.rfind(b"\n", rest, quote), lines.rfind(b"\r", rest, quote)) + 1
        return end or _end_of_last_record(lines)


def _end_of_last_record(lines: bytes) -> int:
    """Return where the last record ends in lines that end within a quoted field."""
    pieces = lines.split(b'"')
    for outside in range(len(pieces) - 2, -1, -2):
        end = max(pieces[outside].rfind(b"\n"), pieces[outside].rfind(b"\r")) + 1
        if end:
            return sum(map(len, pieces[:outside])) + outside + end
    return 0
