# SPDX-License-Identifier: Apache-2.0
"""What the ``csv`` module reads in a CSV file is what is in the Parquet file."""

from __future__ import annotations

import io
import json
import random
import subprocess
import sys
import threading
import zlib
from collections.abc import Iterable, Iterator
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings

from airflow_provider_connectif.files.tables import parquet
from airflow_provider_connectif.files.tables.arrow import TableReader
from airflow_provider_connectif.files.tables.contents import Contents
from airflow_provider_connectif.files.tables.counter import RecordCounter
from airflow_provider_connectif.files.tables.errors import (
    CellDoesNotFit,
    FileEmpty,
    ParquetUnavailable,
    TableError,
    TableMalformed,
)
from airflow_provider_connectif.files.tables.parquet import ParquetConverter, file_metadata, parquet_name
from airflow_provider_connectif.files.tables.types import parse_column_types
from tests.files.tables.csv_files import CsvFile, any_files, written_files


def convert(
    blocks: Iterable[bytes], types: dict[str, str] | None = None, **options: Any
) -> tuple[bytes, ParquetConverter]:
    converter = ParquetConverter(file="x.csv", column_types=parse_column_types(types or {}), **options)
    return b"".join(converter.convert(blocks)), converter


def rows_of(data: bytes) -> list[list[Any]]:
    table = pq.read_table(io.BytesIO(data))
    return [list(row) for row in zip(*(column.to_pylist() for column in table.columns), strict=True)]


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything in pieces of some bytes, so that small files have many of them."""
    for name, value in {"_PIECE": 16, "_WINDOW": 24, "_ROW_GROUP": 100, "_OUTPUT": 64}.items():
        monkeypatch.setattr(parquet, name, value)


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("connectif-background")]


def _check(file: CsvFile) -> None:
    expected = file.records
    data, converter = convert(file.blocks, delimiter=file.delimiter)
    assert rows_of(data) == expected[1:]
    assert converter.finish().rows == len(expected) - 1
    assert [converter.renamed.get(name, name) for name in converter.columns] == expected[0]
    assert pq.read_schema(io.BytesIO(data)).names == converter.columns


@pytest.mark.usefixtures("small_pieces")
@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(written_files())
def test_any_file_of_a_csv_writer_in_any_blocks(file: CsvFile) -> None:
    if file.records:
        _check(file)


@pytest.mark.usefixtures("small_pieces")
@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(any_files())
def test_any_characters_are_the_values_of_the_csv_module_or_an_error(file: CsvFile) -> None:
    expected = file.records
    ragged = [number for number, record in enumerate(expected) if len(record) != len(expected[0])]
    unclosed = RecordCounter(file.delimiter)
    unclosed.feed(file.data)
    unclosed.finish()
    if expected and not ragged and not unclosed.in_quotes:
        _check(file)
        return
    with pytest.raises(TableMalformed) as caught:
        convert(file.blocks, delimiter=file.delimiter)
    if not expected:
        assert "empty" in str(caught.value)
    elif unclosed.in_quotes:  # the last record, or an earlier one with too many fields
        assert caught.value.record in {unclosed.rows or None, *ragged[:1]}
    else:
        assert caught.value.record == ragged[0]


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(written_files())
def test_duckdb_reads_the_same_values(tmp_path: Path, file: CsvFile) -> None:
    duckdb = pytest.importorskip("duckdb", reason="in the group dev, and not in the group test")
    if not file.records:
        return
    # To DuckDB names that differ in case alone are the same, and it has no empty ones.
    names = file.delimiter.join(f"c{number}" for number in range(len(file.records[0])))
    body = names.encode() + b"\n" + file.data.removeprefix(b"\xef\xbb\xbf")
    path = tmp_path / "x.parquet"
    path.write_bytes(convert([body], delimiter=file.delimiter)[0])
    assert [list(row) for row in duckdb.read_parquet(str(path)).fetchall()] == file.records


def large_file(records: int) -> bytes:
    lines = ["id,text,note"]
    lines += [f'{number},"García, {number % 97}","a ""b""\r\n{"c" * (number % 50)}"' for number in range(records)]
    return ("\r\n".join(lines) + "\r\n").encode()


def test_the_same_file_gives_the_same_bytes_in_whatever_blocks() -> None:
    data = large_file(120_000)
    whole, converter = convert([data])
    assert converter.finish().rows == 120_000
    for size in (1 << 15, 1_000_003):
        assert convert(data[at : at + size] for at in range(0, len(data), size))[0] == whole
    assert pq.ParquetFile(io.BytesIO(whole)).num_row_groups == 1
    assert rows_of(whole)[-1] == ["119999", f"García, {119_999 % 97}", 'a "b"\r\n' + "c" * (119_999 % 50)]


def test_row_groups_are_as_large_as_memory_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "_ROW_GROUP", 2 << 20)
    data, converter = convert([large_file(120_000)])
    file = pq.ParquetFile(io.BytesIO(data))
    groups = [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)]
    assert sum(groups) == converter.finish().rows
    assert min(groups[:-1]) > 20_000
    assert {file.metadata.row_group(0).column(number).compression for number in range(3)} == {"ZSTD"}


def test_the_metadata_is_in_the_file() -> None:
    export = {"id": "b" * 24, "exportType": "contacts", "version": "v6", "fileUrl": "https://secret"}
    data, _ = convert([b"a\n1\n"], metadata=file_metadata(export))
    found = pq.read_schema(io.BytesIO(data)).metadata
    assert found == {
        b"connectif.export_id": b"b" * 24,
        b"connectif.export_type": b"contacts",
        b"connectif.export_version": b"v6",
    }
    assert file_metadata({"id": "x", "version": None}) == {"connectif.export_id": "x"}


def test_columns_are_text_unless_declared() -> None:
    body = b"id,total,phone,at,empty\n0123,1.5,+34600000000,2026-01-31T10:00:00Z,\n,,,,\n"
    data, _ = convert([body], {"total": "decimal(18,2)", "at": "timestamp"})
    table = pq.read_table(io.BytesIO(data))
    assert [str(kind) for kind in table.schema.types] == [
        "string",
        "decimal128(18, 2)",
        "string",
        "timestamp[us, tz=UTC]",
        "string",
    ]
    at = datetime(2026, 1, 31, 10, tzinfo=timezone.utc)
    assert rows_of(data) == [["0123", Decimal("1.50"), "+34600000000", at, ""], ["", None, "", None, ""]]


def test_a_declared_column_that_a_file_does_not_have_is_left_to_the_caller() -> None:
    assert rows_of(convert([b"a\n1\n"], {"b": "int64"})[0]) == [["1"]]


def test_columns_of_the_same_name_are_numbered_and_declared_by_number() -> None:
    data, converter = convert([b"a,b,a,\n1,2,3,4\n"], {"a_2": "int64"})
    assert pq.read_schema(io.BytesIO(data)).names == converter.columns == ["a", "b", "a_2", ""]
    assert converter.renamed == {"a_2": "a"}
    assert rows_of(data) == [["1", "2", 3, "4"]]


def test_a_header_alone_is_a_file_without_rows() -> None:
    data, converter = convert([b"\xef\xbb\xbfa,b"], {"b": "date"})
    assert converter.finish().rows == 0
    assert pq.read_schema(io.BytesIO(data)).names == ["a", "b"]
    assert rows_of(data) == []


def failing(*blocks: bytes, types: dict[str, str] | None = None, kind: type[TableError] = TableMalformed) -> TableError:
    with pytest.raises(kind) as caught:
        convert(blocks, types)
    assert caught.value.final != isinstance(caught.value, FileEmpty)
    assert caught.value.file == "x.csv"
    assert "confidential" not in str(caught.value)
    assert "confidential" not in repr(caught.value.__cause__)
    assert "confidential" not in repr(caught.value.__context__) or caught.value.__suppress_context__
    return caught.value


@pytest.mark.parametrize("data", [b"", b"\n\r\n", b"\xef\xbb\xbf"])
def test_a_file_without_a_header_is_an_error(data: bytes) -> None:
    error = failing(data)
    assert "'x.csv': the file is empty" in str(error)
    assert not error.final


@pytest.mark.parametrize(("record", "fields"), [(b"confidential", "1 field "), (b"confidential,2,3", "3 fields ")])
def test_a_record_with_too_few_or_too_many_fields_is_an_error(record: bytes, fields: str) -> None:
    error = failing(b'a,b\n1,"2\n3"\n\n4,5\n' + record + b"\n6,7\n")
    assert error.record == 3
    assert f"'x.csv', record 3: it has {fields}where the header has 2. " in str(error)


def test_text_that_is_not_utf8_is_an_error() -> None:
    error = failing(b"a,b\n1,2\nconfidential,confidential \xff\n")
    assert (error.record, error.column) == (2, "b")
    assert "'x.csv', record 2, column 'b': the text is not UTF-8. " in str(error)
    assert failing(b"a,\xff\n1,2\n").record == 0


@pytest.mark.parametrize("rows", [0, 5, 200_000])
def test_a_bad_cell_on_the_last_row_is_an_error_that_names_file_column_and_record(rows: int) -> None:
    error = failing(b"a,b\n", b"1,2\n" * rows, b"1,confidential\n", types={"b": "int64"}, kind=CellDoesNotFit)
    assert (error.record, error.column) == (rows + 1, "b")


def test_a_field_that_is_not_closed_is_an_error() -> None:
    error = failing(b'a,b\n1,2\n3,"confidential\n4,5\n')
    assert "ends within a quoted field" in str(error)
    assert error.record == 2


def test_a_record_that_never_ends_is_an_error_and_takes_no_more_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "MAX_RECORD", 1 << 20)
    assert "a record is longer than 1 MiB" in str(failing(b'a\n1\n"', b"confidential\n" * 200_000))
    assert "the header is longer than 1 MiB" in str(failing(b'"', b"confidential\n" * 200_000))


def test_a_record_larger_than_a_window_passes() -> None:
    cell = "é\r\n" * 1_000_000
    assert rows_of(convert([f'a,b\n1,"{cell}"\n2,3\n'.encode()])[0]) == [["1", cell], ["2", "3"]]


def test_a_conversion_that_is_given_up_leaves_no_thread() -> None:
    converter = ParquetConverter(file="x.csv")
    converted = converter.convert([large_file(500_000)] * 20)
    next(converted)
    converted.close()
    converter.close()


def test_a_conversion_can_be_ended_by_another_thread() -> None:
    converter = ParquetConverter(file="x.csv")

    def blocks() -> Iterator[bytes]:
        yield large_file(50_000)
        thread = threading.Thread(target=converter.close)
        thread.start()
        thread.join()
        yield large_file(50_000)

    with pytest.raises(ValueError, match="ended before its end"):
        list(converter.convert(blocks()))


def test_after_an_error_nothing_more_is_read() -> None:
    source = iter([b"a,b\n1\n", *[b"1,2\n" * 100_000] * 100])

    with pytest.raises(TableMalformed):
        list(ParquetConverter(file="x.csv").convert(source))
    assert len(list(source)) > 80


def test_what_is_known_of_the_content_is_known_after_its_end() -> None:
    data = b"a,b,a\n1,2,3\n"
    _, converter = convert([data])
    assert converter.finish() == Contents(1, ("a", "b", "a_2"), f"crc32:{zlib.crc32(data):08x}:{len(data)}")
    converter = ParquetConverter(file="x.csv")
    converted = converter.convert([b"a\n1\n"])
    next(converted)
    with pytest.raises(ValueError, match=r"'x\.csv' was not converted to its end"):
        converter.finish()
    converted.close()


def test_names_that_were_numbered_are_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    convert([b"a,b,a\n1,2,3\n"])
    assert caplog.messages == ["Columns of 'x.csv' with the same name are numbered: 'a_2'."]


@pytest.mark.parametrize("delimiter", ["||", "é", '"'])
def test_a_delimiter_that_is_not_supported_is_an_error(delimiter: str) -> None:
    with pytest.raises(TableError, match=r"'x\.csv': the delimiter .* is not supported\. Store the export as csv"):
        ParquetConverter(file="x.csv", delimiter=delimiter)


def test_what_is_yielded_at_once_is_limited() -> None:
    text = random.Random(1).randbytes(20_000_000).hex()
    data = b"a\n" + "\n".join(text[at : at + 100] for at in range(0, len(text), 100)).encode()
    sizes = [len(block) for block in ParquetConverter(file="x.csv").convert([data])]
    assert set(sizes[:-1]) == {1 << 20}
    assert sizes[-1] <= 1 << 20


def test_a_failure_of_a_later_step_reaches_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: object, table: object) -> None:
        raise RuntimeError("no more")

    monkeypatch.setattr(parquet._RowGroups, "add", fail)
    with pytest.raises(RuntimeError, match="no more"):
        convert([large_file(500_000)])


def test_records_that_pyarrow_refuses_without_reason_are_still_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: object, records: bytes) -> list[Any]:
        raise pa.ArrowInvalid("CSV parse error")

    monkeypatch.setattr(TableReader, "_read_fast", refuse)
    assert rows_of(convert([b'a,b\n"1,""\n",2\n\n3,\n'], {"b": "int64"})[0]) == [['1,"\n', 2], ["3", None]]


def test_without_pyarrow_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.csv", None)
    with pytest.raises(ParquetUnavailable, match=r"airflow-provider-connectif\[parquet\]") as caught:
        ParquetConverter(file="x.csv")
    assert caught.value.final


def test_the_modules_load_no_pyarrow_until_it_is_used() -> None:
    code = """
