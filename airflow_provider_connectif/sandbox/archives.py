# SPDX-License-Identifier: Apache-2.0
"""Build an export's file: its CSV files, and the ZIP archive around them."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass

from airflow_provider_connectif.sandbox.blobs import Blob, Run
from airflow_provider_connectif.sandbox.data import DataSpec, Table, tables
from airflow_provider_connectif.sandbox.zips import ZipMember, build

_SEGMENT = 1 << 20
_SEGMENT_ROWS = 20_000  # more than fit in a segment
_BOMB_BYTES = 10 << 30
_HASHED_BYTES = 64 << 20  # larger files have no MD5, like objects that were uploaded in parts


@dataclass(frozen=True)
class FileSpec:
    """Everything that an export's file depends on; equal specs produce equal files.

    :param base_name: name of the CSV files, without ``-products`` and ``.csv``
    :param file_bytes: size of the first CSV file; if 0, it has ``data.rows`` rows
    """

    data: DataSpec
    base_name: str
    delimiter: str = ","
    file_bytes: int = 0
    bom: bool = False
    crlf: bool = False
    archive: str = "streamed"
    stored: bool = False
    zip64: str = "auto"
    damage: str = "none"


@dataclass(frozen=True)
class FileBlob:
    """A file in the object store.

    :param md5: MD5 of the content, or None for a large file
    """

    blob: Blob
    md5: bytes | None

    @classmethod
    def of(cls, blob: Blob) -> FileBlob:
        """Return a file with this content."""
        if blob.size > _HASHED_BYTES:
            return cls(blob, None)
        md5 = hashlib.md5(usedforsecurity=False)
        for chunk in blob.read():
            md5.update(chunk)
        return cls(blob, md5.digest())


def build_file(spec: FileSpec) -> FileBlob:
    """Build an export's file."""
    return FileBlob.of(_content(spec))


def _content(spec: FileSpec) -> Blob:
    members = []
    for index, table in enumerate(tables(spec.data)):
        content = _sized(spec) if spec.file_bytes and not index else [Run(b"".join(_lines(spec, table)))]
        members.append(ZipMember(f"{spec.base_name}{table.suffix}.csv", content))
    if spec.archive == "csv":
        return Blob(members[0].content)
    if spec.damage == "unsafe-name":
        members[0] = dataclasses.replace(members[0], name="../../x.csv")
    if spec.damage == "bomb":
        zeros = bytes(_SEGMENT)
        members[0] = dataclasses.replace(members[0], content=[Run(zeros, _BOMB_BYTES // len(zeros))])
    blob = build(
        members,
        streamed=spec.archive == "streamed",
        stored=spec.stored,
        zip64=spec.zip64,
        encrypted=spec.damage == "encrypted",
    )
    if spec.damage == "truncated":
        return blob.cut(blob.size * 2 // 3)
    if spec.damage == "corrupt":
        # Past the member's header (30 bytes, the name, up to 20 bytes of ZIP64 sizes) and some intact data.
        return blob.with_flipped_bit(30 + len(members[0].name.encode()) + 20 + 40)
    return blob


def _lines(spec: FileSpec, table: Table, *, header: bool = True) -> Iterator[bytes]:
    """Yield the lines of a table's CSV file, starting with the header."""
    text = io.StringIO()
    writer = csv.writer(
        text,
        delimiter=spec.delimiter,
        lineterminator="\r\n" if spec.crlf else "\n",
        quoting=csv.QUOTE_ALL if table.quote_all else csv.QUOTE_MINIMAL,
    )
    if header:
        text.write("\ufeff" if spec.bom else "")
        writer.writerow(table.columns)
        yield text.getvalue().encode()
    for row in table.rows():
        text.seek(0)
        text.truncate()
        writer.writerow(row)
        yield text.getvalue().encode()


def _sized(spec: FileSpec) -> list[Run]:
    """Return the first table in exactly ``file_bytes`` bytes: a segment of rows, repeated, and a remainder.

    If the size leaves no room for a row, only the header is written.
    """
    many = dataclasses.replace(spec, data=dataclasses.replace(spec.data, rows=_SEGMENT_ROWS))
    table = tables(many.data)[0]
    lines = _lines(many, table)
    header = next(lines)
    room = spec.file_bytes - len(header)
    segment = _up_to(lines, min(_SEGMENT, room))
    repeat = room // sum(map(len, segment)) if segment else 0
    rest = room - repeat * sum(map(len, segment))
    empty = [""] * (len(table.columns) - 1)
    shortest = len(_row(spec, table, ["", *empty]))
    if repeat and 0 < rest < shortest:
        repeat, rest = repeat - 1, rest + sum(map(len, segment))
    tail = b"".join(_up_to(iter(segment), rest - shortest))
    if rest - len(tail) >= shortest:
        tail += _row(spec, table, ["x" * (rest - len(tail) - shortest), *empty])
    return [Run(header), Run(b"".join(segment), repeat), Run(tail)]


def _up_to(lines: Iterator[bytes], size: int) -> list[bytes]:
    taken: list[bytes] = []
    for line in lines:
        size -= len(line)
        if size < 0:
            break
        taken.append(line)
    return taken


def _row(spec: FileSpec, table: Table, row: list[str]) -> bytes:
    one = dataclasses.replace(table, rows=lambda: iter([row]))
    return next(_lines(spec, one, header=False))
