# SPDX-License-Identifier: Apache-2.0
"""
The members of a ZIP archive, in one pass over a remote file.

With ranges the directory at the end is read first: names, sizes and CRCs are known before anything is
written. Without ranges members are read as they come, from the headers before them, and the directory at the
end confirms them. Only a stored member whose header tells no size needs the directory even then: the file is
read once for it, and once more.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from airflow_provider_connectif.files import deflate
from airflow_provider_connectif.files.download.remote_file import RemoteFile
from airflow_provider_connectif.files.errors import ArchiveError, ArchiveTooLarge
from airflow_provider_connectif.files.unpack import zip_records as z
from airflow_provider_connectif.files.unpack.byte_reader import Cursor
from airflow_provider_connectif.files.unpack.members import Budget

#: An export has a handful of members; these bounds keep a hostile directory out of memory.
MAX_MEMBERS = 10_000
MAX_DIRECTORY = 16 << 20


_FAR = 8 << 20
_BLOCK = 256 << 10


class _NeedsDirectory(Exception):
    """A member's end can only be found with the directory; the members before it were read."""

    def __init__(self, read: list[z.Entry]) -> None:
        super().__init__()
        self.read = read


@dataclass(frozen=True)
class Directory:
    """
    An archive's directory.

    :param entries: its members, by their place in the file; folders among them.
    :param end: the end record.
    """

    entries: list[z.Entry]
    end: z.End

    @property
    def files(self) -> list[z.Entry]:
        """The members that are files."""
        return [entry for entry in self.entries if not entry.is_folder]

    def after(self, read: list[z.Entry]) -> Directory:
        """
        Return the directory without its first members, which were read already.

        :raises ArchiveCorrupt: they are others than were read.
        """
        if [_identity(entry) for entry in self.entries[: len(read)]] != [_identity(entry) for entry in read]:
            raise z.corrupt("its directory does not list the members that are in it")
        return Directory(self.entries[len(read) :], self.end)

    def check(self, budget: Budget) -> None:
        """
        Refuse what cannot or must not be unpacked, before anything is written.

        :raises ArchiveError: encrypted, of an unknown method, overlapping, or too large.
        """
        end_before = 0
        for entry in self.entries:
            entry.check_readable()
            if entry.offset < end_before:
                raise z.corrupt("its members overlap")
            end_before = entry.offset + z.LOCAL_SIZE + len(entry.raw_name) + entry.packed
            if entry.is_folder and entry.size:
                raise z.corrupt(f"the folder {z.shown(entry.name)} has content")
            if entry.method == z.STORED and entry.packed != entry.size:
                raise z.corrupt(f"the stored member {z.shown(entry.name)} has two sizes")
        if end_before > self.end.start:
            raise z.corrupt("its members reach into its directory")
        budget.declare(sum(entry.size for entry in self.entries))


def members(
    remote: RemoteFile, cursor: Cursor, directory: Directory | None, budget: Budget, *, wrap: bool
) -> Iterator[tuple[z.Entry, Iterator[bytes]]]:
    """
    Yield the files of an archive, and what is to be written of each, in the order in which they lie in it.

    Each is to be read to its end before the next is asked for. At the end all that was read has been
    confirmed by the directory.

    :param remote: the file.
    :param cursor: at its first byte; used where there is no directory.
    :param directory: its directory, checked, if it could be read first.
    :param budget: counts what comes out.
    :param wrap: whether to yield gzip members in place of plain bytes.
    """
    if directory is None:
        try:
            yield from _as_they_come(cursor, budget, wrap=wrap)
            return
        except _NeedsDirectory as error:
            read = error.read
        cursor.close()
        directory = find_directory(remote)
        if directory is None:
            raise z.corrupt("its end is missing")
        directory = directory.after(read)
        directory.check(budget)
    yield from _with_directory(remote, directory, budget, wrap=wrap)


