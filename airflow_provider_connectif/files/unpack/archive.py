# SPDX-License-Identifier: Apache-2.0
"""
An export's file as the objects that are to be written.

By its first bytes the file is a ZIP archive (what Connectif sends), a plain CSV or a gzip file; each comes
out in the format that was asked for. Anything else is refused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Literal

from airflow_provider_connectif.files import deflate
from airflow_provider_connectif.files.download.remote_file import RemoteFile
from airflow_provider_connectif.files.errors import ArchiveCorrupt, ArchiveUnsupported, RemoteFileUnavailable
from airflow_provider_connectif.files.unpack import unzip
from airflow_provider_connectif.files.unpack import zip_records as z
from airflow_provider_connectif.files.unpack.byte_reader import Cursor
from airflow_provider_connectif.files.unpack.members import Budget, Member
from airflow_provider_connectif.files.unpack.safe_names import Names, safe_name
from airflow_provider_connectif.files.unpack.verify import Tail, whole

FileFormat = Literal["csv", "csv.gz", "archive"]
_EXTENSIONS = {"csv": ".csv", "csv.gz": ".csv.gz"}
_GZIP = b"\x1f\x8b\x08"
_SNIFFED = 4096
_BLOCK = 1 << 20
_TEXT = bytes({*range(32, 256), *b"\t\n\r\f\x1b"})


def open_archive(
    remote: RemoteFile, *, file_format: FileFormat, file_name: str, max_uncompressed_bytes: int | None = None
) -> Archive:
    """
    Look into an export's file.

    :param remote: the file. It stays open; closing it is the caller's.
    :param file_format: ``csv`` unpacks the members, ``csv.gz`` makes each a gzip file, without compressing
        anew what is deflated already, ``archive`` passes the vendor's file on byte for byte.
    :param file_name: the name of the file without its extension, for formats and files that contain no name.
    :param max_uncompressed_bytes: bytes that may come out at most, all members together; None for no limit.
        It does not bound ``archive``, which unpacks nothing.
    :raises ArchiveError: the file is damaged, encrypted, too large or of a kind that is not known.
    :raises RemoteFileError: the file could not be read.
    """
    if file_format not in ("csv", "csv.gz", "archive"):
        raise ValueError(f'file_format must be "csv", "csv.gz" or "archive", not {file_format!r}.')
    budget = Budget(max_uncompressed_bytes)
    archive = Archive(remote, file_format, file_name, budget)
    archive.look()
    return archive


class Archive(Iterable[Member]):
    """
    The members of an export's file, to be read one after the other.

    The next member is to be asked for when the last one has been read; what was left unread of it is read and
    checked then. After the last member the file as a whole is checked, so an iteration that ended was over a
    whole file.
    """

    def __init__(self, remote: RemoteFile, file_format: FileFormat, file_name: str, budget: Budget) -> None:
        self._remote = remote
        self._format = file_format
        self._file_name = file_name
        self._budget = budget
        # Of a file that is passed on, by the thread that reads: on two cores, one for that alone takes more time.
        self._digest = hashlib.sha256() if file_format == "archive" else None
        self._cursor = Cursor(remote.chunks(passing=self._digest.update if self._digest else None))
        self._kind: Literal["zip", "gzip", "csv"] = "zip"
        self._directory: unzip.Directory | None = None

    @property
    def size(self) -> int | None:
        """Bytes of all members together, as :attr:`Member.size` counts them; None when not known yet."""
        if self._format == "archive" or self._kind == "csv":
            return self._remote.size
        return sum(entry.size for entry in self._directory.files) if self._directory else None

    def look(self) -> None:
        """Find out what the file is, and read an archive's directory where it can be read first."""
        head = self._cursor.peek(_SNIFFED)
        is_zip = head[:4] in (z.LOCAL, z.END)
        if head.startswith(_GZIP):
            self._kind = "gzip"
            return
        # An archive may have something before it. Without ranges it costs a whole reading to find out.
        if self._remote.supports_ranges or not (is_zip or _is_text(head)):
            self._directory = unzip.find_directory(self._remote)
        if self._directory is not None and self._format != "archive":
            self._directory.check(self._budget)
        if self._directory is None and is_zip and self._remote.supports_ranges:
            raise z.corrupt("its end is missing")
        if self._directory is None and not is_zip:
            self._kind = "csv"
            _check_csv(head)
            if not self._remote.facts.sure_end:
                raise RemoteFileUnavailable(
                    "The vendor's store does not tell how long the file is, so a cut could not be noticed."
                )
            if self._format != "archive" and self._remote.size is not None:
                self._budget.declare(self._remote.size)

    def __iter__(self) -> Iterator[Member]:
        """Yield the members, then check the whole."""
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
            self._cursor.close()

    def _members(self) -> Generator[Member, None, None]:
        if self._format == "archive":
            extension = {"zip": ".zip", "gzip": ".csv.gz", "csv": ".csv"}[self._kind]
            blocks = whole(self._remote, self._stream(), self._end_check())
            # What is passed on as it is comes from a thread already; another one pays for checksums alone.
            yield self._only(extension, self._remote.size, blocks, in_thread=bool(self._remote.checksums))
            return
        extension, wrap = _EXTENSIONS[self._format], self._format == "csv.gz"
        if self._kind == "zip":
            names = Names()
            for entry, blocks in unzip.members(self._remote, self._cursor, self._directory, self._budget, wrap=wrap):
                size = None if entry.streamed and self._directory is None else entry.size
                yield Member(names.distinct(entry.name, extension), entry.name, size, blocks, self._remote.ahead)
        elif self._kind == "gzip":
            yield self._only(extension, None, _gunzipped(self._stream(), self._budget, wrap=wrap))
        else:
            text = self._text()
            yield self._only(extension, self._remote.size, deflate.gzipped(text) if wrap else text)

    def _only(self, extension: str, size: int | None, blocks: Iterator[bytes], *, in_thread: bool = True) -> Member:
        ahead = self._remote.ahead if in_thread else None
        sha256 = self._digest.hexdigest if self._digest else None
        return Member(safe_name(self._file_name, extension), self._file_name, size, blocks, ahead, sha256)

    def _stream(self) -> Iterator[bytes]:
        while block := self._cursor.some(_BLOCK):
            yield block

    def _text(self) -> Iterator[bytes]:
        tail = Tail()
        for block in self._stream():
            self._budget.spend(len(block))
            tail.add(block)
            yield block
        if not self._remote.supports_ranges and tail.find_end():
            raise ArchiveUnsupported(
                "The export's file is an archive with text before it, which cannot be read from a store without ranges."
            )

    def _end_check(self) -> Callable[[Tail], None] | None:
        if self._kind != "zip":
            return None
        expected = self._directory

        def check(tail: Tail) -> None:
            end = tail.find_end()
            if end is None or (expected is not None and end != expected.end):
                raise z.corrupt("its end is missing")
            data = tail.since(end.start)
            if data is not None:
                z.parse_directory(data[: end.stop - end.start], end.entries, end.shift)

        return check


