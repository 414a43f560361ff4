# SPDX-License-Identifier: Apache-2.0
"""Write ZIP archives like those of the vendor's exporter, of any size, without holding one in memory.

:mod:`zipfile` cannot do this: a member of 20 GB is described without being generated. Its content is a short segment
that is repeated many times. The segment is deflated once and ends with a full flush, so that repeating the deflated
segment produces the deflate stream of the repeated segment.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from airflow_provider_connectif.sandbox.blobs import Blob, Run, crc32

_LIMIT = 0xFFFFFFFF
_ENCRYPTED, _DESCRIPTOR, _UTF8 = 1 << 0, 1 << 3, 1 << 11
_VERSION = 45  # the version needed for ZIP64
_DOS_TIME, _DOS_DATE = 0, (2023 - 1980) << 9 | 4 << 5 | 26
_LAST_BLOCK = b"\x03\x00"  # an empty deflate block that ends the stream


@dataclass(frozen=True)
class ZipMember:
    """The name and content of a member."""

    name: str
    content: Sequence[Run]


@dataclass(frozen=True)
class _Packed:
    name: bytes
    flags: int
    method: int
    crc: int
    runs: list[Run]
    packed_size: int
    size: int
    local_zip64: bool


def build(
    members: Sequence[ZipMember],
    *,
    streamed: bool = True,
    stored: bool = False,
    zip64: str = "auto",
    encrypted: bool = False,
) -> Blob:
    """Build an archive.

    :param streamed: whether sizes and CRC follow each member in a data descriptor (flag bit 3), as written by a program
        that cannot seek, instead of being in the member's header
    :param stored: whether members are stored without compression
    :param zip64: ``auto`` (if a size requires it), ``always``, or ``central-only``: large members have 64-bit data
        descriptors that their local headers do not announce, as some stream writers do
    :param encrypted: whether members are marked as encrypted
    """
    runs: list[Run] = []
    central: list[bytes] = []
    position = 0
    for member in members:
        packed = _pack(member, streamed, stored, zip64, encrypted)
        parts = [Run(_local_header(packed)), *packed.runs, Run(_descriptor(packed, zip64))]
        central.append(_central_header(packed, position, zip64))
        runs += parts
        position += sum(part.size for part in parts)
    directory = b"".join(central)
    return Blob([*runs, Run(directory), Run(_end(len(central), len(directory), position, zip64))])


def _pack(member: ZipMember, streamed: bool, stored: bool, zip64: str, encrypted: bool) -> _Packed:
    content = [run for run in member.content if run.size]
    runs = list(content) if stored else _deflate(content)
    size, packed_size = sum(run.size for run in content), sum(run.size for run in runs)
    name = member.name.encode()
    flags = (_DESCRIPTOR if streamed else 0) | (_ENCRYPTED if encrypted else 0)
    large = max(size, packed_size) > _LIMIT
    return _Packed(
        name=name,
        flags=flags | (0 if name.isascii() else _UTF8),
        method=0 if stored else 8,
        crc=crc32(content),
        runs=runs,
        packed_size=packed_size,
        size=size,
        # Without a data descriptor the sizes must be in the header, whatever the option says.
        local_zip64=zip64 == "always" or (large and (zip64 == "auto" or not streamed)),
    )


def _deflate(content: Sequence[Run]) -> list[Run]:
    runs = []
    for run in content:
        packer = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
        runs.append(Run(packer.compress(run.data) + packer.flush(zlib.Z_FULL_FLUSH), run.repeat))
    return [*runs, Run(_LAST_BLOCK)]


def _local_header(member: _Packed) -> bytes:
    streamed = member.flags & _DESCRIPTOR
    crc, packed_size, size = (0, 0, 0) if streamed else (member.crc, member.packed_size, member.size)
    extra = b""
    if member.local_zip64:
        extra = struct.pack("<HHQQ", 1, 16, size, packed_size)
        packed_size = size = _LIMIT
    return (
        struct.pack(
            "<4sHHHHHIIIHH",
            b"PK\x03\x04",
            _VERSION,
            member.flags,
            member.method,
            _DOS_TIME,
            _DOS_DATE,
            crc,
            packed_size,
            size,
            len(member.name),
            len(extra),
        )
        + member.name
        + extra
    )


def _descriptor(member: _Packed, zip64: str) -> bytes:
    if not member.flags & _DESCRIPTOR:
        return b""
    wide = member.local_zip64 or max(member.size, member.packed_size) > _LIMIT
    layout = "<4sIQQ" if wide else "<4sIII"
    return struct.pack(layout, b"PK\x07\x08", member.crc, member.packed_size, member.size)


def _central_header(member: _Packed, offset: int, zip64: str) -> bytes:
    sizes = [member.size, member.packed_size, offset]
    wide = [zip64 == "always" or value > _LIMIT for value in sizes]
    extra = b"".join(struct.pack("<Q", value) for value, is_wide in zip(sizes, wide, strict=True) if is_wide)
    if extra:
        extra = struct.pack("<HH", 1, len(extra)) + extra
    size, packed_size, offset = (_LIMIT if is_wide else v for v, is_wide in zip(sizes, wide, strict=True))
    return (
        struct.pack(
            "<4sHHHHHHIIIHHHHHII",
            b"PK\x01\x02",
            _VERSION,
            _VERSION,
            member.flags,
            member.method,
            _DOS_TIME,
            _DOS_DATE,
            member.crc,
            packed_size,
            size,
            len(member.name),
            len(extra),
            0,
            0,
            0,
            0,
            offset,
        )
        + member.name
        + extra
    )


def _end(count: int, size: int, offset: int, zip64: str) -> bytes:
    wide = b""
    if zip64 == "always" or offset > _LIMIT:
        wide = struct.pack(
            "<4sQHHIIQQQQ", b"PK\x06\x06", 44, _VERSION, _VERSION, 0, 0, count, count, size, offset
        ) + struct.pack("<4sIQI", b"PK\x06\x07", 0, offset + size, 1)
        offset = _LIMIT
    return wide + struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, count, count, size, offset, 0)