def find_directory(remote: RemoteFile) -> Directory | None:
    """
    Read the directory; None when the file does not end as an archive does.

    :param remote: the file. Without ranges this reads all of it.
    """
    if remote.size is None:
        for _ in remote.chunks():
            pass
    size = remote.size or 0
    tail_start = max(0, size - z.TAIL)
    tail = b"".join(remote.chunks(tail_start))
    end = z.find_end(tail, size)
    if end is None:
        return None
    _check_extent(end.entries, end.stop - end.start)
    if end.start >= tail_start:
        data = tail[end.start - tail_start : end.stop - tail_start]
    else:
        data = b"".join(remote.chunks(end.start, end.stop))
    if end.entries and data[:4] != z.CENTRAL:
        return None
    entries = z.parse_directory(data, end.entries, end.shift)
    return Directory(sorted(entries, key=lambda entry: entry.offset), end)


def _check_extent(entries: int, length: int) -> None:
    if entries > MAX_MEMBERS or length > MAX_DIRECTORY:
        raise ArchiveTooLarge(
            f"The export's archive says that it has {entries:,} members (directory of {length:,} bytes); "
            f"no more than {MAX_MEMBERS:,} are unpacked."
        )


def _with_directory(
    remote: RemoteFile, directory: Directory, budget: Budget, *, wrap: bool
) -> Iterator[tuple[z.Entry, Iterator[bytes]]]:
    cursor: Cursor | None = None
    try:
        for entry in directory.entries:
            if cursor is None or entry.offset - cursor.position > _FAR:
                if cursor is not None:
                    cursor.close()
                cursor = Cursor(remote.chunks(entry.offset, directory.end.start), entry.offset)
            if entry.offset < cursor.position:
                raise z.corrupt("its members overlap")
            cursor.skip(entry.offset - cursor.position)
            local = _read_local(cursor)
            if local.raw_name != entry.raw_name or local.method != entry.method:
                raise z.corrupt(f"the header of {z.shown(entry.name)} differs from the directory")
            if not local.streamed and (local.crc, local.packed, local.size) != (
                entry.crc,
                entry.packed,
                entry.size,
            ):
                raise z.corrupt(f"the header of {z.shown(entry.name)} differs from the directory")
            blocks = _Unpacking(cursor, entry, budget).blocks(wrap)
            if entry.is_folder:
                _drain(blocks)
            else:
                yield entry, blocks
    finally:
        if cursor is not None:
            cursor.close()


def _as_they_come(cursor: Cursor, budget: Budget, *, wrap: bool) -> Iterator[tuple[z.Entry, Iterator[bytes]]]:
    found: list[z.Entry] = []
    while cursor.peek(4) == z.LOCAL:
        _check_extent(len(found) + 1, 0)
        entry = _read_local(cursor)
        entry.check_readable()
        if entry.streamed:
            # What the header says is no promise then, save that a stored member's length may be there.
            packed = entry.packed if entry.method == z.STORED else None
            if packed == 0:
                raise _NeedsDirectory(found)
        else:
            packed = entry.packed
            budget.declare(entry.size)
        unpacking = _Unpacking(cursor, entry, budget, packed=packed, known=not entry.streamed)
        blocks = unpacking.blocks(wrap)
        if entry.is_folder:
            _drain(blocks)
            if unpacking.size:
                raise z.corrupt(f"the folder {z.shown(entry.name)} has content")
        else:
            yield entry, blocks
        read = z.with_sizes(entry, unpacking.crc, unpacking.packed, unpacking.size)
        if entry.streamed:
            length = z.descriptor_length(cursor.peek(28), read.crc, read.packed, read.size)
            if length is None:
                raise z.corrupt(f"what follows {z.shown(entry.name)} does not confirm its length and CRC")
            cursor.skip(length)
        found.append(read)
    _confirm(cursor, found)


def _confirm(cursor: Cursor, found: list[z.Entry]) -> None:
    if cursor.peek(4) == b"PK\x06\x08":  # archive extra data [4.3.11]
        raise z.corrupt("its directory is encrypted")
    start = cursor.position
    listed: list[z.Entry] = []
    while cursor.peek(4) == z.CENTRAL:
        _check_extent(len(listed) + 1, cursor.position - start)
        header = cursor.take(z.CENTRAL_SIZE)
        if len(header) == z.CENTRAL_SIZE:
            lengths = (int.from_bytes(header[at : at + 2], "little") for at in (28, 30, 32))
            header += cursor.take(sum(lengths))
        listed.append(z.parse_central(header, 0, 0)[0])
    stop = cursor.position
    tail = cursor.take(z.TAIL + 1)
    end = z.find_end(tail, stop + len(tail)) if len(tail) <= z.TAIL else None
    if end is None or (end.start, end.stop, end.shift) != (start, stop, 0) or end.entries != len(listed):
        raise z.corrupt("its directory is broken")
    listed.sort(key=lambda entry: entry.offset)
    if [_identity(entry) for entry in listed] != [_identity(entry) for entry in found]:
        raise z.corrupt("its directory does not list the members that are in it")


