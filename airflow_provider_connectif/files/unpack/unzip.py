# SPDX-License-Identifier: Apache-2.0
"""
The members of a ZIP archive, in one pass over a remote file.

With ranges, the directory at the end is read first: names, sizes and CRCs are known before anything is written.
Without ranges, members are read sequentially, using the headers in front of them, and then compared with the directory
at the end. Only a stored member whose header contains no size needs the directory first: the file is read twice then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from airflow_provider_connectif.files import deflate
from airflow_provider_connectif.files.download.remote_file import RemoteFile
from airflow_provider_connectif.files.errors import ArchiveError, ArchiveTooLarge
from airflow_provider_connectif.files.unpack.byte_reader import ByteReader
from airflow_provider_connectif.files.unpack.gzip_file import read_deflated
from airflow_provider_connectif.files.unpack.members import SizeLimit
from airflow_provider_connectif.files.unpack.verify import Tail
from airflow_provider_connectif.files.unpack.zip_records import (
    CENTRAL_SIGNATURE,
    EXTRA_DATA_SIGNATURE,
    LOCAL_HEADER_SIZE,
    LOCAL_SIGNATURE,
    MAX_END_SIZE,
    STORED,
    EndRecord,
    Entry,
    corrupt,
    descriptor_length,
    find_end_record,
    local_header_rest,
    parse_directory,
    parse_local_header,
    quote_name,
)

#: An export has a handful of members; these limits keep a malicious directory out of memory.
MAX_MEMBERS = 10_000
MAX_DIRECTORY_SIZE = 16 << 20


class _NeedsDirectory(Exception):
    """The end of a member at ``position`` cannot be found without the directory; those before it were ``read``."""

    def __init__(self, read: list[Entry], position: int) -> None:
        super().__init__()
        self.read = read
        self.position = position


@dataclass(frozen=True)
class Directory:
    """
    The central directory of an archive.

    Together, its members have to cover the archive without gaps. Otherwise it could contain other files for a reader
    that begins at its start than for one that begins at its end.

    :param entries: its members and folders, by their position in the file
    :param end: the end record
    :param start: where the first member has to begin
    """

    entries: list[Entry]
    end: EndRecord
    start: int = 0

    @property
    def files(self) -> list[Entry]:
        """The members that are files."""
        return [entry for entry in self.entries if not entry.is_folder]

    def after(self, read: list[Entry], position: int) -> Directory:
        """
        Return the directory without its first members, which were already read.

        :raises ArchiveCorrupt: they differ from those that were read
        """
        if [_identity(entry) for entry in self.entries[: len(read)]] != [_identity(entry) for entry in read]:
            raise corrupt("its directory does not list the members in it")
        return Directory(self.entries[len(read) :], self.end, position)

    def check(self, limit: SizeLimit) -> None:
        """
        Check that the members can and may be unpacked, before anything is written.

        :raises ArchiveError: a member is encrypted, uses an unsupported method or overlaps another, or is too large
        """
        end_before = self.start
        for entry in self.entries:
            entry.check_readable()
            if entry.offset < end_before:
                raise corrupt("its members overlap")
            end_before = entry.offset + LOCAL_HEADER_SIZE + len(entry.raw_name) + entry.compressed_size
            if entry.is_folder and entry.size:
                raise corrupt(f"the folder {quote_name(entry.name)} has content")
            if entry.method == STORED and entry.compressed_size != entry.size:
                raise corrupt(f"the stored member {quote_name(entry.name)} has two different sizes")
        if end_before > self.end.start:
            raise corrupt("its members overlap its directory")
        limit.check_declared(sum(entry.size for entry in self.entries))


def members(
    remote: RemoteFile, reader: ByteReader, tail: Tail, directory: Directory | None, limit: SizeLimit
) -> Iterator[tuple[Entry, MemberReader]]:
    """
    Yield the files of an archive and a reader for each, in the order in which the archive contains them.

    Each one has to be read to its end before the next file. At the end, everything that was read has been compared
    with the directory.

    :param remote: the archive
    :param reader: a reader at its first byte, used without a directory
    :param tail: what that reader read last
    :param directory: its directory, checked, if it could be read first
    :param limit: the limit on the uncompressed size
    """
    if directory is None:
        try:
            yield from _read_sequentially(reader, tail, limit)
            return
        except _NeedsDirectory as error:
            read, position = error.read, error.position
        reader.close()
        directory = find_directory(remote)
        if directory is None:
            raise corrupt("its end is missing")
        directory = directory.after(read, position)
        directory.check(limit)
    yield from _read_by_directory(remote, directory, limit)


def find_end(remote: RemoteFile) -> tuple[EndRecord | None, bytes]:
    """
    Read the last bytes of a file, and find the end record of an archive in them.

    :param remote: the file; without ranges, all of it is read
    """
    if remote.size is None:
        for _ in remote.chunks():
            pass
    size = remote.size or 0
    tail = b"".join(remote.chunks(max(0, size - MAX_END_SIZE)))
    return find_end_record(tail, size), tail


def find_directory(remote: RemoteFile) -> Directory | None:
    """
    Read the directory of an archive; return None if the file does not end like one.

    :param remote: the file; without ranges, all of it is read
    """
    end, tail = find_end(remote)
    if end is None:
        return None
    _check_directory_size(end.entries, end.stop - end.start)
    tail_start = (remote.size or 0) - len(tail)
    if end.start >= tail_start:
        data = tail[end.start - tail_start : end.stop - tail_start]
    else:
        data = b"".join(remote.chunks(end.start, end.stop))
    if end.entries and data[:4] != CENTRAL_SIGNATURE:
        return None
    return _parse_directory(data, end)


def _parse_directory(data: bytes, end: EndRecord) -> Directory:
    entries = parse_directory(data, end.entries, end.prefix_size)
    return Directory(sorted(entries, key=lambda entry: entry.offset), end)


def _check_directory_size(entries: int, length: int) -> None:
    if entries > MAX_MEMBERS or length > MAX_DIRECTORY_SIZE:
        raise ArchiveTooLarge(
            f"The export's archive has {entries:,} members (a directory of {length:,} bytes); "
            f"at most {MAX_MEMBERS:,} members are supported."
        )


def _read_by_directory(
    remote: RemoteFile, directory: Directory, limit: SizeLimit
) -> Iterator[tuple[Entry, MemberReader]]:
    start, stop = directory.start, directory.end.start
    # With the signature of the directory, which follows the last data descriptor.
    reader = ByteReader(remote.chunks(start, stop + len(CENTRAL_SIGNATURE)), start)
    try:
        for entry in directory.entries:
            _check_position(reader, entry.offset)
            local = _read_local(reader)
            local.check_readable()
            if local.raw_name != entry.raw_name or local.method != entry.method:
                raise corrupt(f"the header of {quote_name(entry.name)} differs from the directory")
            sizes = (entry.crc, entry.compressed_size, entry.size)
            if not local.has_descriptor and (local.crc, local.compressed_size, local.size) != sizes:
                raise corrupt(f"the header of {quote_name(entry.name)} differs from the directory")
            if local.stored_size not in (None, entry.compressed_size):
                raise corrupt(f"the header of {quote_name(entry.name)} differs from the directory")
            entry = replace(entry, name=local.name)
            member = MemberReader(reader, entry, limit, entry.compressed_size, trust_header=True)
            if entry.is_folder:
                member.skip()
            else:
                yield entry, member
            if local.has_descriptor:
                _skip_descriptor(reader, entry)
        _check_position(reader, stop)
    finally:
        reader.close()


def _check_position(reader: ByteReader, expected: int) -> None:
    if reader.position > expected:
        raise corrupt("its members overlap")
    if reader.position < expected:
        raise corrupt("it contains data that its directory does not list")


def _skip_descriptor(reader: ByteReader, entry: Entry) -> None:
    length = descriptor_length(reader.peek(28), entry.crc, entry.compressed_size, entry.size)
    if length is None:
        raise corrupt(f"the data descriptor of {quote_name(entry.name)} does not match its length and CRC")
    reader.skip(length)


def _read_sequentially(reader: ByteReader, tail: Tail, limit: SizeLimit) -> Iterator[tuple[Entry, MemberReader]]:
    found: list[Entry] = []
    while reader.peek(4) == LOCAL_SIGNATURE:
        _check_directory_size(len(found) + 1, 0)
        entry = _read_local(reader)
        entry.check_readable()
        if entry.has_descriptor:
            compressed_size = entry.stored_size
            if entry.method == STORED and compressed_size is None:
                raise _NeedsDirectory(found, entry.offset)
        else:
            compressed_size = entry.compressed_size
            limit.check_declared(entry.size)
        member = MemberReader(reader, entry, limit, compressed_size, trust_header=not entry.has_descriptor)
        if entry.is_folder:
            member.skip()
            if member.size:
                raise corrupt(f"the folder {quote_name(entry.name)} has content")
        else:
            yield entry, member
        read = replace(entry, crc=member.crc, compressed_size=member.compressed_size, size=member.size)
        if entry.has_descriptor:
            _skip_descriptor(reader, read)
        found.append(read)
    _check_directory(reader, tail, found)


def _check_directory(reader: ByteReader, tail: Tail, found: list[Entry]) -> None:
    if reader.peek(4) == EXTRA_DATA_SIGNATURE:  # [4.3.11]
        raise corrupt("its directory is encrypted")
    start = reader.position
    data = reader.read(MAX_DIRECTORY_SIZE + MAX_END_SIZE)
    end = None if reader.peek(1) else tail.find_end_record()
    if end is None:
        raise corrupt("its end is missing")
    if end.start != start or end.prefix_size:
        raise corrupt("its directory does not list the members in it")
    directory = _parse_directory(data[: end.stop - start], end)
    if directory.after(found, start).entries:
        raise corrupt("its directory does not list the members in it")
    directory.check(SizeLimit(None))


def _identity(entry: Entry) -> tuple[bytes, int, int, int, int, int]:
    return entry.raw_name, entry.method, entry.crc, entry.compressed_size, entry.size, entry.offset


def _read_local(reader: ByteReader) -> Entry:
    offset = reader.position
    header = reader.read(LOCAL_HEADER_SIZE)
    if len(header) < LOCAL_HEADER_SIZE or not header.startswith(LOCAL_SIGNATURE):
        raise corrupt(f"there is no member at byte {offset}")
    length = local_header_rest(header)
    rest = reader.read(length)
    if len(rest) < length:
        raise corrupt("it ends within the header of a member")
    return parse_local_header(header + rest, offset)


class MemberReader:
    """
    A reader for one member, which verifies it.

    :param compressed_size: its size in the archive; None if only the data shows where it ends
    :param trust_header: whether the CRC and size of the entry are reliable
    """

    def __init__(
        self,
        reader: ByteReader,
        entry: Entry,
        limit: SizeLimit,
        compressed_size: int | None,
        *,
        trust_header: bool,
    ) -> None:
        self._reader = reader
        self._entry = entry
        self._limit = limit
        self._left = compressed_size
        self._trust_header = trust_header
        self._start = reader.position
        self._on_content: Callable[[bytes], object] | None = None
        self.compressed_size = 0
        self.crc = 0
        self.size = 0

    def blocks(self, *, as_gzip: bool = False, on_content: Callable[[bytes], object] | None = None) -> Iterator[bytes]:
        """
        Yield the content or, with ``as_gzip``, a gzip member that contains it.

        :param on_content: called with each block of the content
        """
        self._on_content = on_content
        stored = self._entry.method == STORED
        if stored and as_gzip:
            yield from deflate.compress_gzip(self._stored())
        elif stored:
            yield from self._stored()
        else:
            yield from self._deflated(as_gzip)
        self.compressed_size = self._reader.position - self._start
        entry = self._entry
        if self._trust_header and (self.crc, self.size) != (entry.crc, entry.size):
            what = "length" if self.size != entry.size else "CRC"
            raise corrupt(f"the {what} of the member {quote_name(entry.name)} differs from the one in the archive")

    def skip(self) -> None:
        """Read, and thereby verify, the content."""
        for _ in self.blocks():
            pass

    def _stored(self) -> Iterator[bytes]:
        while self._left:
            wanted = min(self._left, deflate.OUTPUT_SIZE)
            block = self._reader.read(wanted)
            if len(block) < wanted:
                raise self._truncated()
            self._left -= len(block)
            self.crc = deflate.crc32(block, self.crc)
            self._count(block)
            yield block

    def _deflated(self, as_gzip: bool) -> Iterator[bytes]:
        """Decompress the content. ``as_gzip`` yields the verified deflate stream between a gzip header and trailer."""
        decompressor = deflate.Decompressor()
        if as_gzip:
            yield deflate.GZIP_HEADER
        start = self._reader.position
        try:
            yield from read_deflated(self._reader, decompressor, self._count, unchanged=as_gzip, size=self._left)
        except EOFError:
            raise self._truncated() from None
        if self._left is not None and self._reader.position < start + self._left:
            raise self._too_short()
        self.crc = decompressor.crc
        if as_gzip:
            yield deflate.gzip_trailer(decompressor.crc, decompressor.length)

    def _count(self, block: bytes) -> None:
        self.size += len(block)
        if self._trust_header and self.size > self._entry.size:
            raise corrupt(f"the member {quote_name(self._entry.name)} is longer than declared")
        self._limit.add(len(block))
        if self._on_content is not None:
            self._on_content(block)

    def _truncated(self) -> ArchiveError:
        return corrupt(f"it ends within the member {quote_name(self._entry.name)}")

    def _too_short(self) -> ArchiveError:
        return corrupt(f"the member {quote_name(self._entry.name)} is shorter than declared")