def _gunzipped(blocks: Iterator[bytes], budget: Budget, *, wrap: bool) -> Iterator[bytes]:
    """Check gzip members on their way, and yield what is in them, or with ``wrap`` themselves."""
    inflater = deflate.Inflater(deflate.GZIP)
    first = True
    for block in blocks:
        fed = block
        while fed:
            if inflater.ended:
                inflater = deflate.Inflater(deflate.GZIP)
            for out in inflater.inflate(fed):
                if first:
                    _check_csv(out[:_SNIFFED])
                first = False
                budget.spend(len(out))
                if not wrap:
                    yield out
            fed = inflater.unused if inflater.ended else b""
        if wrap:
            yield block
    if not inflater.ended:
        raise ArchiveCorrupt("The export's file is a gzip file that ends too early.")
    if first:
        raise ArchiveCorrupt("The export's file is empty: not even a header line is in it.")


def _is_text(head: bytes) -> bool:
    return bool(head) and not head.translate(None, _TEXT)


def _check_csv(head: bytes) -> None:
    """Refuse what is certainly no CSV."""
    if not head:
        raise ArchiveCorrupt("The export's file is empty: not even a header line is in it.")
    if head.removeprefix(b"\xef\xbb\xbf").lstrip()[:5].lower() in (b"<html", b"<!doc", b"<?xml"):
        raise ArchiveUnsupported("The store sent a web page or an XML message in place of the export's file.")
    if not _is_text(head):
        raise ArchiveUnsupported("The export's file is neither a ZIP archive, nor a CSV or gzip file.")