def _identity(entry: z.Entry) -> tuple[bytes, int, int, int, int, int]:
    return entry.raw_name, entry.method, entry.crc, entry.packed, entry.size, entry.offset


def _read_local(cursor: Cursor) -> z.Entry:
    offset = cursor.position
    header = cursor.take(z.LOCAL_SIZE)
    if len(header) < z.LOCAL_SIZE or not header.startswith(z.LOCAL):
        raise z.corrupt(f"there is no member at byte {offset}")
    following = z.local_lengths(header)
    rest = cursor.take(following)
    if len(rest) < following:
        raise z.corrupt("it ends within a member's header")
    return z.parse_local(header + rest, offset)


def _drain(blocks: Iterator[bytes]) -> None:
    for _ in blocks:
        pass


class _Unpacking:
    """
    One member on its way out, checked as it passes.

    :param packed: its bytes in the archive, None when only the data itself tells; by default what the entry
        says.
    :param known: whether the entry's CRC and size are to be believed.
    """

    def __init__(
        self, cursor: Cursor, entry: z.Entry, budget: Budget, *, packed: int | None = -1, known: bool = True
    ) -> None:
        self._cursor = cursor
        self._entry = entry
        self._budget = budget
        self._left = entry.packed if packed == -1 else packed
        self._known = known
        self._start = cursor.position
        self.packed = 0
        self.crc = 0
        self.size = 0

    def blocks(self, wrap: bool) -> Iterator[bytes]:
        """Yield the member's bytes, or with ``wrap`` the gzip member that holds them."""
        stored = self._entry.method == z.STORED
        if stored and wrap:
            yield from deflate.gzipped(self._stored())
        elif stored:
            yield from self._stored()
        else:
            yield from self._deflated(wrap)
        self.packed = self._cursor.position - self._start
        entry = self._entry
        if self._known and (self.crc, self.size) != (entry.crc, entry.size):
            what = "length" if self.size != entry.size else "CRC"
            raise z.corrupt(f"the member {z.shown(entry.name)} has not the {what} that the archive names")

    def _stored(self) -> Iterator[bytes]:
        while self._left:
            block = self._cursor.some(min(self._left, _BLOCK))
            if not block:
                raise self._cut()
            self._left -= len(block)
            self.crc = deflate.crc32(block, self.crc)
            self._count(len(block))
            yield block

    def _deflated(self, wrap: bool) -> Iterator[bytes]:
        """With ``wrap`` the deflate stream itself passes, between a gzip header and trailer, just checked."""
        inflater = deflate.Inflater()
        if wrap:
            yield deflate.GZIP_HEADER
        while not inflater.ended:
            block = self._cursor.some(_BLOCK if self._left is None else min(self._left, _BLOCK))
            if not block:
                raise self._cut()
            if self._left is not None:
                self._left -= len(block)
            for out in inflater.inflate(block):
                self._count(len(out))
                if not wrap:
                    yield out
            unused = inflater.unused if inflater.ended else b""
            if unused and self._left is None:
                self._cursor.unread(unused)
            elif unused:
                raise self._surplus()
            if wrap and (used := block[: len(block) - len(unused)]):
                yield used
        if self._left:
            raise self._surplus()
        self.crc = inflater.crc
        if wrap:
            yield deflate.gzip_trailer(inflater.crc, inflater.length)

    def _count(self, length: int) -> None:
        self.size += length
        if self._known and self.size > self._entry.size:
            raise z.corrupt(f"the member {z.shown(self._entry.name)} is longer than the archive says")
        self._budget.spend(length)

    def _cut(self) -> ArchiveError:
        return z.corrupt(f"it ends within the member {z.shown(self._entry.name)}")

    def _surplus(self) -> ArchiveError:
        return z.corrupt(f"the member {z.shown(self._entry.name)} is shorter than the archive says")
