# SPDX-License-Identifier: Apache-2.0
"""
What can be wrong with the content of an export's file.

::

    FileError
     ├─ TableError                 final   the content is not what was asked for
     │   ├─ TableMalformed            final   a record, a cell or the text itself is broken
     │   │   └─ FileEmpty                     a file does not even have a header
     │   ├─ CellDoesNotFit            final   a cell is not a value of its column's declared type
     │   ├─ ColumnMissing             final   no file of the export has a declared column
     │   └─ SchemaChanged             final   the columns are not those of the previous export
     ├─ ColumnsNotCompared                 it is not known whether the columns are those of the previous export
     └─ ParquetUnavailable         final   pyarrow is not installed

No message contains a cell: it may be personal data.
"""

from __future__ import annotations

from airflow_provider_connectif.files.errors import FileError


class TableError(FileError):
    """
    The content of a file is not what was asked for.

    :param problem: what is wrong, without the content of any cell
    :param hint: what to change
    :param file: the file's name
    :param record: the record's number, counted from 1 after the header; 0 is the header, None the file as a whole
    :param column: the column's name
    """

    final = True

    def __init__(
        self, problem: str, hint: str, *, file: str = "", record: int | None = None, column: str | None = None
    ) -> None:
        self.file = file
        self.record = record
        self.column = column
        place = [repr(file)] if file else []
        if record is not None:
            place.append(f"record {record}" if record else "the header")
        if column is not None:
            place.append(f"column {column!r}")
        super().__init__(f"{', '.join(place)}: {problem}. {hint}" if place else f"{problem}. {hint}")


class TableMalformed(TableError):
    """A record has the wrong number of fields, a quoted field is not closed, or the text is not UTF-8."""


class FileEmpty(TableMalformed):
    """A file does not even have a header."""

    final = False


class CellDoesNotFit(TableError):
    """A cell is not a value of the type that its column is declared to have."""


class ColumnMissing(TableError):
    """No file of the export has a column that was declared."""


class SchemaChanged(TableError):
    """
    The columns are not those of the previous export, and this is to fail the task.

    :param problem: what changed, as :func:`~airflow_provider_connectif.files.tables.schema.describe_changes` says it
    """

    def __init__(self, problem: str) -> None:
        super().__init__(
            problem.removesuffix("."),
            "The task fails because on_schema_change is 'fail'. When whatever loads the files is ready for these "
            "columns, run the task once with on_schema_change='warn'; later runs then compare theirs with these.",
        )


class ColumnsNotCompared(FileError):
    """
    It is not known whether the columns are those of the previous export, and a change is to fail the task.

    :param reason: what failed
    """

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"The columns could not be compared with those of earlier exports ({reason}), and on_schema_change is "
            "'fail'. Nothing was stored. Run the task again."
        )


class ParquetUnavailable(FileError):
    """pyarrow, which writes Parquet files, is not installed."""

    final = True
