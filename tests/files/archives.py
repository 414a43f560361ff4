# SPDX-License-Identifier: Apache-2.0
"""ZIP archives for tests, including invalid ones that ``zipfile`` does not create."""

from __future__ import annotations

import gzip
import io
import random
import struct
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


def make_zip(members: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED, comment: bytes = b"") -> bytes:
    """Return an archive as ``zipfile`` writes it to a seekable file."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
        archive.comment = comment
    return buffer.getvalue()


class _Pipe(io.RawIOBase):
    """A file that is not seekable."""

    def __init__(self) -> None:
        super().__init__()
        self.taken = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        self.taken += bytes(data)  # type: ignore[call-overload]
        return len(data)  # type: ignore[arg-type]


def stream_zip(members: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED, *, zip64: bool = False) -> bytes:
    """Return an archive as ``zipfile`` writes it to a pipe: with lengths and CRCs after the data."""
    pipe = _Pipe()
    with zipfile.ZipFile(pipe, "w", method) as archive:  # type: ignore[type-var]
        for name, data in members.items():
            with archive.open(name, "w", force_zip64=zip64) as member:
                member.write(data)
    return bytes(pipe.taken)


@dataclass
class RawMember:
    """
    A member with freely chosen fields.

    :param compressed: the compressed data; by default that of ``data``
    :param descriptor: bytes after the compressed data
    :param local: fields of the local header that differ from those in the directory
    """

    name: bytes
    data: bytes
    method: int = 8
    flags: int = 0
    extra: bytes = b""
    compressed: bytes | None = None
    crc: int | None = None
    size: int | None = None
    compressed_size: int | None = None
    descriptor: bytes | None = None
    local: dict[str, int | bytes] | None = None
    offset: int | None = None


def build_zip(
    members: Iterable[RawMember], prefix: bytes = b"", comment: bytes = b"", *, entries: int | None = None
) -> bytes:
    """Return an archive of members with exactly these fields."""
    body, directory, count = bytearray(), bytearray(), 0
    for member in members:
        compressed = member.compressed
        if compressed is None:
            compressor = zlib.compressobj(6, zlib.DEFLATED, -15)
            compressed = compressor.compress(member.data) + compressor.flush() if member.method == 8 else member.data
        fields: dict[str, int | bytes] = {
            "crc": zlib.crc32(member.data) if member.crc is None else member.crc,
            "compressed": len(compressed) if member.compressed_size is None else member.compressed_size,
            "size": len(member.data) if member.size is None else member.size,
            "name": member.name,
            "method": member.method,
            "flags": member.flags,
            "extra": member.extra,
        }
        local = fields | (member.local or {})
        offset = len(body) if member.offset is None else member.offset
        body += b"PK\x03\x04" + struct.pack(
            "<HHHHHLLLHH", 20, local["flags"], local["method"], 0, 33, local["crc"], local["compressed"], local["size"],
            len(bytes(local["name"])), len(bytes(local["extra"])),
        )  # fmt: skip
        body += bytes(local["name"]) + bytes(local["extra"]) + compressed + (member.descriptor or b"")
        directory += b"PK\x01\x02" + struct.pack(
            "<HHHHHHLLLHHHHHLL", 20, 20, fields["flags"], fields["method"], 0, 33, fields["crc"], fields["compressed"],
            fields["size"], len(member.name), len(member.extra), 0, 0, 0, 0, offset,
        )  # fmt: skip
        directory += member.name + member.extra
        count += 1
    count = count if entries is None else entries
    end = b"PK\x05\x06" + struct.pack("<HHHHLLH", 0, 0, count, count, len(directory), len(body), len(comment))
    return prefix + bytes(body) + bytes(directory) + end + comment


_RANDOM = random.Random(3)
ROWS = b"".join(b"%d,%d@example.com,purchase\r\n" % (n, _RANDOM.randrange(10**9)) for n in range(60_000))
EXPORT = {
    "export-activities-1.csv": ROWS,
    "export-activities-1-products.csv": ROWS[:5000],
    "¡Sólo cabecera!.csv": b"a,b\n",
    "empty.csv": b"",
}


def with_extensions(members: dict[str, bytes], file_format: str) -> dict[str, bytes]:
    """Return members with the names that they have in a file format."""
    return {name + (".gz" if file_format == "csv.gz" else ""): data for name, data in members.items()}


ROWS_CRC = zlib.crc32(ROWS)
_DEFLATER = zlib.compressobj(6, zlib.DEFLATED, -15)
ROWS_DEFLATED = _DEFLATER.compress(ROWS) + _DEFLATER.flush()


def _deflate_uncompressed(data: bytes) -> bytes:
    """Return a deflate stream of stored blocks, which adds five bytes for each block."""
    pieces = [data[at : at + 65_535] for at in range(0, len(data), 65_535)]
    return b"".join(
        struct.pack("<BHH", piece is pieces[-1], len(piece), len(piece) ^ 0xFFFF) + piece for piece in pieces
    )


DAMAGED: dict[str, bytes] = {
    "wrong CRC": build_zip([RawMember(b"a.csv", ROWS, crc=1)]),
    "wrong CRC, stored": build_zip([RawMember(b"a.csv", ROWS, crc=1, method=0)]),
    "too short": build_zip([RawMember(b"a.csv", ROWS, size=len(ROWS) + 1)]),
    "too long": build_zip([RawMember(b"a.csv", ROWS, size=len(ROWS) - 1)]),
    "data after the deflate stream": build_zip([RawMember(b"a.csv", ROWS, compressed=ROWS_DEFLATED + b"more")]),
    "much data after the deflate stream": build_zip(
        [RawMember(b"a.csv", ROWS, compressed=ROWS_DEFLATED + bytes(600_000))]
    ),
    # These end exactly with a block of the reader (with ranges, the first block includes the header of the member), so
    # that the data after them is in the next block.
    **{
        f"data after a deflate stream of {length} bytes": build_zip(
            [RawMember(b"a.csv", ROWS[: length - 20], compressed=_deflate_uncompressed(ROWS[: length - 20]) + b"more")]
        )
        for length in (262_144, 262_144 - 35)
    },
    "truncated deflate stream": build_zip([RawMember(b"a.csv", ROWS, compressed=ROWS_DEFLATED[:-3])]),
    "invalid deflate stream": build_zip([RawMember(b"a.csv", ROWS, compressed=b"\xff" * 100)]),
    "other name in the header": build_zip([RawMember(b"a.csv", b"1", local={"name": b"b.csv"})]),
    "other method in the header": build_zip([RawMember(b"a.csv", b"1", local={"method": 0})]),
    "other CRC in the header": build_zip([RawMember(b"a.csv", b"1", local={"crc": 7})]),
    "missing members": build_zip([RawMember(b"a.csv", b"1")], entries=2),
    "truncated end": make_zip(EXPORT)[:-1],
    "missing end": make_zip(EXPORT)[:-22],
    "half": make_zip(EXPORT)[: len(make_zip(EXPORT)) // 2],
    "data after the end": make_zip(EXPORT) + b"rubbish",
    "missing header": build_zip([RawMember(b"a.csv", b"1")]).replace(b"PK\x03\x04", b"PK\x03\x00"),
}


def containers(data: bytes) -> dict[str, bytes]:
    """Return the files of exports with this CSV file, in every kind of container."""
    return {
        "a ZIP": make_zip({"a.csv": data, "empty.csv": b"id\n"}),
        "a stored ZIP": make_zip({"a.csv": data, "empty.csv": b"id\n"}, zipfile.ZIP_STORED),
        "a streamed ZIP": stream_zip({"a.csv": data, "empty.csv": b"id\n"}),
        "a ZIP of gzip files": make_zip({"a.csv": data, "empty.csv": b"id\n", "b.csv.gz": gzip.compress(data)}),
        "a ZIP of files named as gzip files": make_zip({"a.csv": data, "empty.csv": b"id\n", "b.csv.gz": data}),
        "a gzip file": gzip.compress(data),
        "a CSV": data,
    }
