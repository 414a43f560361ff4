# SPDX-License-Identifier: Apache-2.0
"""The Parquet files of one export have the same types, and a declared column must be in one of them."""

from __future__ import annotations

import gc
import io
import weakref

import pyarrow.parquet as pq
import pytest

from airflow_provider_connectif.files.tables.conversion import ParquetFiles
from airflow_provider_connectif.files.tables.errors import ColumnMissing, TableError


def convert(files: ParquetFiles, text: bytes, *, last: bool = False) -> list[str]:
    """Convert a file, and return the types of its columns."""
    data = b"".join(files.add("x.csv", last=last).convert([text]))
    return [str(kind) for kind in pq.read_schema(io.BytesIO(data)).types]


def test_each_file_has_the_declared_types_and_the_metadata() -> None:
    files = ParquetFiles(delimiter=";", column_types={"id": "int64", "day": "date"}, metadata={"a": "b"})
    assert convert(files, b"id;day\n1;2026-01-31\n") == ["int64", "date32[day]"]
    assert convert(files, b"id;name\n1;x\n") == ["int64", "string"]
    files.check()


def test_a_declared_column_that_no_file_has_is_an_error_at_the_end() -> None:
    files = ParquetFiles(column_types={"id": "int64", "day": "date"})
    convert(files, b"id\n1\n")
    with pytest.raises(ColumnMissing, match="'day', which no file of the export has"):
        files.check()


def test_in_the_last_file_it_is_an_error_before_any_record_is_read() -> None:
    files = ParquetFiles(column_types={"id": "int64", "day": "date"})
    convert(files, b"id\n1\n")
    with pytest.raises(ColumnMissing):
        convert(files, b"name\na record,that is malformed\n", last=True)


def test_a_type_or_a_delimiter_that_is_not_supported_is_an_error() -> None:
    with pytest.raises(ValueError, match="the type 'money' of 'total'"):
        ParquetFiles(column_types={"total": "money"})
    with pytest.raises(TableError, match="the delimiter"):
        ParquetFiles(delimiter="||").add("x.csv")


def test_what_a_finished_file_took_is_freed() -> None:
    """An export may have thousands of files."""
    files = ParquetFiles(column_types={"id": "int64"})
    converter = files.add("x.csv")
    list(converter.convert([b"id\n1\n"]))
    alive = weakref.ref(converter)
    del converter
    gc.collect()
    assert alive() is None
    files.check()
