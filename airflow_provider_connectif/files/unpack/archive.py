# SPDX-License-Identifier: Apache-2.0
"""
The content of an export's file, in the format to store.

By its first bytes, the file is a ZIP archive (as sent by Connectif), a plain CSV or a gzip file. Anything else is an
error.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Literal

from airflow_provider_connectif.files import deflate
from airflow_provider_connectif.files.download.remote_file import RemoteFile
from airflow_provider_connectif.files.errors import ArchiveCorrupt, ArchiveUnsupported, RemoteFileUnavailable
from airflow_provider_connectif.files.unpack import unzip
from airflow_provider_connectif.files.unpack.byte_reader import ByteReader
from airflow_provider_connectif.files.unpack.members import Member, SizeLimit
from airflow_provider_connectif.files.unpack.safe_names import UniqueNames, safe_name
from airflow_provider_connectif.files.unpack.verify import Tail, verify_blocks
from airflow_provider_connectif.files.unpack.zip_records import (
    END_SIGNATURE,
    LOCAL_SIGNATURE,
    corrupt,
    parse_directory,
)

FileFormat = Literal["csv", "csv.gz", "archive"]
_EXTENSIONS = {"csv": ".csv", "csv.gz": ".csv.gz"}
_GZIP_SIGNATURE = b"\x1f\x8b\x08"
_HEAD_SIZE = 4096
_BLOCK_SIZE = 1 << 20
_EMPTY = "The export's file is empty: it does not even have a header line."
_TEXT_BYTES = bytes({*range(32, 256), *b"\t\n\r\f\x1b"})


def open_archive(
    remote: RemoteFile, *, file_format: FileFormat, file_name: str, max_uncompressed_bytes: int | None = None
) -> Archive:
    """
    Open an export's file and check what it contains.

    :param remote: the file, which the caller has to close
    :param file_format: ``csv`` unpacks the members; ``csv.gz`` makes each a gzip file, without compressing deflated
        data again; ``archive`` keeps the vendor's file unchanged
    :param file_name: the name of the file without its extension, for formats and files that contain no name
    :param max_uncompressed_bytes: maximum uncompressed size of all members; None for no limit. It does not apply to
        ``archive``, which unpacks nothing.
    :raises ArchiveError: the file is damaged, encrypted, too large or not supported
    :raises RemoteFileError: the file could not be read
    """
    if file_format not in ("csv", "csv.gz", "archive"):
        raise ValueError(f'file_format must be "csv", "csv.gz" or "archive", not {file_format!r}.')
    limit = SizeLimit(max_uncompressed_bytes)
    archive = Archive(remote, file_format, file_name, limit)
    archive.inspect()
    return archive


class Archive(Iterable[Member]):
    """
    The members of an export's file, read one after another.

    Advancing to the next member reads and verifies the rest of the current one. After the last member the whole file is
    verified, so an iteration that ends without an error has read a complete file.
    """

    def __init__(self, remote: RemoteFile, file_format: FileFormat, file_name: str, limit: SizeLimit) -> None:
        self._remote = remote
        self._format = file_format
        self._file_name = file_name
        self._limit = limit
        # Updated by the thread that downloads: on two cores, a separate thread takes more time.
        self._digest = hashlib.sha256() if file_format == "archive" else None
        self._reader = ByteReader(remote.chunks(on_block=self._digest.update if self._digest else None))
        self._kind: Literal["zip", "gzip", "csv"] = "zip"
        self._directory: unzip.Directory | None = None

    @property
    def size(self) -> int | None:
        """Total size of all members in bytes, as in :attr:`Member.size`; None if unknown."""
        if self._format == "archive" or self._kind == "csv":
            return self._remote.size
        return sum(entry.size for entry in self._directory.files) if self._directory else None

    def inspect(self) -> None:
        """Detect the kind of the file, and read the directory of an archive if it can be read first."""
        head = self._reader.peek(_HEAD_SIZE)
        is_zip = head[:4] in (LOCAL_SIGNATURE, END_SIGNATURE)
        if head.startswith(_GZIP_SIGNATURE):
            self._kind = "gzip"
            return
        # Other data may precede an archive. Without ranges, finding out takes a whole download.
        if self._remote.supports_ranges or not (is_zip or _is_text(head)):
            self._directory = unzip.find_directory(self._remote)
        if self._directory is not None and self._format != "archive":
            self._directory.check(self._limit)
        if self._directory is None and is_zip and self._remote.supports_ranges:
            raise corrupt("its end is missing")
        if self._directory is None and not is_zip:
            self._kind = "csv"
            _check_csv(head)
            if not self._remote.info.detects_truncation:
                raise RemoteFileUnavailable(
                    "The vendor's store does not report the size of the file, so an incomplete download would not be "
                    "detected."
                )
            if self._format != "archive" and self._remote.size is not None:
                self._limit.check_declared(self._remote.size)

    def __iter__(self) -> Iterator[Member]:
        """Yield the members, and verify the whole file at the end."""
        member: Member | None = None
        members = self._members()
        try:
            for member in members:
                yield member
                member.finish()
        finally:
            if member is not None:
                member.close()
            members.close()
            self._reader.close()

    def _members(self) -> Generator[Member, None, None]:
        if self._format == "archive":
            extension = {"zip": ".zip", "gzip": ".csv.gz", "csv": ".csv"}[self._kind]
            blocks = verify_blocks(self._remote, self._blocks(), self._end_check())
            # The blocks already come from a thread; another one only saves time if there are checksums to compute.
            yield self._single_member(extension, self._remote.size, blocks, in_thread=bool(self._remote.checksums))
            return
        extension, as_gzip = _EXTENSIONS[self._format], self._format == "csv.gz"
        if self._kind == "zip":
            names = UniqueNames()
            for entry, blocks in unzip.members(
                self._remote, self._reader, self._directory, self._limit, as_gzip=as_gzip
            ):
                size = None if entry.has_descriptor and self._directory is None else entry.size
                yield Member(names.add(entry.name, extension), entry.name, size, blocks, self._remote.start_read_ahead)
        elif self._kind == "gzip":
            yield self._single_member(extension, None, _check_gzip(self._blocks(), self._limit, as_gzip=as_gzip))
        else:
            blocks = self._csv_blocks()
            blocks = deflate.compress_gzip(blocks) if as_gzip else blocks
            yield self._single_member(extension, self._remote.size, blocks)

    def _single_member(
        self, extension: str, size: int | None, blocks: Iterator[bytes], *, in_thread: bool = True
    ) -> Member:
        read_ahead = self._remote.start_read_ahead if in_thread else None
        sha256 = self._digest.hexdigest if self._digest else None
        return Member(safe_name(self._file_name, extension), self._file_name, size, blocks, read_ahead, sha256)

    def _blocks(self) -> Iterator[bytes]:
        while block := self._reader.read_some(_BLOCK_SIZE):
            yield block

    def _csv_blocks(self) -> Iterator[bytes]:
        tail = Tail()
        for block in self._blocks():
            self._limit.add(len(block))
            tail.add(block)
            yield block
        if not self._remote.supports_ranges and tail.find_end_record():
            raise ArchiveUnsupported(
                "The export's file is an archive after other text, which cannot be read from a store without ranges."
            )

    def _end_check(self) -> Callable[[Tail], None] | None:
        if self._kind != "zip":
            return None
        expected = self._directory

        def check(tail: Tail) -> None:
            end = tail.find_end_record()
            if end is None or (expected is not None and end != expected.end):
                raise corrupt("its end is missing")
            data = tail.since(end.start)
            if data is not None:
                parse_directory(data[: end.stop - end.start], end.entries, end.prefix_size)

        return check


def _check_gzip(blocks: Iterator[bytes], limit: SizeLimit, *, as_gzip: bool) -> Iterator[bytes]:
    """Verify a gzip file, and yield its content or, with ``as_gzip``, the file itself."""
    decompressor = deflate.Decompressor(deflate.GZIP)
    first = True
    for block in blocks:
        data = block
        while data:
            if decompressor.eof:
                decompressor = deflate.Decompressor(deflate.GZIP)
            for out in decompressor.decompress(data):
                if first:
                    _check_csv(out[:_HEAD_SIZE])
                first = False
                limit.add(len(out))
                if not as_gzip:
                    yield out
            data = decompressor.unused_data if decompressor.eof else b""
        if as_gzip:
            yield block
    if not decompressor.eof:
        raise ArchiveCorrupt("The export's file is a truncated gzip file.")
    if first:
        raise ArchiveCorrupt(_EMPTY)


def _is_text(head: bytes) -> bool:
    return bool(head) and not head.translate(None, _TEXT_BYTES)


def _check_csv(head: bytes) -> None:
    """Raise an error if the first bytes cannot be those of a CSV."""
    if not head:
        raise ArchiveCorrupt(_EMPTY)
    if head.removeprefix(b"\xef\xbb\xbf").lstrip()[:5].lower() in (b"<html", b"<!doc", b"<?xml"):
        raise ArchiveUnsupported("The store sent a web page or an XML message instead of the export's file.")
    if not _is_text(head):
        raise ArchiveUnsupported("The export's file is not a ZIP archive, a CSV or a gzip file.")
