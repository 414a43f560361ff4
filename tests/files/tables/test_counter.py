# SPDX-License-Identifier: Apache-2.0
"""Records and columns are those of the ``csv`` module, wherever the blocks end."""

from __future__ import annotations

import bisect
import csv
import io
import itertools
import random

import pytest
from hypothesis import given, settings

from airflow_provider_connectif.files.tables import counter
from airflow_provider_connectif.files.tables.counter import MAX_HEADER, RecordCounter
from airflow_provider_connectif.files.tables.records import Scanner, iter_records
from tests.files.tables.csv_files import CsvFile, any_files, read, written_files


def count(*blocks: bytes, delimiter: str = ",") -> tuple[int, list[str] | None]:
    counting = RecordCounter(delimiter)
    for block in blocks:
        counting.feed(block)
    return counting.finish()


@pytest.mark.parametrize(
    ("data", "rows", "columns"),
    [
        pytest.param(b"", 0, [], id="nothing"),
        pytest.param(b"\xef\xbb\xbf", 0, [], id="a byte order mark alone"),
        pytest.param(b"\n\r\n", 0, [], id="empty lines alone"),
        pytest.param(b"a,b", 0, ["a", "b"], id="a header without a line break"),
        pytest.param(b"a,b\n1,2", 1, ["a", "b"], id="no line break at the end"),
        pytest.param(b"a,b\r\n1,2\r\n", 1, ["a", "b"], id="CRLF"),
        pytest.param(b"a,b\r1,2\r", 1, ["a", "b"], id="CR"),
        pytest.param(b"\xef\xbb\xbfa,b\n1,2\n", 1, ["a", "b"], id="a byte order mark"),
        pytest.param(b'\xef\xbb\xbf"a,\n1",b\n1,2\n', 1, ["a,\n1", "b"], id="a quoted header"),
        pytest.param(b"\n\na,b\n\n1,2\n\n\n3,4\n\n", 2, ["a", "b"], id="empty lines are skipped"),
        pytest.param(b"a,b\n , \n,\n", 2, ["a", "b"], id="lines of spaces or delimiters are records"),
        pytest.param(b'a\n""\n', 1, ["a"], id="a quoted empty field is a record"),
        pytest.param(b'a\n"x\n\ny"\n"z"\n', 2, ["a"], id="line breaks within quotes"),
        pytest.param(b'a\n"x""\ny"\n"""\n"\n', 2, ["a"], id="doubled quotation marks"),
        pytest.param(b'a,b\n5" wide,6" high\n7",8\n', 2, ["a", "b"], id="quotation marks within unquoted fields"),
        pytest.param(b'a,b\n"5" wide,"\n"\n', 1, ["a", "b"], id="text after a quoted field"),
        pytest.param(b'a\n1\n"never closed\n\n2\n', 2, ["a"], id="a quotation mark that is not closed"),
        pytest.param(b"a,a,\n1,2,3\n", 1, ["a", "a", ""], id="the same name twice, and none"),
        pytest.param("año,€\n1,2\n".encode(), 1, ["año", "€"], id="UTF-8"),
        pytest.param(b"a\xf1o,b\n1\xff,2\n", 1, ["a�o", "b"], id="not UTF-8"),
    ],
)
def test_a_file_in_one_block_in_three_and_byte_by_byte(data: bytes, rows: int, columns: list[str]) -> None:
    assert count(data) == (rows, columns)
    assert count(*(data[at : at + 1] for at in range(len(data)))) == (rows, columns)
    for first, second in itertools.combinations(range(len(data)), 2):
        assert count(data[:first], data[first:second], data[second:]) == (rows, columns)


def test_the_delimiter_is_the_exports_own() -> None:
    assert count(b"a;b,c\n1;2\n", delimiter=";") == (1, ["a", "b,c"])


@pytest.mark.parametrize("delimiter", ["", ",,", '"', "\n", "\r", "\0", "é"])
def test_a_delimiter_that_no_csv_has_is_refused(delimiter: str) -> None:
    with pytest.raises(ValueError, match="delimiter"):
        RecordCounter(delimiter)


def test_a_header_that_never_ends_takes_no_memory_and_leaves_the_columns_unknown() -> None:
    counting = RecordCounter()
    for _ in range(5):
        counting.feed(b"x" * MAX_HEADER)
    counting.feed(b"\n1\n2\n")
    assert counting.header_too_long
    assert counting.finish() == (2, None)


def find_record_ends(data: bytes) -> list[int]:
    """Return where records end, by following each field: for CRLF, after the CR."""
    scanner, ends, position = Scanner(","), [], 0
    while position < len(data):
        position = scanner.scan(data, position, len(data), one_record=True)
        ends.append(position)
    return ends


def _check(file: CsvFile) -> None:
    expected = file.records
    assert [
        [field.decode() for field in fields]
        for fields in iter_records(file.data.removeprefix(counter.BOM), file.delimiter)
    ] == (expected)
    assert count(*file.blocks, delimiter=file.delimiter) == (max(0, len(expected) - 1), expected[0] if expected else [])
    finder, position = RecordCounter(file.delimiter), 0
    for block in file.blocks:
        if end := finder.feed(block):
            before, after = file.data[: position + end], file.data[position + end :]
            # A character that is a byte order mark at a file's beginning only.
            after = b"\n" + after if after.startswith(counter.BOM) else after
            assert read(before, file.delimiter) + read(after, file.delimiter) == expected
        position += len(block)
    finder.finish()
    assert finder.columns == (expected[0] if expected else [])


@settings(deadline=None, max_examples=500)
@given(written_files())
def test_any_file_of_a_csv_writer_in_any_blocks(file: CsvFile) -> None:
    _check(file)


@settings(deadline=None, max_examples=700)
@given(any_files())
def test_any_characters_in_any_blocks(file: CsvFile) -> None:
    _check(file)


@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("careless", [False, True])
def test_large_files_in_large_blocks(quoting: int, line_break: str, careless: bool) -> None:
    chance = random.Random(f"{quoting} {line_break} {careless}")
    text = io.StringIO(newline="")
    writer = csv.writer(text, quoting=quoting, lineterminator=line_break)  # type: ignore[arg-type]
    cells = ["", "plain", 'Monitor 27"', "García, Pérez", "a\nb", "a\r\nb", ",", "\n", '"', '","', "x" * 300]
    writer.writerow(["a", "b", "c", "d"])
    for number in range(20_000):
        writer.writerow([number, *chance.choices(cells, [9, 9, 1, 1, 1, 1, 0.1, 0.1, 0.1, 0.1, 1], k=3)])
        if careless and not number % 4000:
            text.write(f'5" wide,6" high,"7" deep,"x"{line_break}')
    data = text.getvalue().encode()
    expected = read(data, ",")
    record_ends = find_record_ends(data)
    for size in (1 << 12, 100_003, 1 << 18):
        counting = RecordCounter()
        for at in range(0, len(data), size):
            end = counting.feed(data[at : at + size])
            last = record_ends[bisect.bisect(record_ends, at + size) - 1]
            # An LF after a CR may be left: it is an empty line then.
            assert last <= at + end < last + len(line_break)
        assert counting.finish() == (len(expected) - 1, expected[0])


def test_the_end_of_the_last_record_is_far_from_the_end_of_the_block() -> None:
    counting = RecordCounter()
    counting.feed(b"a,b\n")
    assert counting.feed(b'5" wide,1\n' + b"x" * 5000) == len(b'5" wide,1\n')
    assert counting.feed(b"x" * 5000) == 0
    assert counting.finish() == (2, ["a", "b"])
