# SPDX-License-Identifier: Apache-2.0
"""
The records of a ZIP archive, according to PKWARE's APPNOTE 6.3.10 (numbers in brackets are its sections).

The functions parse bytes; nothing here reads a file.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from airflow_provider_connectif.files.errors import ArchiveCorrupt, ArchiveEncrypted, ArchiveUnsupported

LOCAL_SIGNATURE = b"PK\x03\x04"
CENTRAL_SIGNATURE = b"PK\x01\x02"
END_SIGNATURE = b"PK\x05\x06"
END64_SIGNATURE = b"PK\x06\x06"
LOCATOR64_SIGNATURE = b"PK\x06\x07"
EXTRA_DATA_SIGNATURE = b"PK\x06\x08"
DESCRIPTOR_SIGNATURE = b"PK\x07\x08"
#: Of the record with the digital signature of the directory [4.3.13].
DIGITAL_SIGNATURE = b"PK\x05\x05"

LOCAL_HEADER_SIZE = 30
CENTRAL_HEADER_SIZE = 46
END_RECORD_SIZE = 22
END64_RECORD_SIZE = 56
LOCATOR64_SIZE = 20
#: Maximum size of both end records and the comment.
MAX_END_SIZE = END64_RECORD_SIZE + LOCATOR64_SIZE + END_RECORD_SIZE + 0xFFFF

STORED = 0
DEFLATED = 8
_METHODS = {
    1: "Shrink",
    6: "Implode",
    9: "Deflate64",
    12: "bzip2",
    14: "LZMA",
    20: "Zstandard",
    93: "Zstandard",
    95: "xz",
    98: "PPMd",
}

_METADATA = (".ds_store", "thumbs.db", "desktop.ini")

_FLAG_ENCRYPTED = 1 | 1 << 6 | 1 << 13
_FLAG_DESCRIPTOR = 1 << 3
_FLAG_UTF8 = 1 << 11
_AES = 99
_AFTER_MEMBER = (LOCAL_SIGNATURE, CENTRAL_SIGNATURE, END_SIGNATURE, END64_SIGNATURE, EXTRA_DATA_SIGNATURE)
_FULL16 = 0xFFFF
_FULL32 = 0xFFFFFFFF


@dataclass(frozen=True)
class Entry:
    """
    A member as described by its local header or by the directory.

    :param raw_name: the encoded name
    :param name: the decoded name
    :param method: the compression method
    :param flags: the general-purpose flags [4.4.4]
    :param crc: the CRC-32 of the content
    :param compressed_size: the size in the archive
    :param size: the uncompressed size
    :param offset: the position of the local header
    """

    raw_name: bytes
    name: str
    method: int
    flags: int
    crc: int
    compressed_size: int
    size: int
    offset: int

    @property
    def has_descriptor(self) -> bool:
        """Whether sizes and CRC follow the data in a data descriptor [4.3.9]."""
        return bool(self.flags & _FLAG_DESCRIPTOR)

    @property
    def stored_size(self) -> int | None:
        """The size of a member that is not compressed, if a header with a data descriptor contains it."""
        return self.compressed_size or None if self.method == STORED else None

    @property
    def is_folder(self) -> bool:
        """Whether this is the entry of a folder."""
        return self.name.endswith("/")

    @property
    def is_metadata(self) -> bool:
        """Whether this is a file that macOS or Windows adds to a folder."""
        *folders, name = self.name.replace("\\", "/").split("/")
        return "__MACOSX" in folders or name.startswith("._") or name.lower() in _METADATA

    @property
    def is_gzip(self) -> bool:
        """Whether this is a gzip file, according to its name."""
        return self.name.lower().endswith(".gz")

    @property
    def is_encrypted(self) -> bool:
        """Whether a password is needed."""
        return bool(self.flags & _FLAG_ENCRYPTED) or self.method == _AES

    def check_readable(self) -> None:
        """
        Check that the member can be read.

        :raises ArchiveEncrypted: it needs a password
        :raises ArchiveUnsupported: its compression method is neither store nor deflate
        """
        if self.is_encrypted:
            raise ArchiveEncrypted(
                f"The member {quote_name(self.name)} of the export's archive is encrypted, "
                "but Connectif provides no password for exports."
            )
        if self.method not in (STORED, DEFLATED):
            method = _METHODS.get(self.method, f"number {self.method}")
            raise ArchiveUnsupported(
                f"The member {quote_name(self.name)} of the export's archive is compressed with {method}; only deflate "
                'and uncompressed members are supported. Use file_format="archive" to store the file unchanged.'
            )


@dataclass(frozen=True)
class EndRecord:
    """
    The end record of an archive, and the position of its directory.

    :param entries: number of members in the directory
    :param start: position of the first byte of the directory
    :param stop: position after its last byte
    :param prefix_size: number of bytes before the archive, which are not counted in its offsets
    """

    entries: int
    start: int
    stop: int
    prefix_size: int


def quote_name(name: str) -> str:
    """Quote a name for a message, on one line and truncated if it is long."""
    quoted = repr(name)
    return quoted if len(quoted) <= 120 else quoted[:117] + "…'"


def corrupt(detail: str) -> ArchiveCorrupt:
    """Return the error for a damaged archive."""
    return ArchiveCorrupt(f"The export's archive is damaged: {detail}.")


def local_header_rest(header: bytes) -> int:
    """Return the number of bytes after the fixed part of a local header."""
    name, extra = struct.unpack_from("<HH", header, 26)
    return int(name) + int(extra)


def parse_local_header(header: bytes, offset: int) -> Entry:
    """Parse a local header [4.3.7]: fixed part, name and extra field."""
    flags, method, _, _, crc, compressed_size, size, name_length, _ = struct.unpack_from("<HHHHLLLHH", header, 6)
    raw = header[LOCAL_HEADER_SIZE : LOCAL_HEADER_SIZE + name_length]
    extra = header[LOCAL_HEADER_SIZE + name_length :]
    # In a local header, the ZIP64 field contains both sizes or none, so a missing one is not an error [4.5.3].
    size, compressed_size = _zip64(extra, [size, compressed_size], complete=False)
    return Entry(raw, _name(raw, flags, extra), method, flags, crc, compressed_size, size, offset)


def parse_central_header(data: bytes, at: int, prefix_size: int) -> tuple[Entry, int]:
    """
    Parse a header in the directory [4.3.12].

    :param data: the directory
    :param at: the position of the header in it
    :param prefix_size: as in :class:`EndRecord`
    :return: the member, and the position of the next header
    """
    if data[at : at + 4] != CENTRAL_SIGNATURE or at + CENTRAL_HEADER_SIZE > len(data):
        raise corrupt("its directory is broken")
    flags, method, _, _, crc, compressed_size, size, name_length, extra_length, comment_length, disk = (
        struct.unpack_from("<HHHHLLLHHHH", data, at + 8)
    )
    (offset,) = struct.unpack_from("<L", data, at + 42)
    name_at = at + CENTRAL_HEADER_SIZE
    extra_at = name_at + name_length
    comment_at = extra_at + extra_length
    stop = comment_at + comment_length
    if stop > len(data):
        raise corrupt("its directory is broken")
    raw, extra = data[name_at:extra_at], data[extra_at:comment_at]
    size, compressed_size, offset = _zip64(extra, [size, compressed_size, offset])
    if disk not in (0, _FULL16):
        raise ArchiveUnsupported("The export's archive is split over several files, which cannot be read.")
    return Entry(raw, _name(raw, flags, extra), method, flags, crc, compressed_size, size, offset + prefix_size), stop


def parse_directory(data: bytes, entries: int, prefix_size: int) -> list[Entry]:
    """Parse a directory, and return its members in the same order."""
    found: list[Entry] = []
    at = 0
    while data[at : at + 4] == CENTRAL_SIGNATURE:
        entry, at = parse_central_header(data, at, prefix_size)
        found.append(entry)
    if data[at : at + 4] == DIGITAL_SIGNATURE and at + 6 <= len(data):
        at += 6 + int(struct.unpack_from("<H", data, at + 4)[0])
    if at != len(data) or len(found) != entries:
        raise corrupt("its directory is broken")
    return found


def find_end_record(tail: bytes, size: int) -> EndRecord | None:
    """
    Return the end record [4.3.16] of an archive, or None if there is no valid one.

    :param tail: the last bytes of the file, at least :data:`MAX_END_SIZE` unless the file is shorter
    :param size: the size of the file
    """
    at = len(tail)
    while (at := tail.rfind(END_SIGNATURE, 0, at + 3)) >= 0:
        if at + END_RECORD_SIZE <= len(tail):
            (comment,) = struct.unpack_from("<H", tail, at + 20)
            if at + END_RECORD_SIZE + comment == len(tail) and (end := _end_record_at(tail, at, size - len(tail))):
                return end
        if not at:
            return None
    return None


def _end_record_at(tail: bytes, at: int, base: int) -> EndRecord | None:
    disk, start_disk, here, entries, length, offset, _ = struct.unpack_from("<HHHHLLH", tail, at + 4)
    stop = base + at
    locator = at - LOCATOR64_SIZE
    if locator >= 0 and tail[locator : locator + 4] == LOCATOR64_SIGNATURE:
        record_disk, record_offset, disks = struct.unpack_from("<LQL", tail, locator + 4)
        # The record is directly before its locator, unless it has extensible data. The offset excludes the prefix.
        record = locator - END64_RECORD_SIZE
        if record < 0 or tail[record : record + 4] != END64_SIGNATURE:
            record = record_offset - base
        if record < 0 or record + END64_RECORD_SIZE > locator or tail[record : record + 4] != END64_SIGNATURE:
            return None
        disk, start_disk, here, entries, length, offset = struct.unpack_from("<LLQQQQ", tail, record + 16)
        if record_disk or disks > 1:
            disk = 1
        stop = base + record
    if disk or start_disk or here != entries:
        raise ArchiveUnsupported("The export's archive is split over several files, which cannot be read.")
    prefix_size = stop - length - offset
    start = stop - length - base
    if (
        prefix_size < 0
        or (not entries and (prefix_size or length))
        or (entries and start >= 0 and tail[start : start + 4] != CENTRAL_SIGNATURE)
    ):
        return None
    return EndRecord(entries, stop - length, stop, prefix_size)


def descriptor_length(following: bytes, crc: int, compressed_size: int, size: int) -> int | None:
    """
    Return the length of the data descriptor after a member [4.3.9], or None if it does not contain these values.

    :param following: at least the next 28 bytes: the descriptor, with or without a signature and with 4 or 8 bytes per
        size, and the signature of the next record
    """
    narrow = compressed_size <= _FULL32 and size <= _FULL32
    for signature in (DESCRIPTOR_SIGNATURE, b""):
        for layout in ("<LLL", "<LQQ"):
            if layout == "<LLL" and not narrow:
                continue
            expected = signature + struct.pack(layout, crc, compressed_size, size)
            if following.startswith(expected) and following[len(expected) :][:4] in _AFTER_MEMBER:
                return len(expected)
    return None


def _fields(extra: bytes) -> list[tuple[int, bytes]]:
    found: list[tuple[int, bytes]] = []
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, at)
        if at + 4 + length > len(extra):
            break
        found.append((kind, extra[at + 4 : at + 4 + length]))
        at += 4 + length
    return found


def _zip64(extra: bytes, values: list[int], *, complete: bool = True) -> list[int]:
    """Replace the values that are all ones by those of the ZIP64 field, which contains them in order [4.5.3]."""
    if _FULL32 not in values:
        return values
    field = next((data for kind, data in _fields(extra) if kind == 1), None)
    if field is None:
        return values
    wide: list[int] = []
    at = 0
    for value in values:
        if value == _FULL32 and at + 8 <= len(field):
            (value,) = struct.unpack_from("<Q", field, at)
            at += 8
        elif value == _FULL32 and complete:
            raise corrupt("its directory is broken")
        wide.append(value)
    return wide


def _name(raw: bytes, flags: int, extra: bytes) -> str:
    if not flags & _FLAG_UTF8:
        for kind, data in _fields(extra):
            # Info-ZIP's Unicode path: version, CRC of the name in the header, name [4.6.9]
            if kind == 0x7075 and data[:1] == b"\x01" and data[1:5] == struct.pack("<L", zlib.crc32(raw)):
                return _decode(data[5:])
    return _decode(raw)


def _decode(raw: bytes) -> str:
    # Without the flag the standard requires cp437, but many writers use UTF-8 and do not set the flag. Text that is
    # valid UTF-8 and not ASCII is unlikely in cp437 ("é" would be "├⌐"). A wrong flag must not lose the member.
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("cp437")
