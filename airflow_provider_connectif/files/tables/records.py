# SPDX-License-Identifier: Apache-2.0
"""
Where the records and fields of a CSV file begin and end, byte by byte, as Python's ``csv`` module sees it.

A field is quoted if its first character is a quotation mark; anywhere else in an unquoted field a quotation mark is
an ordinary character. In a quoted field a doubled one stands for one, and after a single one the field goes on
unquoted. LF, CR and CRLF end a record, and empty lines are skipped. Delimiter, quotation mark and line breaks are
ASCII, so UTF-8 need not be decoded to find them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

RECORD_START, FIELD_START, UNQUOTED, QUOTED, AFTER_QUOTE = range(5)

LINE_BREAKS = b"\r\n"
QUOTE = 0x22


class Scanner:
    """
    Follows the records in consecutive pieces of a file.

    :param delimiter: one ASCII character
    """

    def __init__(self, delimiter: str) -> None:
        self._delimiter = ord(delimiter)
        self._unquoted_end = re.compile(rb"[\r\n" + re.escape(delimiter.encode()) + rb"]")
        self.state = RECORD_START
        #: The records that have begun.
        self.records = 0

    def scan(self, data: bytes, position: int, end: int, *, one_record: bool = False) -> int:
        """
        Follow the records in ``data[position:end]``.

        :param one_record: stop after the first line break that ends a record
        :return: where it stopped, which is ``end`` if no record ended
        """
        state = self.state
        while position < end:
            if state == QUOTED:
                position = data.find(b'"', position, end) + 1
                if not position:
                    position = end
                    break
                state = AFTER_QUOTE
                continue
            byte = data[position]
            if byte in LINE_BREAKS:
                ended = state != RECORD_START
                state = RECORD_START
                position += 1
                if ended and one_record:
                    break
                continue
            if state == RECORD_START:
                self.records += 1
                state = FIELD_START
            if byte == self._delimiter:
                state = FIELD_START
                position += 1
            elif byte == QUOTE and state != UNQUOTED:
                state = QUOTED
                position += 1
            else:
                found = self._unquoted_end.search(data, position, end)
                position = found.start() if found else end
                state = UNQUOTED
        self.state = state
        return position


def iter_records(data: bytes, delimiter: str) -> Iterator[list[bytes]]:
    """
    Yield the fields of each of whole records.

    A quoted field that is not closed ends with the data.
    """
    encoded = delimiter.encode()
    field = re.compile(rb'("[^"]*(?:""[^"]*)*(?:"|\Z))?([^\r\n' + re.escape(encoded) + rb"]*)")
    scanner = Scanner(delimiter)
    position = 0
    while position < len(data):
        start, before = position, scanner.records
        position = scanner.scan(data, position, len(data), one_record=True)
        if scanner.records > before:
            yield _fields(data[start:position].lstrip(LINE_BREAKS), encoded, field)


def _fields(record: bytes, delimiter: bytes, field: re.Pattern[bytes]) -> list[bytes]:
    fields: list[bytes] = []
    position = 0
    while found := field.match(record, position):  # always: both parts of a field may be empty
        quoted, unquoted = found[1], found[2]
        fields.append((quoted[1:].removesuffix(b'"').replace(b'""', b'"') if quoted else b"") + unquoted)
        position = found.end()
        if record[position : position + 1] != delimiter:
            break
        position += 1
    return fields
