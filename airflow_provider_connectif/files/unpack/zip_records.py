# SPDX-License-Identifier: Apache-2.0
"""
The records of a ZIP archive, after PKWARE's APPNOTE 6.3.10 (numbers in brackets are its sections).

Only bytes in, values out: nothing here reads a file.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, replace

from airflow_provider_connectif.files.errors import ArchiveCorrupt, ArchiveEncrypted, ArchiveUnsupported

LOCAL = b"PK\x03\x04"
CENTRAL = b"PK\x01\x02"
END = b"PK\x05\x06"
END64 = b"PK\x06\x06"
LOCATOR64 = b"PK\x06\x07"
DESCRIPTOR = b"PK\x07\x08"
SIGNATURE = b"PK\x05\x05"

LOCAL_SIZE = 30
CENTRAL_SIZE = 46
END_SIZE = 22
END64_SIZE = 56
LOCATOR64_SIZE = 20
#: What a file ends with, at most: both end records and the longest comment.
TAIL = END64_SIZE + LOCATOR64_SIZE + END_SIZE + 0xFFFF

STORED = 0
DEFLATED = 8
_METHODS = {
    1: "Shrink",
    6: "Implode",
    9: "Deflate64",
    12: "bzip2",
    14: "LZMA",
    93: "Zstandard",
    95: "xz",
    98: "PPMd",
}
_METHODS |= {20: "Zstandard"}

_FLAG_ENCRYPTED = 1 | 1 << 6 | 1 << 13
_FLAG_STREAMED = 1 << 3
_FLAG_UTF8 = 1 << 11
_AES = 99
_FULL16 = 0xFFFF
_FULL32 = 0xFFFFFFFF


@dataclass(frozen=True)
class Entry:
    """
    A member as one of its two headers describes it.

    :param raw_name: its name's bytes.
    :param name: its name.
    :param method: how it is compressed.
    :param flags: the general-purpose flags [4.4.4].
    :param crc: CRC-32 of its bytes.
    :param packed: its length in the archive.
    :param size: its length uncompressed.
    :param offset: where its local header begins.
    """

    raw_name: bytes
    name: str
    method: int
    flags: int
    crc: int
    packed: int
    size: int
    offset: int

    @property
    def streamed(self) -> bool:
        """Whether sizes and CRC follow the data, as the writer did not know them before [4.3.9]."""
        return bool(self.flags & _FLAG_STREAMED)

    @property
    def is_folder(self) -> bool:
        """Whether this is a folder's own entry."""
        return self.name.endswith("/")

    @property
    def encrypted(self) -> bool:
        """Whether a password is needed."""
        return bool(self.flags & _FLAG_ENCRYPTED) or self.method == _AES

    def check_readable(self) -> None:
        """
        Refuse what is not read here.

        :raises ArchiveEncrypted: it needs a password.
        :raises ArchiveUnsupported: its compression method is another than store and deflate.
        """
        if self.encrypted:
            raise ArchiveEncrypted(
                f"The member {shown(self.name)} of the export's archive is encrypted, "
                "and Connectif gives no password for exports."
            )
        if self.method not in (STORED, DEFLATED):
            method = _METHODS.get(self.method, f"number {self.method}")
            raise ArchiveUnsupported(
                f"The member {shown(self.name)} of the export's archive is compressed with {method}; only "
                'deflate and stored members can be read. file_format="archive" stores the file as it is.'
            )


@dataclass(frozen=True)
class End:
    """
    The end record of an archive, and where its directory is.

    :param entries: how many members the directory lists.
    :param start: where the directory begins.
    :param stop: where it ends.
    :param shift: bytes before the archive's own first byte, to be added to the offsets in it.
    """

    entries: int
    start: int
    stop: int
    shift: int


def shown(name: str) -> str:
    """Show a name in a message: quoted, on one line, not longer than needed to know it again."""
    quoted = repr(name)
    return quoted if len(quoted) <= 120 else quoted[:117] + "…'"


def corrupt(detail: str) -> ArchiveCorrupt:
    """Make the error for a broken archive."""
    return ArchiveCorrupt(f"The export's archive is damaged: {detail}.")


def local_lengths(header: bytes) -> int:
    """Return how many bytes follow the fixed part of a local header."""
    name, extra = struct.unpack_from("<HH", header, 26)
    return int(name) + int(extra)


def parse_local(header: bytes, offset: int) -> Entry:
    """Read a local header [4.3.7], fixed part, name and extra field."""
    flags, method, _, _, crc, packed, size, name_length, _ = struct.unpack_from("<HHHHLLLHH", header, 6)
    raw = header[LOCAL_SIZE : LOCAL_SIZE + name_length]
    extra = header[LOCAL_SIZE + name_length :]
    # In a local header both sizes are in the ZIP64 field when one of them is, so missing ones are no error
    # [4.5.3].
    size, packed = _zip64(extra, [size, packed], complete=False)
    return Entry(raw, _name(raw, flags, extra), method, flags, crc, packed, size, offset)


