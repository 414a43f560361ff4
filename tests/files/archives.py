# SPDX-License-Identifier: Apache-2.0
"""Archives for tests, made byte by byte where ``zipfile`` would not make them."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


def zipped(members: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED, comment: bytes = b"") -> bytes:
    """An archive as ``zipfile`` makes it in a file."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
        archive.comment = comment
    return made.getvalue()


class _Pipe(io.RawIOBase):
    """Takes bytes and knows no way back."""

    def __init__(self) -> None:
        super().__init__()
        self.taken = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        self.taken += bytes(data)  # type: ignore[call-overload]
        return len(data)  # type: ignore[arg-type]


def streamed(members: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED, *, zip64: bool = False) -> bytes:
    """An archive as a writer makes it that cannot go back: lengths and CRCs behind the data."""
    pipe = _Pipe()
    with zipfile.ZipFile(pipe, "w", method) as archive:  # type: ignore[type-var]
        for name, data in members.items():
            with archive.open(name, "w", force_zip64=zip64) as member:
                member.write(data)
    return bytes(pipe.taken)


@dataclass
class Part:
    """
    One member, each field of it free.

    :param packed: its data as it lies in the archive; made from ``data`` when left out.
    :param descriptor: the bytes behind it, None for none.
    :param local: fields of the local header that differ from the directory's.
    """

    name: bytes
    data: bytes
    method: int = 8
    flags: int = 0
    extra: bytes = b""
    packed: bytes | None = None
    crc: int | None = None
    size: int | None = None
    packed_size: int | None = None
    descriptor: bytes | None = None
    local: dict[str, int | bytes] | None = None
    offset: int | None = None


def handmade(parts: Iterable[Part], prefix: bytes = b"", comment: bytes = b"", *, entries: int | None = None) -> bytes:
    """An archive of just these fields."""
    body, directory, count = bytearray(), bytearray(), 0
    for part in parts:
        packed = part.packed
        if packed is None:
            packer = zlib.compressobj(6, zlib.DEFLATED, -15)
            packed = packer.compress(part.data) + packer.flush() if part.method == 8 else part.data
        fields: dict[str, int | bytes] = {
            "crc": zlib.crc32(part.data) if part.crc is None else part.crc,
            "packed": len(packed) if part.packed_size is None else part.packed_size,
            "size": len(part.data) if part.size is None else part.size,
            "name": part.name,
            "method": part.method,
            "flags": part.flags,
            "extra": part.extra,
        }
        local = fields | (part.local or {})
        offset = len(body) if part.offset is None else part.offset
        body += b"PK\x03\x04" + struct.pack(
            "<HHHHHLLLHH", 20, local["flags"], local["method"], 0, 33, local["crc"], local["packed"], local["size"],
            len(bytes(local["name"])), len(bytes(local["extra"])),
        )  # fmt: skip
        body += bytes(local["name"]) + bytes(local["extra"]) + packed + (part.descriptor or b"")
        directory += b"PK\x01\x02" + struct.pack(
            "<HHHHHHLLLHHHHHLL", 20, 20, fields["flags"], fields["method"], 0, 33, fields["crc"], fields["packed"],
            fields["size"], len(part.name), len(part.extra), 0, 0, 0, 0, offset,
        )  # fmt: skip
        directory += part.name + part.extra
        count += 1
    count = count if entries is None else entries
    end = b"PK\x05\x06" + struct.pack("<HHHHLLH", 0, 0, count, count, len(directory), len(body), len(comment))
    return prefix + bytes(body) + bytes(directory) + end + comment
