# SPDX-License-Identifier: Apache-2.0
"""The Parquet files of one export."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from airflow_provider_connectif.files.tables.contents import DEFAULT_DELIMITER
from airflow_provider_connectif.files.tables.parquet import ParquetConverter
from airflow_provider_connectif.files.tables.types import check_declared, parse_column_types


class ParquetFiles:
    """
    Converts the CSV files of one export.

    :param delimiter: the character between the fields
    :param column_types: the declared types, by column; every other column is text
    :param metadata: the metadata of each file
    :raises ValueError: a type is not supported
    """

    def __init__(
        self,
        *,
        delimiter: str = DEFAULT_DELIMITER,
        column_types: Mapping[str, str] | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        self._delimiter = delimiter
        self._types = parse_column_types(column_types or {})
        self._metadata = dict(metadata or {})
        self._columns: list[Sequence[str]] = []

    def add(self, file: str, *, last: bool = False) -> ParquetConverter:
        """
        Return the converter of the next file.

        :param file: its name, for errors
        :param last: whether no file follows, so that :meth:`check` is called as soon as its columns are known
        :raises ParquetUnavailable: pyarrow is not installed
        :raises TableError: the delimiter is not supported
        """

        def on_header(columns: Sequence[str]) -> None:
            self._columns.append(columns)
            if last:
                self.check()

        return ParquetConverter(
            file=file,
            delimiter=self._delimiter,
            column_types=self._types,
            metadata=self._metadata,
            on_header=on_header,
        )

    def check(self) -> None:
        """
        Check that each declared column is in some file, when the columns of all are known.

        :raises ColumnMissing: a column is in none
        """
        check_declared(self._types, self._columns)