def parse_central(data: bytes, at: int, shift: int) -> tuple[Entry, int]:
    """
    Read a directory header [4.3.12].

    :param data: the directory.
    :param at: where in it the header begins.
    :param shift: as in :class:`End`.
    :return: the member, and where the next header begins.
    """
    if data[at : at + 4] != CENTRAL or at + CENTRAL_SIZE > len(data):
        raise corrupt("its directory is broken")
    flags, method, _, _, crc, packed, size, name_length, extra_length, comment_length, disk = struct.unpack_from(
        "<HHHHLLLHHHH", data, at + 8
    )
    (offset,) = struct.unpack_from("<L", data, at + 42)
    name_at = at + CENTRAL_SIZE
    extra_at = name_at + name_length
    comment_at = extra_at + extra_length
    stop = comment_at + comment_length
    if stop > len(data):
        raise corrupt("its directory is broken")
    raw, extra = data[name_at:extra_at], data[extra_at:comment_at]
    size, packed, offset = _zip64(extra, [size, packed, offset])
    if disk not in (0, _FULL16):
        raise ArchiveUnsupported("The export's archive is split over several files, which cannot be read.")
    return Entry(raw, _name(raw, flags, extra), method, flags, crc, packed, size, offset + shift), stop


def parse_directory(data: bytes, entries: int, shift: int) -> list[Entry]:
    """Read a whole directory, in its own order."""
    found: list[Entry] = []
    at = 0
    while data[at : at + 4] == CENTRAL:
        entry, at = parse_central(data, at, shift)
        found.append(entry)
    if data[at : at + 4] == SIGNATURE and at + 6 <= len(data):
        at += 6 + int(struct.unpack_from("<H", data, at + 4)[0])
    if at != len(data) or len(found) != entries:
        raise corrupt("its directory is broken")
    return found


def find_end(tail: bytes, size: int) -> End | None:
    """
    Find the end record [4.3.16] in an archive's last bytes; None when there is none that fits.

    :param tail: the last bytes of the file; more than 65,633 of them are never needed.
    :param size: the file's size.
    """
    base = size - len(tail)
    at = len(tail)
    while (at := tail.rfind(END, 0, at + 3)) >= 0:
        if at + END_SIZE <= len(tail):
            (comment,) = struct.unpack_from("<H", tail, at + 20)
            if at + END_SIZE + comment == len(tail) and (end := _end_at(tail, at, base)):
                return end
        if not at:
            return None
    return None


def _end_at(tail: bytes, at: int, base: int) -> End | None:
    disk, start_disk, here, entries, length, offset, _ = struct.unpack_from("<HHHHLLH", tail, at + 4)
    stop = base + at
    locator = at - LOCATOR64_SIZE
    wide = locator >= 0 and tail[locator : locator + 4] == LOCATOR64
    if wide:
        record_disk, told, disks = struct.unpack_from("<LQL", tail, locator + 4)
        # The record is right before its locator, unless it carries data of its own; told is without the
        # shift.
        record = locator - END64_SIZE
        if record < 0 or tail[record : record + 4] != END64:
            record = told - base
        if record < 0 or record + END64_SIZE > locator or tail[record : record + 4] != END64:
            return None
        disk, start_disk, here, entries, length, offset = struct.unpack_from("<LLQQQQ", tail, record + 16)
        if record_disk or disks > 1:
            disk = 1
        stop = base + record
    if disk or start_disk or here != entries:
        raise ArchiveUnsupported("The export's archive is split over several files, which cannot be read.")
    shift = stop - length - offset
    start = stop - length - base
    if (
        shift < 0
        or (not entries and (shift or length))
        or (entries and start >= 0 and tail[start : start + 4] != CENTRAL)
    ):
        return None
    return End(entries, stop - length, stop, shift)


def descriptor_length(following: bytes, crc: int, packed: int, size: int) -> int | None:
    """
    Recognise the descriptor behind a streamed member [4.3.9] by the values that it must hold.

    :param following: at least the next 28 bytes (with or without a signature, 4 or 8 bytes a size, then a
        record).
    :return: its length; None when nothing fits.
    """
    narrow = packed <= _FULL32 and size <= _FULL32
    for signature in (DESCRIPTOR, b""):
        for layout in ("<LLL", "<LQQ"):
            if layout == "<LLL" and not narrow:
                continue
            expected = signature + struct.pack(layout, crc, packed, size)
            if following.startswith(expected):
                behind = following[len(expected) : len(expected) + 4]
                if behind in (LOCAL, CENTRAL, END, END64, b"PK\x06\x08"):
                    return len(expected)
    return None


def with_sizes(entry: Entry, crc: int, packed: int, size: int) -> Entry:
    """Return the entry with what reading it found."""
    return replace(entry, crc=crc, packed=packed, size=size)


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
    """Replace the values that are all ones with those of the ZIP64 field, which has just these, in order [4.5.3]."""
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
            # Info-ZIP's Unicode path: version, CRC of the name in the header, name [4.6.9].
            if kind == 0x7075 and data[:1] == b"\x01" and data[1:5] == struct.pack("<L", zlib.crc32(raw)):
                return _decoded(data[5:])
    return _decoded(raw)


def _decoded(raw: bytes) -> str:
    # Without the flag the standard says cp437; many writers put UTF-8 there and set no flag. What is valid
    # UTF-8 and not ASCII is no likely text in cp437 ("é" would be "├⌐"). And a flag that lies is no reason to
    # lose the member.
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("cp437")