import sys
from airflow_provider_connectif.files.tables import arrow, counter, errors, names, parquet, records, schema, types
assert not {"pyarrow", "duckdb", "airflow"} & sys.modules.keys()
assert not [name for name in sys.modules if name.startswith("airflow_provider_connectif.api")]
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, cwd=Path(__file__).parents[3])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.csv", "a.parquet"),
        ("a.CSV", "a.parquet"),
        ("a.csv.gz", "a.parquet"),
        ("a", "a.parquet"),
        ("a.b", "a.b.parquet"),
    ],
)
def test_the_name_of_the_parquet_file(name: str, expected: str) -> None:
    assert parquet_name(name) == expected


_MEASURED = """
import json, sys, pathlib
import pyarrow, pyarrow.compute, pyarrow.csv, pyarrow.parquet
from airflow_provider_connectif.files.tables.parquet import ParquetConverter
from airflow_provider_connectif.files.tables.types import parse_column_types

def peak():
    status = dict(line.split(":", 1) for line in pathlib.Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) * 1024 / 1e6

line = '%d,client-%d@example.com,"García, Pérez",2026-01-31T10:00:00.000Z,%d.25,"note\\n""of"" some length %d"\\n'
base = peak()
types = parse_column_types({"at": "timestamp", "total": "decimal(18,2)"})

def blocks():
    yield b"id,email,name,at,total,note\\n"
    for first in range(0, int(sys.argv[1]), 2000):
        yield "".join(line % ((n,) * 4) for n in range(first, first + 2000)).encode()

converter = ParquetConverter(file="x.csv", column_types=types)
for _ in converter.convert(blocks()):
    pass
assert converter.finish().rows == int(sys.argv[1])
print(peak() - base)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_file() -> None:
    def megabytes(records: int) -> float:
        done = subprocess.run(
            [sys.executable, "-c", _MEASURED, str(records)],
            capture_output=True,
            check=True,
            timeout=280,
            cwd=Path(__file__).parents[3],
        )
        return float(json.loads(done.stdout))

    small, large = megabytes(1_000_000), megabytes(4_000_000)  # 110 and 440 MB
    assert large < 150
    assert large < small + 30
