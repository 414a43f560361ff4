# SPDX-License-Identifier: Apache-2.0
"""
The content of an export's file, in the format to store.

By its first bytes, the file is a ZIP archive (as sent by Connectif), a plain CSV or a gzip file. Anything else is an
error.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Literal

from airflow_provider_connectif.files import deflate
from airflow_provider_connectif.files.download.remote_file import RemoteFile
from airflow_provider_connectif.files.download.url_policy import UrlPolicy
from airflow_provider_connectif.files.error_messages import is_error_message
from airflow_provider_connectif.files.errors import (
    ArchiveCorrupt,
    ArchiveUnsupported,
    ExportMissing,
    RemoteFileDamaged,
    RemoteFileUnavailable,
)
from airflow_provider_connectif.files.tables.contents import DEFAULT_DELIMITER, ContentsCounter
from airflow_provider_connectif.files.tables.conversion import ParquetFiles
from airflow_provider_connectif.files.tables.errors import CellDoesNotFit, TableMalformed
from airflow_provider_connectif.files.tables.parquet import ParquetConverter, parquet_name
from airflow_provider_connectif.files.unpack import unzip
from airflow_provider_connectif.files.unpack.byte_reader import ByteReader
from airflow_provider_connectif.files.unpack.gzip_file import GZIP_SIGNATURE, read_gzip
from airflow_provider_connectif.files.unpack.members import Member, SizeLimit
from airflow_provider_connectif.files.unpack.safe_names import UniqueNames, safe_name
from airflow_provider_connectif.files.unpack.verify import Tail, verify_blocks
from airflow_provider_connectif.files.unpack.zip_records import (
    END_SIGNATURE,
    LOCAL_SIGNATURE,
    corrupt,
    parse_directory,
    quote_name,
)

log = logging.getLogger(__name__)

FileFormat = Literal["csv", "csv.gz", "parquet", "archive"]
_EXTENSIONS = {"csv": ".csv", "csv.gz": ".csv.gz", "parquet": ".parquet"}
_ZIP_SIGNATURES = (LOCAL_SIGNATURE, END_SIGNATURE)
_HEAD_SIZE = 4096
_BLOCK_SIZE = 1 << 20
_EMPTY = "The export's file is empty: it does not even have a header line."
_NO_MEMBERS = "The export's archive contains no files."
_NOT_AN_EXPORT = "The export's file is not a ZIP archive, a CSV or a gzip file."
_TEXT_BYTES = bytes({*range(32, 256), *b"\t\n\r\f\x1b"})


def open_archive(
    remote: RemoteFile,
    *,
    file_format: FileFormat,
    file_name: str,
    max_uncompressed_bytes: int | None = None,
    delimiter: str | None = None,
    column_types: Mapping[str, str] | None = None,
    metadata: Mapping[str, str] | None = None,
) -> Archive:
    """
    Open an export's file and check what it contains.

    :param remote: the file, which the caller has to close
    :param file_format: ``csv`` unpacks the members; ``csv.gz`` makes each a gzip file, without compressing deflated
        data again; ``parquet`` makes each a Parquet file; ``archive`` keeps the vendor's file unchanged
    :param file_name: the name of the file without its extension, for formats and files that contain no name
    :param max_uncompressed_bytes: maximum uncompressed size of all members; None for no limit. It does not apply to
        ``archive``, which unpacks nothing.
    :param delimiter: the character between the fields of the CSV files; None for a comma
    :param column_types: for ``parquet``, the types of columns that are not text
    :param metadata: for ``parquet``, the metadata of each file
    :raises ArchiveError: the file is damaged, encrypted, too large, not supported or not an export
    :raises RemoteFileError: the file could not be read
    :raises TableError: while reading ``parquet``, if the content of a file cannot be converted
    :raises ParquetUnavailable: pyarrow, which ``parquet`` needs, is not installed
    """
    delimiter = delimiter or DEFAULT_DELIMITER
    parquet = None
    if file_format == "parquet":
        parquet = ParquetFiles(delimiter=delimiter, column_types=column_types, metadata=metadata)
    limit = SizeLimit(max_uncompressed_bytes)
    archive = Archive(remote, file_format, file_name, limit, delimiter, parquet)
    archive.inspect()
    return archive


def open_export_file(get_url: Callable[[], str], *, url_policy: UrlPolicy, **options: Any) -> Archive:
    """
    Open an export's file at a signed URL.

    :param get_url: returns a signed URL
    :param url_policy: which URLs may be used
    :param options: the other arguments of :func:`open_archive`, which raises the same errors
    """
    return open_archive(RemoteFile(get_url, url_policy=url_policy), **options)


class Archive(Iterable[Member]):
    """
    The members of an export's file, read one after another.

    Advancing to the next member reads and verifies the rest of the current one. After the last member the whole file is
    verified, so an iteration that ends without an error has read a complete file.
    """

    def __init__(
        self,
        remote: RemoteFile,
        file_format: FileFormat,
        file_name: str,
        limit: SizeLimit,
        delimiter: str,
        parquet: ParquetFiles | None,
    ) -> None:
        self._remote = remote
        self._format = file_format
        self._file_name = file_name
        self._limit = limit
        self._delimiter = delimiter
        self._parquet = parquet
        self._as_gzip = file_format == "csv.gz"
        # Updated by the thread that downloads: on two cores, a separate thread takes more time.
        self._digest = hashlib.sha256() if file_format == "archive" else None
        self._tail = Tail()
        self._reader = ByteReader(remote.chunks(on_block=self._digest.update if self._digest else self._tail.add))
        self._kind: Literal["zip", "gzip", "csv"] = "zip"
        #: Names of members that are not data, such as ``.DS_Store``, and were therefore left out.
        self.skipped: list[str] = []
        self._directory: unzip.Directory | None = None
        self._names = UniqueNames()

    def inspect(self) -> None:
        """Detect the kind of the file, and read the directory of an archive if it can be read first."""
        with self._judging_damage():
            head = self._reader.peek(_HEAD_SIZE)
            if head.startswith(GZIP_SIGNATURE):
                self._kind = "gzip"
            elif not head or _is_text(head):
                self._kind = "csv"
                _check_csv(head)
            # Without ranges, reading the directory takes a whole download, so it is only done if it has to be.
            elif self._remote.info.supports_ranges or not head.startswith(_ZIP_SIGNATURES):
                self._inspect_end(head.startswith(_ZIP_SIGNATURES))
        if self._kind == "zip":
            return
        if not self._remote.info.detects_truncation:
            raise RemoteFileUnavailable(
                "The vendor's store does not report the size of the file, so an incomplete download would not be "
                "detected."
            )
        if self._kind == "csv" and self._format != "archive" and self._remote.size is not None:
            self._limit.check_declared(self._remote.size)

    def _inspect_end(self, starts_like_zip: bool) -> None:
        if self._format == "archive":
            found = unzip.find_end(self._remote)[0] is not None
        else:
            directory = unzip.find_directory(self._remote)
            found = directory is not None
            if directory is not None:
                # Other data may precede an archive, but not another archive.
                start = directory.entries[0].offset if directory.entries and not starts_like_zip else 0
                self._directory = replace(directory, start=start)
                self._directory.check(self._limit)
        if not found:
            raise corrupt("its end is missing") if starts_like_zip else ExportMissing(_NOT_AN_EXPORT)

    @contextmanager
    def _judging_damage(self) -> Iterator[None]:
        """Raise damage that may be that of the download as an error that may pass."""
        try:
            yield
            return
        except (ArchiveCorrupt, TableMalformed, CellDoesNotFit) as error:
            if self._remote.proves_damage:
                raise
            reason = str(error)
        raise RemoteFileDamaged(
            f"{reason} The vendor's store does not show whether all that was received is the complete file, so a retry "
            "may help."
        )

    def __iter__(self) -> Iterator[Member]:
        """Yield the members, and verify the whole file at the end."""
        member: Member | None = None
        members = self._members()
        try:
            with self._judging_damage():
                for member in members:
                    yield member
                    member.finish()
            if member is None:
                raise ExportMissing(_NO_MEMBERS)
            if self._parquet:
                self._parquet.check()
        finally:
            if member is not None:
                member.close()
            members.close()
            self._reader.close()

    def _members(self) -> Generator[Member, None, None]:
        if self._format == "archive":
            extension = {"zip": ".zip", "gzip": ".csv.gz", "csv": ".csv"}[self._kind]
            blocks = verify_blocks(self._remote, self._blocks(), self._check_end)
            # The blocks already come from a thread; another one only saves time if there are checksums to compute.
            in_thread = bool(self._remote.info.checksums)
            yield self._member(self._file_name, extension, self._remote.size, blocks, in_thread=in_thread)
            return
        if self._kind == "zip":
            yield from self._zip_members()
            return
        counter, feed = self._new_counter(self._file_name, last=True)
        if self._kind == "gzip":
            size, blocks = None, self._gzip_blocks(feed)
        else:
            size, blocks = self._remote.size, verify_blocks(self._remote, self._csv_blocks(feed), self._check_end)
            blocks = deflate.compress_gzip(blocks) if self._as_gzip else blocks
        yield self._member(self._file_name, _EXTENSIONS[self._format], size, blocks, counter)

    def _zip_members(self) -> Iterator[Member]:
        files = [entry for entry in self._directory.files if not entry.is_metadata] if self._directory else []
        last = files[-1].offset if files else None
        for entry, reader in unzip.members(self._remote, self._reader, self._tail, self._directory, self._limit):
            if entry.is_metadata:
                log.info("Leaving out %s, which is not data.", quote_name(entry.name))
                self.skipped.append(entry.name)
                reader.skip()
                continue
            size = None if entry.is_gzip or (entry.has_descriptor and self._directory is None) else entry.size
            counter, feed = self._new_counter(entry.name, last=entry.offset == last)
            if entry.is_gzip:
                blocks = self._nested_gzip_blocks(entry.name, ByteReader(reader.blocks()), feed)
            else:
                blocks = reader.blocks(as_gzip=self._as_gzip, on_content=feed)
            yield self._member(entry.name, _EXTENSIONS[self._format], size, blocks, counter)

    def _new_counter(
        self, name: str, *, last: bool
    ) -> tuple[ContentsCounter | ParquetConverter, Callable[[bytes], object]]:
        """Return what counts the records of a CSV file, and what has to be called with each block of its content."""
        if self._parquet:
            converter = self._parquet.add(safe_name(name, ".csv"), last=last)
            self._remote.close_with_file(converter)
            return converter, _ignore
        counter = ContentsCounter(self._delimiter, with_digest=self._as_gzip)
        self._remote.close_with_file(counter)
        return counter, counter.feed

    def _judged(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        with self._judging_damage():
            yield from blocks

    def _member(
        self,
        source_name: str,
        extension: str,
        size: int | None,
        blocks: Iterator[bytes],
        counter: ContentsCounter | ParquetConverter | None = None,
        *,
        in_thread: bool = True,
    ) -> Member:
        if isinstance(counter, ParquetConverter):
            size, blocks = None, counter.convert(blocks)
        return Member(
            self._names.add(parquet_name(source_name) if self._parquet else source_name, extension),
            source_name,
            size,
            self._judged(blocks),
            self._remote.start_read_ahead if in_thread else None,
            self._digest.hexdigest if self._digest else None,
            counter,
        )

    def _blocks(self) -> Iterator[bytes]:
        while block := self._reader.read_some(_BLOCK_SIZE):
            yield block

    def _csv_blocks(self, feed: Callable[[bytes], object]) -> Iterator[bytes]:
        while block := self._reader.read(deflate.OUTPUT_SIZE):
            self._limit.add(len(block))
            feed(block)
            yield block

    def _gzip_blocks(self, feed: Callable[[bytes], object]) -> Iterator[bytes]:
        head = b""

        def on_content(content: bytes) -> None:
            nonlocal head
            if not head:
                head = content[:_HEAD_SIZE]
                _check_csv(head)
            self._limit.add(len(content))
            feed(content)

        yield from read_gzip(self._reader, on_content, as_gzip=self._as_gzip, name="The export's file")
        _check_csv(head)

    def _nested_gzip_blocks(self, name: str, reader: ByteReader, feed: Callable[[bytes], object]) -> Iterator[bytes]:
        """Yield a member of an archive whose name is that of a gzip file."""

        def on_content(content: bytes) -> None:
            self._limit.add(len(content))
            feed(content)

        if reader.peek(len(GZIP_SIGNATURE)) == GZIP_SIGNATURE:
            name = f"The member {quote_name(name)} of the export's archive"
            yield from read_gzip(reader, on_content, as_gzip=self._as_gzip, name=name)
            return
        content = _observed(iter(lambda: reader.read_some(_BLOCK_SIZE), b""), feed)
        yield from deflate.compress_gzip(content) if self._as_gzip else content

    def _check_end(self, tail: Tail) -> None:
        if self._kind == "gzip":
            return
        end = tail.find_end_record()
        if self._kind == "csv":
            if end is not None:
                raise ArchiveUnsupported("The export's file is an archive after other text, which is not supported.")
            return
        if end is None:
            raise corrupt("its end is missing")
        if not end.entries:
            raise ExportMissing(_NO_MEMBERS)
        data = tail.since(end.start)
        if data is not None:
            parse_directory(data[: end.stop - end.start], end.entries, end.prefix_size)


def _ignore(block: bytes) -> None:
    pass


def _observed(blocks: Iterator[bytes], on_content: Callable[[bytes], object]) -> Iterator[bytes]:
    for block in blocks:
        on_content(block)
        yield block


def _is_text(head: bytes) -> bool:
    return bool(head) and not head.translate(None, _TEXT_BYTES)


def _check_csv(head: bytes) -> None:
    """Raise an error if the first bytes cannot be those of a CSV."""
    if not head:
        raise ExportMissing(_EMPTY)
    if is_error_message(head):
        raise ExportMissing("The export's file is a web page or an error message.")
    if not _is_text(head):
        raise ExportMissing(_NOT_AN_EXPORT)
