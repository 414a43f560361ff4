# SPDX-License-Identifier: Apache-2.0
"""CSV files of every kind, and what Python's ``csv`` module reads in them."""

from __future__ import annotations

import csv
import io
import itertools
import sys
from dataclasses import dataclass

from hypothesis import strategies as st

#: Characters that make a difference, some of several bytes, and plain ones.
_SPECIAL = 'aaab1 é€😀"",;|\n\r\t\ufeff' + ("\0" if sys.version_info >= (3, 11) else "")  # 3.10's module refuses it
CELLS = st.text(st.sampled_from(_SPECIAL), max_size=12) | st.text(st.sampled_from("abcdefghij"), max_size=40)


@dataclass(frozen=True)
class CsvFile:
    """A CSV file in blocks."""

    delimiter: str
    blocks: tuple[bytes, ...]

    @property
    def data(self) -> bytes:
        return b"".join(self.blocks)

    @property
    def records(self) -> list[list[str]]:
        return read(self.data, self.delimiter)


def read(data: bytes, delimiter: str) -> list[list[str]]:
    """What the ``csv`` module reads; empty lines are skipped."""
    text = io.StringIO(data.decode("utf-8-sig"), newline="")
    return [record for record in csv.reader(text, delimiter=delimiter) if record]


@st.composite
def _cut(draw: st.DrawFn, data: bytes) -> tuple[bytes, ...]:
    size = draw(st.sampled_from([1, 3, 10, 100, 10_000]))
    cuts = sorted({0, len(data), *draw(st.lists(st.integers(0, len(data)), max_size=5)), *range(0, len(data), size)})
    return tuple(data[start:end] for start, end in itertools.pairwise(cuts))


def _line(row: list[str], delimiter: str, quoting: int) -> str:
    text = io.StringIO(newline="")
    # Before Python 3.13 a cell is not quoted for a line break that is not in the writer's own.
    csv.writer(text, delimiter=delimiter, quoting=quoting, lineterminator="\r\n").writerow(row)  # type: ignore[arg-type]
    return text.getvalue().removesuffix("\r\n")


@st.composite
def written_files(draw: st.DrawFn) -> CsvFile:
    """Files that a proper writer made: each record has as many fields as the header."""
    delimiter = draw(st.sampled_from(",;|\t: "))
    columns = draw(st.integers(1, 4))
    rows = draw(st.lists(st.lists(CELLS, min_size=columns, max_size=columns), min_size=1, max_size=12))
    quoting = draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]))
    line_break = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    found = "".join(_line(row, delimiter, quoting) + line_break for row in rows)
    if draw(st.booleans()):
        found = found.rstrip("\r\n")
    if draw(st.booleans()):
        found = draw(st.sampled_from(["\n", "\r\n", "\n\n"])) + found + draw(st.sampled_from(["\n", "\r\n\r\n"]))
    data = draw(st.sampled_from([b"", b"\xef\xbb\xbf"])) + found.encode()
    return CsvFile(delimiter, draw(_cut(data)))


@st.composite
def any_files(draw: st.DrawFn) -> CsvFile:
    """Files that nobody meant to write: quotation marks, delimiters and line breaks anywhere."""
    delimiter = draw(st.sampled_from(",;"))
    alphabet = draw(st.sampled_from(['a"\n' + delimiter, 'ab"\r\n' + delimiter, '"\n' + delimiter, 'aaaaa"\n']))
    data = draw(st.sampled_from([b"", b"\xef\xbb\xbf"])) + draw(st.text(alphabet, max_size=80)).encode()
    return CsvFile(delimiter, draw(_cut(data)))
