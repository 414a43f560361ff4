# SPDX-License-Identifier: Apache-2.0
"""The CSV files of an export become Parquet files, whatever the file that contains them looks like."""

from __future__ import annotations

import gzip
import io
import random
import zipfile
import zlib
from typing import Any

import pyarrow.parquet as pq
import pytest

from airflow_provider_connectif.files.errors import ArchiveCorrupt, ExportMissing, FileError, RemoteFileDamaged
from airflow_provider_connectif.files.tables.contents import Contents
from airflow_provider_connectif.files.tables.errors import CellDoesNotFit, ColumnMissing, FileEmpty, TableMalformed
from airflow_provider_connectif.files.unpack.archive import Archive, open_archive
from tests.files.archives import containers, make_zip, stream_zip
from tests.files.file_server import Faults
from tests.files.remote_files import WITH_AND_WITHOUT_RANGES, package_threads, remote_file, wait_until

CSV = b'\xef\xbb\xbfid;"a\r\nname"\r\n1;"x\ny"\r\n\r\n2;"say ""no"""'
ROWS = {"id": ["1", "2"], "a\r\nname": ["x\ny", 'say "no"']}


def open_parquet(file: Any, **options: Any) -> Archive:
    return open_archive(file, **{"file_format": "parquet", "file_name": "export", "delimiter": ";", **options})


def convert(content: bytes, faults: Faults | None = None, **options: Any) -> dict[str, bytes]:
    """Return the Parquet files by name."""
    before = package_threads()
    with remote_file(content, faults) as (file, _):
        found = convert_members(file, **options)
    wait_until(lambda: package_threads() == before)
    return found


def convert_members(file: Any, **options: Any) -> dict[str, bytes]:
    return {member.name: b"".join(member.chunks()) for member in open_parquet(file, **options)}


def rows_of(data: bytes) -> dict[str, list[Any]]:
    return pq.read_table(io.BytesIO(data)).to_pydict()


CONTAINERS = containers(CSV)


@WITH_AND_WITHOUT_RANGES
@pytest.mark.parametrize("container", CONTAINERS)
def test_each_file_is_converted(container: str, ranges: bool) -> None:
    found = {name: rows_of(data) for name, data in convert(CONTAINERS[container], Faults(ranges=ranges)).items()}
    if "ZIP" not in container:
        assert found == {"export.parquet": ROWS}
        return
    assert found.pop("b.parquet", ROWS) == ROWS
    assert found == {"a.parquet": ROWS, "empty.parquet": {"id": []}}


def test_names_are_safe_and_unique_and_sizes_are_not_known() -> None:
    names = ["a.csv", "b/A.CSV", "a.csv.gz", "../año!.csv", "con.csv", "_connectif_manifest.json", "a"]
    with remote_file(make_zip(dict.fromkeys(names, b"id\n1\n"))) as (file, _):
        archive = open_parquet(file)
        members = [(member.name, member.source_name, member.size) for member in archive]
    assert [source for _, source, _ in members] == names
    assert [name for name, _, _ in members] == [
        "a.parquet",
        "A-2.parquet",
        "a-3.parquet",
        "año!.parquet",
        "_con.parquet",
        "connectif_manifest.json.parquet",
        "a-4.parquet",
    ]
    assert {size for _, _, size in members} == {None}


def test_rows_columns_and_checksum_of_the_text_are_known_after_a_member_was_read() -> None:
    text = b"id,id\n1,2\n"
    with remote_file(make_zip({"a.csv": text})) as (file, _):
        [member] = [member for member in open_parquet(file, delimiter=",") if list(member.chunks())]
    assert member.contents == Contents(1, ("id", "id_2"), f"crc32:{zlib.crc32(text):08x}:{len(text)}")


def test_the_rest_of_a_member_that_is_not_read_is_converted_too() -> None:
    with remote_file(make_zip({"a.csv": b"id\n1\n2\n", "b.csv": b"id\n3\n"})) as (file, _):
        members = list(open_parquet(file, column_types={"id": "int64"}))
    assert [member.contents.rows for member in members if member.contents] == [2, 1]
    with (
        remote_file(make_zip({"a.csv": b"id\n1\nx\n"})) as (file, _),
        pytest.raises(CellDoesNotFit),
    ):
        list(open_parquet(file, column_types={"id": "int64"}))


def test_metadata_and_types_are_those_given() -> None:
    options = {"metadata": {"connectif.export_id": "1"}, "column_types": {"id": "int64"}}
    [data] = convert(make_zip({"a.csv": b"id;text\n0123;0123\n"}), **options).values()
    schema = pq.read_schema(io.BytesIO(data))
    assert schema.metadata == {b"connectif.export_id": b"1"}
    assert rows_of(data) == {"id": [123], "text": ["0123"]}


class TestColumnThatNoFileHas:
    FILES = make_zip({"export.csv": b"id;total\n1;2\n", "export-products.csv": b"id;price\n1;2\n"})

    def test_is_an_error_after_the_last_file(self) -> None:
        with pytest.raises(ColumnMissing, match=r"declares 'Total', .* are 'id', 'price', 'total'"):
            convert(self.FILES, column_types={"price": "int64", "Total": "int64"})

    @pytest.mark.parametrize("names", [["x.csv"], ["a.csv", "x.csv", ".DS_Store"]])
    def test_is_reported_as_soon_as_the_columns_of_the_last_file_are_known(self, names: list[str]) -> None:
        text = b"a\n" + b"123456789\n" * 4_000_000
        files = {name: text if name == "x.csv" else b"a\n" for name in names}
        content = make_zip(files, zipfile.ZIP_STORED)
        with remote_file(content) as (file, server), pytest.raises(ColumnMissing):
            convert_members(file, column_types={"b": "int64"})
        assert server.bytes_sent < len(content) / 2

    def test_may_be_in_one_of_several_files(self) -> None:
        found = convert(self.FILES, column_types={"price": "int64", "total": "int64"})
        assert [rows_of(data) for data in found.values()] == [{"id": ["1"], "total": [2]}, {"id": ["1"], "price": [2]}]

    def test_files_of_the_same_name_are_all_looked_at(self) -> None:
        files = make_zip({"a/x.csv": b"id;total\n1;2\n", "b/x.csv": b"id\n1\n"})
        assert len(convert(files, column_types={"total": "int64"})) == 2


