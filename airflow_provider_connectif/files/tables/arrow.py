# SPDX-License-Identifier: Apache-2.0
"""
Whole records of a CSV file as Arrow tables, with exactly the values that Python's ``csv`` module reads.

pyarrow's own CSV reader is used only for what it does right: a single block that begins and ends with a record. (As
of pyarrow 26, where it cuts blocks itself it drops the LF of a quoted CRLF at a block's end and fails on records that
span more than two blocks.) What it refuses is read again by
:func:`~airflow_provider_connectif.files.tables.records.iter_records`, to say where the problem is or, if there is
none, to have the values.

pyarrow is imported when it is used, never with this module.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_connectif.files.tables.counter import BOM
from airflow_provider_connectif.files.tables.errors import CellDoesNotFit, FileEmpty, ParquetUnavailable, TableMalformed
from airflow_provider_connectif.files.tables.records import iter_records
from airflow_provider_connectif.files.tables.types import ColumnType, read_cell

if TYPE_CHECKING:
    import pyarrow as pa

_NOT_UTF8 = "the text is not UTF-8"
_NOT_UTF8_HINT = "Create the export again; if that does not help, store it as csv and report it to Connectif."
_FIELDS_HINT = "Check the export's delimiter; if it is right, store the export as csv and look at this record."


def import_pyarrow() -> None:
    """
    Check that pyarrow is installed.

    :raises ParquetUnavailable: it is not
    """
    try:
        import pyarrow.compute
        import pyarrow.csv
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        raise ParquetUnavailable(
            "file_format: 'parquet' needs pyarrow, which is not installed; "
            "install airflow-provider-connectif[parquet], or use 'csv' or 'csv.gz'."
        ) from error


class TableReader:
    """
    Reads the records of one file.

    :param file: its name, for errors
    :param delimiter: one ASCII character
    :param columns: the names of its columns, each different
    :param types: the declared types, by column; a column without one is text
    """

    def __init__(self, file: str, delimiter: str, columns: Sequence[str], types: Mapping[str, ColumnType]) -> None:
        import pyarrow as pa

        self._file = file
        self._delimiter = delimiter
        self._columns = list(columns)
        self._types = {column: types[column] for column in columns if column in types}
        #: The records read so far.
        self.rows = 0
        self.schema = pa.schema(
            [(name, arrow_type(types[name]) if name in types else pa.string()) for name in self._columns]
        )

    def read(self, records: bytes) -> pa.Table:
        """
        Read whole records.

        :raises TableMalformed: a record has the wrong number of fields, or text is not UTF-8
        :raises CellDoesNotFit: a cell is not of its column's declared type
        """
        import pyarrow as pa

        arrays: list[Any] = []
        # pyarrow's errors quote the record: none may be the context of another.
        with contextlib.suppress(pa.ArrowException):
            arrays = self._read_fast(records)
        arrays = arrays or self._read_exactly(records)
        for column, column_type in self._types.items():
            at = self._columns.index(column)
            arrays[at] = self._converted(arrays[at], column, column_type)
        table = pa.Table.from_arrays(arrays, schema=self.schema)
        self.rows += table.num_rows
        return table

    def _read_fast(self, records: bytes) -> list[Any]:
        import pyarrow as pa
        from pyarrow import csv

        if records.startswith(BOM):  # Part of a cell: it is a byte order mark only at the start of the file.
            records = b"\n" + records
        # Numbers as names: the real ones may be of any kind.
        names = [str(number) for number in range(len(self._columns))]
        table = csv.read_csv(
            pa.py_buffer(records),
            read_options=csv.ReadOptions(use_threads=False, block_size=len(records) + 1, column_names=names),
            parse_options=csv.ParseOptions(delimiter=self._delimiter, newlines_in_values=True),
            convert_options=csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False, check_utf8=True
            ),
        )
        return list(table.columns)

    def _read_exactly(self, records: bytes) -> list[Any]:
        import pyarrow as pa

        expected, number = len(self._columns), self.rows
        cells: list[list[str]] = [[] for _ in self._columns]
        for record in iter_records(records, self._delimiter):
            number += 1
            if len(record) != expected:
                fields = f"{len(record)} field{'s' if len(record) != 1 else ''}"
                raise TableMalformed(
                    f"it has {fields} where the header has {expected}", _FIELDS_HINT, file=self._file, record=number
                )
            for column, values, cell in zip(self._columns, cells, record, strict=True):
                text = _decoded(cell)
                if text is None:
                    raise TableMalformed(_NOT_UTF8, _NOT_UTF8_HINT, file=self._file, record=number, column=column)
                values.append(text)
        return [pa.chunked_array([pa.array(values, pa.string())]) for values in cells]

    def _converted(self, cells: pa.ChunkedArray, column: str, column_type: ColumnType) -> pa.ChunkedArray:
        import pyarrow as pa
        from pyarrow import compute

        cells = compute.if_else(compute.equal(cells, ""), pa.scalar(None, pa.string()), cells)
        with contextlib.suppress(pa.ArrowException):
            if (found := _converted_fast(cells, column_type)) is not None:
                return found
        return self._converted_exactly(cells, column, column_type)

    def _converted_exactly(self, cells: pa.ChunkedArray, column: str, column_type: ColumnType) -> pa.ChunkedArray:
        import pyarrow as pa

        values = []
        for index, cell in enumerate(_strings(cells)):
            with contextlib.suppress(ValueError):
                values.append(read_cell(column_type, cell or ""))
            if len(values) == index:
                raise CellDoesNotFit(
                    f"the cell does not fit the type {column_type}",
                    column_type.hint,
                    file=self._file,
                    record=self.rows + index + 1,
                    column=column,
                )
        return pa.chunked_array([pa.array(values, arrow_type(column_type))])


def read_header(file: str, header: bytes, delimiter: str) -> list[str]:
    """
    Return the columns of a header, as they are written.

    :raises TableMalformed: there is none, or it is not UTF-8
    """
    names = next(iter_records(header, delimiter), None)
    if names is None:
        raise FileEmpty("the file is empty, without even a header", "Create the export again.", file=file)
    decoded = [text for name in names if (text := _decoded(name)) is not None]
    if len(decoded) < len(names):
        raise TableMalformed(_NOT_UTF8, _NOT_UTF8_HINT, file=file, record=0)
    return decoded


def _decoded(cell: bytes) -> str | None:
    """Return a cell's text, or None if it is not UTF-8: Python's error quotes the cell, so it is not passed on."""
    with contextlib.suppress(UnicodeDecodeError):
        return cell.decode()
    return None


def arrow_type(column_type: ColumnType) -> pa.DataType:
    """Return the Arrow type of a declared column."""
    import pyarrow as pa

    if column_type.kind == "decimal":
        return pa.decimal128(column_type.precision, column_type.scale)
    return {
        "int64": pa.int64(),
        "double": pa.float64(),
        "timestamp": pa.timestamp("us", tz="UTC"),
        "date": pa.date32(),
        "bool": pa.bool_(),
    }[column_type.kind]


#: Cells that pyarrow is known to read as :func:`~airflow_provider_connectif.files.tables.types.read_cell` does.
_FAST = {
    "decimal": r"^-?[0-9]+(\.[0-9]+)?$",
    "int64": r"^-?[0-9]{1,18}$",
    "double": r"^-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,2})?$",
    "timestamp": r"^[12][0-9]{3}-[0-9]{2}-[0-9]{2}[T ]([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?Z$",
    "date": r"^[12][0-9]{3}-[0-9]{2}-[0-9]{2}$",
    "bool": r"^(true|false|1|0)$",
}


def _converted_fast(cells: pa.ChunkedArray, column_type: ColumnType) -> pa.ChunkedArray | None:
    """Convert cells by pyarrow; None if there is one that it might read in another way."""
    from pyarrow import compute

    fast = compute.all(compute.match_substring_regex(cells, _FAST[column_type.kind]), min_count=0).as_py()
    if not fast:
        return None
    return compute.cast(cells, arrow_type(column_type))


def _strings(cells: pa.ChunkedArray) -> Iterable[str | None]:
    for chunk in cells.chunks:
        yield from chunk.to_pylist()
