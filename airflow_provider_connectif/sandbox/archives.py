# SPDX-License-Identifier: Apache-2.0
"""An export's file, from its rows: CSVs, in a ZIP as the options say."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import io
from dataclasses import dataclass
from itertools import islice

from airflow_provider_connectif.sandbox.blobs import Blob, Run
from airflow_provider_connectif.sandbox.data import DataSpec, Table, tables
from airflow_provider_connectif.sandbox.zips import Member, build

_SEGMENT = 1 << 20
_SEGMENT_ROWS = 20_000  # more than a segment holds
_BOMB_BYTES = 10 << 30
_HASHED_BYTES = 64 << 20  # larger files have no MD5, as those that were uploaded in parts have none


@dataclass(frozen=True)
class FileSpec:
    """Everything that an export's file depends on: two files of equal specs are equal.

    :param base_name: the CSVs' name without ``.csv`` (and without ``-products``).
    :param file_bytes: size of the first CSV; 0: as many rows as ``data.rows``.
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
class StoredFile:
    """A file in the store.

    :param md5: its MD5, if it is small.
    """

    blob: Blob
    md5: bytes | None

    @classmethod
    def of(cls, blob: Blob) -> StoredFile:
        """Store some content."""
        if blob.size > _HASHED_BYTES:
            return cls(blob, None)
        md5 = hashlib.md5(usedforsecurity=False)
        for chunk in blob.read():
            md5.update(chunk)
        return cls(blob, md5.digest())


def build_file(spec: FileSpec) -> StoredFile:
    """Make an export's file."""
    return StoredFile.of(_content(spec))


def _content(spec: FileSpec) -> Blob:
    members = []
    for index, table in enumerate(tables(spec.data)):
        content = _sized(spec, table) if spec.file_bytes and not index else [Run(_csv(spec, table))]
        members.append(Member(f"{spec.base_name}{table.suffix}.csv", content))
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
        return Blob([Run(b"".join(blob.read(0, blob.size * 2 // 3)))])
    if spec.damage == "corrupt":
        return _flip_one_byte(blob, len(members[0].name.encode()))
    return blob


def _flip_one_byte(blob: Blob, name_size: int) -> Blob:
    """Change a byte of the first member's data, near its beginning, but leave the headers right."""
    position = 30 + name_size + 20 + 40  # the fixed header, the name, room for a zip64 field, some data
    data = bytearray(b"".join(blob.read()))
    data[position] ^= 0x10
    return Blob([Run(bytes(data))])


def _csv(spec: FileSpec, table: Table, *, rows: int | None = None, header: bool = True) -> bytes:
    """Write a table; with ``rows``, that many at most."""
    text = io.StringIO()
    writer = csv.writer(
        text,
        delimiter=spec.delimiter,
        lineterminator="\r\n" if spec.crlf else "\n",
        quoting=csv.QUOTE_ALL if table.quote_all else csv.QUOTE_MINIMAL,
    )
    if header:
        writer.writerow(table.columns)
    writer.writerows(islice(table.rows(), rows))
    return (b"\xef\xbb\xbf" if header and spec.bom else b"") + text.getvalue().encode()


def _sized(spec: FileSpec, table: Table) -> list[Run]:
    """Write a table of exactly ``file_bytes`` bytes: a header, a segment of rows many times, and the rest.

    Of a very small size the header is all that there is.
    """
    header = _csv(spec, table, rows=0)
    room = spec.file_bytes - len(header)
    if room <= 0:
        return [Run(header)]
    many = dataclasses.replace(spec, data=dataclasses.replace(spec.data, rows=_SEGMENT_ROWS))
    wide = next(other for other in tables(many.data) if other.suffix == table.suffix)
    lines: list[bytes] = []
    size = 0
    for row in wide.rows():
        line = _csv(spec, dataclasses.replace(wide, rows=lambda: iter([row])), header=False)
        if size + len(line) > min(_SEGMENT, room):
            break
        lines.append(line)
        size += len(line)
    segment = b"".join(lines)
    repeat = room // len(segment) if segment else 0
    rest = room - repeat * len(segment)
    return [Run(header), Run(segment, repeat), Run(_filler(lines, rest, spec))]


def _filler(lines: list[bytes], size: int, spec: FileSpec) -> bytes:
    """Return rows of exactly ``size`` bytes: whole ones, then one that has but its first field."""
    taken = b""
    for line in lines:
        if len(taken) + len(line) > size:
            break
        taken += line
    end = b"\r\n" if spec.crlf else b"\n"
    rest = size - len(taken)
    if not rest:
        return taken
    if rest <= len(end):
        # No room for a row: the line break alone, where a blank line is what a CSV reader skips.
        return taken + end[-rest:]
    return taken + b"x" * (rest - len(end)) + end
