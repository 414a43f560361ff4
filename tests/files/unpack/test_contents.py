# SPDX-License-Identifier: Apache-2.0
"""The records and columns of an export's files are counted, whatever the file that contains them looks like."""

from __future__ import annotations

import zlib

import pytest

from airflow_provider_connectif.files.tables.contents import Contents, ContentsCounter
from airflow_provider_connectif.files.unpack.archive import open_archive
from tests.files.archives import containers, make_zip
from tests.files.file_server import Faults
from tests.files.remote_files import FORMATS, WITH_AND_WITHOUT_RANGES, package_threads, remote_file, wait_until

CSV = b'\xef\xbb\xbfid;"a\r\nname"\r\n1;"x\ny"\r\n\r\n2;"say ""no"""'


def contents_of(file_format: str, text: bytes, rows: int | None, *columns: str) -> Contents:
    """Return what must be found in a file."""
    digest = f"crc32:{zlib.crc32(text):08x}:{len(text)}" if file_format == "csv.gz" else None
    return Contents(rows, columns or None, digest)


def read_contents(
    content: bytes, file_format: str, *, ranges: bool = True, delimiter: str | None = ";"
) -> dict[str, Contents | None]:
    """Return what is known of each member after it was read."""
    found = {}
    with remote_file(content, Faults(ranges=ranges)) as (file, _):
        archive = open_archive(file, file_format=file_format, file_name="export", delimiter=delimiter)  # type: ignore[arg-type]
        for member in archive:
            for _ in member.chunks():
                pass
            found[member.source_name] = member.contents
    return found


CONTAINERS = containers(CSV)


@FORMATS
@WITH_AND_WITHOUT_RANGES
@pytest.mark.parametrize("container", CONTAINERS)
def test_each_file_is_counted(container: str, ranges: bool, file_format: str) -> None:
    found = read_contents(CONTAINERS[container], file_format, ranges=ranges)
    expected = contents_of(file_format, CSV, 2, "id", "a\r\nname")
    if "ZIP" not in container:
        assert found == {"export": expected}
        return
    assert found.pop("b.csv.gz", expected) == expected
    assert found == {"a.csv": expected, "empty.csv": contents_of(file_format, b"id\n", 0, "id")}


def test_an_unchanged_archive_is_not_looked_into() -> None:
    assert read_contents(CONTAINERS["a ZIP"], "archive") == {"export": None}


@FORMATS
def test_the_default_delimiter_is_a_comma(file_format: str) -> None:
    text = b"a,b;c\n1,2\n"
    found = read_contents(make_zip({"a.csv": text}), file_format, delimiter=None)
    assert found == {"a.csv": contents_of(file_format, text, 1, "a", "b;c")}


@FORMATS
@pytest.mark.parametrize("delimiter", ["||", "é", '"'])
def test_nothing_is_counted_with_a_delimiter_that_is_not_supported(file_format: str, delimiter: str) -> None:
    found = read_contents(make_zip({"a.csv": CSV}), file_format, delimiter=delimiter)
    assert found == {"a.csv": contents_of(file_format, CSV, None)}


@FORMATS
def test_a_large_file_is_counted_by_a_thread_that_ends_with_it(file_format: str) -> None:
    before = package_threads()
    rows = 60_000
    text = b"id;text\n" + b"".join(b'%d;"line 1\nline 2 of %d"\n' % (n, n) for n in range(rows))
    assert read_contents(make_zip({"a.csv": text}), file_format) == {
        "a.csv": contents_of(file_format, text, rows, "id", "text")
    }
    wait_until(lambda: package_threads() == before)


def test_the_rest_of_a_member_that_is_not_read_is_counted_too() -> None:
    text = b"id\n" + b"1\n" * 2_000_000
    with remote_file(make_zip({"a.csv": text})) as (file, _):
        members = iter(open_archive(file, file_format="csv", file_name="x"))
        first = next(members)
        next(first.chunks())
        assert next(members, None) is None
        assert first.contents == contents_of("csv", text, 2_000_000, "id")


@pytest.mark.parametrize("size", [1, 1000, 1 << 20])
def test_the_result_does_not_depend_on_the_blocks(size: int) -> None:
    data = CSV * 3000 if size > 1 else CSV * 3
    counter, whole = (ContentsCounter(";", with_digest=True) for _ in range(2))
    for at in range(0, len(data), size):
        counter.feed(data[at : at + size])
    whole.feed(data)
    assert counter.finish() == whole.finish()
    assert counter.finish().rows


def test_counting_that_is_given_up_leaves_no_thread() -> None:
    before = package_threads()
    counter = ContentsCounter()
    for _ in range(20):
        counter.feed(b"1,2\n" * 100_000)
    assert len(package_threads()) > len(before)
    counter.close()
    assert package_threads() == before
