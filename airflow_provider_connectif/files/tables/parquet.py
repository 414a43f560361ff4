# SPDX-License-Identifier: Apache-2.0
"""
A CSV file as a Parquet file, while its bytes pass, in constant memory.

What happens to the bytes, each step in its own thread, with little waiting between them:

1. The caller's thread cuts them into windows, which end with a record.
2. Windows become Arrow tables (:mod:`~airflow_provider_connectif.files.tables.arrow`).
3. Tables are gathered into row groups, compressed and encoded.
4. What comes out is yielded in the caller's thread.

Where windows and row groups end depends on the file's bytes alone, not on the blocks in which they come: the same
export gives the same Parquet file, with the same version of pyarrow.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_connectif.files.background import BackgroundCalls
from airflow_provider_connectif.files.deflate import crc32, cut
from airflow_provider_connectif.files.tables.arrow import TableReader, import_pyarrow, read_header
from airflow_provider_connectif.files.tables.contents import DEFAULT_DELIMITER, Contents, format_digest
from airflow_provider_connectif.files.tables.counter import MAX_HEADER, RecordCounter
from airflow_provider_connectif.files.tables.errors import TableError, TableMalformed
from airflow_provider_connectif.files.tables.names import distinct_names
from airflow_provider_connectif.files.tables.types import ColumnType

if TYPE_CHECKING:
    import pyarrow as pa

log = logging.getLogger(__name__)

#: Bytes that are looked through at once, always from the same places in the file.
_PIECE = 256 << 10
#: Bytes of CSV that become a table at once.
_WINDOW = 512 << 10
#: Bytes of CSV that may wait to become tables, and bytes of CSV whose tables may wait while a row group is written.
_UNREAD, _UNWRITTEN = 1 << 20, 4 << 20
#: Bytes of a record; a longer one is probably caused by a stray quotation mark.
MAX_RECORD = 16 << 20
#: Bytes of tables that become a row group. More would take more memory than promised.
_ROW_GROUP = 16 << 20
#: Bytes that are yielded at once.
_OUTPUT = 1 << 20


class ParquetConverter:
    """
    Makes one CSV file a Parquet file.

    :param file: the CSV file's name, for errors
    :param delimiter: one ASCII character
    :param column_types: the declared types, by column; every other column is text
    :param metadata: the metadata of the file, such as the export's id, type and version
    :param on_header: called with the columns when they are known
    :raises ParquetUnavailable: pyarrow is not installed
    :raises TableError: the delimiter is not supported
    """

    def __init__(
        self,
        *,
        file: str,
        delimiter: str = DEFAULT_DELIMITER,
        column_types: Mapping[str, ColumnType] | None = None,
        metadata: Mapping[str, str] | None = None,
        on_header: Callable[[Sequence[str]], None] = lambda columns: None,
    ) -> None:
        import_pyarrow()
        self._file = file
        self._delimiter = delimiter
        self._types = dict(column_types or {})
        self._metadata = dict(metadata or {})
        self._on_header = on_header
        try:
            self._records = RecordCounter(delimiter)
        except ValueError:
            raise TableError(
                f"the delimiter {delimiter!r} is not supported", "Store the export as csv or csv.gz.", file=file
            ) from None
        self._output = _Output()
        self._steps: _Steps | None = None
        self._piece = bytearray()
        # The pieces that were not handed on yet, their size, and how much of it is whole records.
        self._pieces: list[bytes] = []
        self._size = 0
        self._whole = 0
        self._crc = 0
        self._length = 0
        self._contents: Contents | None = None
        #: The names of the columns, known after the header.
        self.columns: list[str] = []
        #: The columns that were numbered, since another has the same name: as they are stored, and as they were.
        self.renamed: dict[str, str] = {}

    def convert(self, blocks: Iterable[bytes]) -> Iterator[bytes]:
        """
        Yield the Parquet file; it is complete if the iterator ends without an error. Can be called once.

        :param blocks: the CSV file, which is not read further after an error
        :raises TableError: the file cannot be converted
        """
        try:
            for block in blocks:
                self._add(block)
                yield from self._output.take()
            steps = self._add_rest()
            steps.finish()
            yield from self._output.take(whole=True)
            digest = format_digest(self._crc, self._length)
            self._contents = Contents(steps.reader.rows, tuple(self.columns), digest)
        finally:
            self.close()
            self._steps = None

    def finish(self) -> Contents:
        """Return the records and columns, after the last byte. Can be called more than once."""
        if self._contents is None:
            raise ValueError(f"{self._file!r} was not converted to its end.")
        return self._contents

    def close(self) -> None:
        """End the threads. May be called more than once, and at any time."""
        steps = self._steps
        if steps is not None:
            steps.close()

    def _add(self, block: bytes) -> None:
        self._crc = crc32(block, self._crc)
        self._length += len(block)
        for piece in cut(block, _PIECE, self._piece):
            self._take_piece(piece)

    def _add_rest(self) -> _Steps:
        self._take_piece(bytes(self._piece))
        self._piece.clear()
        self._records.finish()
        if self._records.in_quotes:
            raise self._quote_too_many("the file ends within a quoted field")
        steps = self._begun()
        self._whole = self._size
        self._hand_on(steps)
        return steps

    def _take_piece(self, piece: bytes) -> None:
        end = self._records.feed(piece)
        if end:
            self._whole = self._size + end
        self._pieces.append(piece)
        self._size += len(piece)
        if self._records.header_too_long:
            raise self._quote_too_many(f"the header is longer than {MAX_HEADER >> 20} MiB")
        if self._records.header:
            steps = self._begun()
            if self._size >= _WINDOW and self._whole:
                self._hand_on(steps)
        if self._size - self._whole > MAX_RECORD:
            raise self._quote_too_many(f"a record is longer than {MAX_RECORD >> 20} MiB")

    def _quote_too_many(self, problem: str) -> TableMalformed:
        return TableMalformed(
            problem,
            "A quoted field is probably not closed; store the export as csv and look at this record.",
            file=self._file,
            record=self._records.rows or None,
        )

    def _begun(self) -> _Steps:
        """Read the header and begin the Parquet file, once."""
        if self._steps is None:
            self.columns, self.renamed = distinct_names(read_header(self._file, self._records.header, self._delimiter))
            self._on_header(self.columns)
            if self.renamed:
                names = ", ".join(map(repr, self.renamed))
                log.warning("Columns of %r with the same name are numbered: %s.", self._file, names)
            reader = TableReader(self._file, self._delimiter, self.columns, self._types)
            self._steps = _Steps(reader, _RowGroups(self._output, reader.schema.with_metadata(self._metadata)))
            self._pieces = [b"".join(self._pieces)[self._records.header_end :]]
            self._size -= self._records.header_end
            self._whole = max(0, self._whole - self._records.header_end)
        return self._steps

    def _hand_on(self, steps: _Steps) -> None:
        """Hand on the whole records that were gathered, and keep the rest."""
        whole, rest, left = [], [], self._whole
        for piece in self._pieces:
            if left >= len(piece):
                whole.append(piece)
            elif left:
                whole.append(piece[:left])
                rest.append(piece[left:])
            else:
                rest.append(piece)
            left = max(0, left - len(piece))
        window = b"".join(whole)
        self._pieces, self._size, self._whole = rest, self._size - len(window), 0
        if window.strip(b"\r\n"):
            steps.put(window)


class _Steps:
    """From windows to row groups, by two threads."""

    def __init__(self, reader: TableReader, row_groups: _RowGroups) -> None:
        self.reader = reader
        self._row_groups = row_groups
        self._read = BackgroundCalls(_UNREAD)
        self._write = BackgroundCalls(_UNWRITTEN)
        self._closed = False

    def put(self, window: bytes) -> None:
        """Add whole records; raises what happened to earlier ones."""
        self._check_open()
        self._read.submit(self._read_window, window, size=len(window))

    def _read_window(self, window: bytes) -> None:
        import pyarrow as pa

        self._write.submit(self._row_groups.add, self.reader.read(window), size=len(window))
        # Each thread keeps what it allocated and another one freed, until it returns it.
        pa.default_memory_pool().release_unused()

    def finish(self) -> None:
        """Complete the file; raises what happened to the records."""
        self._read.finish()
        self._write.finish()
        self._check_open()
        self._row_groups.close()

    def close(self) -> None:
        """Discard what was not written yet, and end the threads."""
        self._closed = True
        # The first one adds to the second one.
        self._read.close()
        self._write.close()

    def _check_open(self) -> None:
        if self._closed:
            raise ValueError("The conversion was ended before its end.")


class _RowGroups:
    """Gathers tables to row groups and writes these."""

    def __init__(self, output: _Output, schema: pa.Schema) -> None:
        from pyarrow import parquet

        self._writer: Any = parquet.ParquetWriter(output, schema, compression="zstd")
        self._tables: list[pa.Table] = []
        self._size = 0

    def add(self, table: pa.Table) -> None:
        self._tables.append(table)
        self._size += table.nbytes
        if self._size >= _ROW_GROUP:
            self._write()

    def close(self) -> None:
        self._write()
        self._writer.close()

    def _write(self) -> None:
        import pyarrow as pa

        if self._tables:
            table = pa.concat_tables(self._tables)
            self._tables.clear()
            self._size = 0
            self._writer.write_table(table, row_group_size=table.num_rows)
            del table
            pa.default_memory_pool().release_unused()


class _Output:
    """The file that pyarrow writes to: what is written waits to be taken."""

    closed = False
    mode = "wb"

    def __init__(self) -> None:
        self._blocks: deque[bytes] = deque()
        self._rest = bytearray()
        self._position = 0

    def write(self, data: Any) -> int:
        size = len(memoryview(data))
        self._blocks.extend(cut(data, _OUTPUT, self._rest))
        self._position += size
        return size

    def take(self, *, whole: bool = False) -> Iterator[bytes]:
        """
        Yield what waits, in blocks of the same size.

        :param whole: yield the last block too, which is smaller; only after the last :meth:`write`
        """
        while self._blocks:
            yield self._blocks.popleft()
        if whole and self._rest:
            yield bytes(self._rest)

    def tell(self) -> int:
        return self._position

    def flush(self) -> None: ...

    def close(self) -> None: ...

    def writable(self) -> bool:
        return True

    def readable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return False


def parquet_name(name: str) -> str:
    """Return the name of the Parquet file that is made of a CSV file."""
    stem = name
    for extension in (".gz", ".csv"):
        if stem.lower().endswith(extension):
            stem = stem[: -len(extension)]
    return f"{stem}.parquet"


def file_metadata(export: Mapping[str, Any]) -> dict[str, str]:
    """Return what is noted of an export in its Parquet files."""
    fields: Sequence[tuple[str, str]] = (("id", "id"), ("type", "exportType"), ("version", "version"))
    return {f"connectif.export_{name}": str(export[key]) for name, key in fields if export.get(key) is not None}