BAD = {
    "a cell that does not fit": (b"a;b\n1;2\n3;confidential\n", CellDoesNotFit, "record 2, column 'b'"),
    "a record with too few fields": (b"a;b\n1;2\nconfidential\n", TableMalformed, "record 2: it has 1 field "),
    "a record with too many fields": (b"a;b\n1;2\n3;4;confidential\n", TableMalformed, "record 2: it has 3 fields "),
    "text that is not UTF-8": (b"a;b\n1;2\nconfidential \xff;3\n", TableMalformed, "record 2, column 'a'"),
    "a quotation mark that is not closed": (b'a;b\n1;2\n3;"confidential\n', TableMalformed, "a quoted field"),
    "no header": (b"\n", FileEmpty, "the file is empty"),
}


@WITH_AND_WITHOUT_RANGES
@pytest.mark.parametrize("problem", BAD)
@pytest.mark.parametrize("container", ["ZIP", "streamed ZIP", "nested gzip", "gzip", "CSV"])
def test_bad_content_is_an_error_that_names_the_place_and_not_the_content(
    problem: str, container: str, ranges: bool
) -> None:
    text, kind, place = BAD[problem]
    content = {
        "ZIP": make_zip({"x.csv": text}),
        "streamed ZIP": stream_zip({"x.csv": text}),
        "nested gzip": make_zip({"x.csv.gz": gzip.compress(text)}),
        "gzip": gzip.compress(text),
        "CSV": text,
    }[container]
    if container == "CSV" and problem == "text that is not UTF-8":
        content = text.replace(b" \xff", b"\xff")
    with pytest.raises(kind) as caught:
        convert(content, Faults(ranges=ranges), column_types={"b": "int64"}, file_name="x")
    assert str(caught.value).startswith("'x.csv'")
    assert place in str(caught.value)
    assert caught.value.final != (kind is FileEmpty)
    error: BaseException | None = caught.value
    while error is not None:
        assert "confidential" not in repr(error)
        error = error.__context__


def test_after_a_bad_cell_the_rest_is_not_downloaded() -> None:
    text = b"a\nx\n" + b"123456789\n" * 2_000_000
    content = make_zip(dict.fromkeys(["x.csv", "y.csv", "z.csv"], text), zipfile.ZIP_STORED)
    with remote_file(content) as (file, server):
        members = iter(open_parquet(file, column_types={"a": "int64"}))
        chunks = next(members).chunks()
        with pytest.raises(CellDoesNotFit):
            list(chunks)
    assert server.bytes_sent < len(content) / 2


def test_a_damaged_archive_is_an_error_even_if_its_content_can_be_converted() -> None:
    content = bytearray(make_zip({"x.csv": b"a\n" + b"1234\n" * 100}, zipfile.ZIP_STORED))
    content[content.index(b"1234")] = ord("9")
    with pytest.raises(ArchiveCorrupt, match="CRC"):
        convert(bytes(content))


def test_an_incomplete_download_is_an_error() -> None:
    with pytest.raises(FileError):
        convert(CSV, Faults(ranges=False, length_error=50))


def test_bad_content_may_pass_if_the_download_may_be_that_of_two_files() -> None:
    text = b"a\n" + b"1\n" * 3_000_000 + b"x\n"
    faults = Faults(ranges=False, etag=False, cut_after=2 << 20, cuts=1)
    with pytest.raises(RemoteFileDamaged, match=r"record 3000001, column 'a'.* a retry may help") as caught:
        convert(text, faults, column_types={"a": "int64"})
    assert not caught.value.final


@pytest.mark.parametrize("content", [b"", make_zip({})])
def test_an_export_without_files_is_still_missing(content: bytes) -> None:
    with pytest.raises(ExportMissing):
        convert(content)


def test_a_resumed_download_gives_the_same_bytes() -> None:
    rows = random.Random(2)
    text = b"a;b\n" + b"".join(b'%d;"x\n%d"\n' % (number, rows.getrandbits(60)) for number in range(200_000))
    content = make_zip({"x.csv": text})
    faults = Faults(cut_after=100_000, cuts=20, block=20_000)
    assert convert(content, faults) == convert(content)
    assert faults.cuts == 0


@pytest.mark.parametrize("size", [1000, 30_000_000])
def test_a_member_that_is_closed_leaves_no_thread(size: int) -> None:
    before = package_threads()
    with remote_file(make_zip({"a.csv": b"id\n" + b"1\n" * (size // 2)})) as (file, _):
        members = iter(open_parquet(file))
        next(next(members).chunks())
        members.close()  # type: ignore[attr-defined]
        wait_until(lambda: not [name for name in package_threads() if name.startswith("connectif-background")])
    wait_until(lambda: package_threads() == before)


def test_closing_the_file_ends_the_threads() -> None:
    before = package_threads()
    with remote_file(make_zip({"a.csv": b"id\n" + b"1\n" * 20_000_000})) as (file, _):
        members = iter(open_parquet(file))
        member = next(members)
        next(member.chunks())
    wait_until(lambda: package_threads() == before)
