# SPDX-License-Identifier: Apache-2.0
"""Every archive is unpacked byte for byte, and every damaged one raises an error of this package."""

from __future__ import annotations

import os
import random
import zipfile
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_connectif.files.download.remote_file import RemoteFile
from airflow_provider_connectif.files.errors import FileError
from airflow_provider_connectif.files.unpack.archive import open_archive
from airflow_provider_connectif.files.unpack.zip_records import Entry
from tests.files.archives import make_zip, stream_zip
from tests.files.file_server import Faults, FileServer, serve_file
from tests.files.remote_files import FAST_RETRIES, read_members

#: Number of mutated archives in each test.
FUZZ_CASES = int(os.environ.get("CONNECTIF_FUZZ_CASES", "300"))

_NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40) | st.sampled_from(
    ["a.csv", "A.CSV", "b/a.csv", "../a.csv", "_connectif_manifest.json", "año!.csv", "con.csv", "C:\\a.csv", "a-2.csv"]
)
_CONTENTS = st.binary(max_size=3000) | st.builds(
    lambda row, times: row * times, st.binary(max_size=50), st.integers(0, 5000)
)


def _is_left_out(name: str) -> bool:
    return Entry(b"", name, 0, 0, 0, 0, 0, 0).is_metadata


@pytest.fixture(scope="module", params=[True, False], ids=["ranges", "no ranges"])
def server(request: pytest.FixtureRequest) -> Iterator[FileServer]:
    with serve_file(b"", Faults(ranges=request.param)) as running:
        yield running


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    # `zipfile` itself truncates a name at the first NUL, and treats a name that ends with a slash as a folder.
    members=st.dictionaries(
        _NAMES.filter(lambda name: "\0" not in name and not name.endswith("/") and not _is_left_out(name)),
        _CONTENTS,
        min_size=1,
        max_size=6,
    ),
    method=st.sampled_from([zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED]),
    writer=st.sampled_from(["file", "stream", "stream64"]),
    file_format=st.sampled_from(["csv", "csv.gz", "archive"]),
    comment=st.binary(max_size=60),
)
def test_every_archive_is_unpacked_byte_for_byte_with_safe_and_unique_names(
    server: FileServer, members: dict[str, bytes], method: int, writer: str, file_format: str, comment: bytes
) -> None:
    if writer == "file":
        server.content = make_zip(members, method, comment)
    else:
        server.content = stream_zip(members, method, zip64=writer == "stream64")
    with RemoteFile(server.renew, policy=FAST_RETRIES) as file:
        found = read_members(file, file_format)
    if file_format == "archive":
        assert found == {"export.zip": server.content}
        return
    # In the order of the archive.
    assert list(found.values()) == list(members.values())
    assert len({name.casefold() for name in found}) == len(members)
    for name in found:
        assert name.endswith("." + file_format)
        assert "/" not in name
        assert "\\" not in name
        assert not name.startswith((".", "_connectif"))


def _seeds() -> list[bytes]:
    members = {"a.csv": b"a,b\n" * 300, "x/ñ!.csv": random.Random(1).randbytes(500), "d/": b"", "e.csv": b""}
    return [
        make_zip(members),
        make_zip(members, zipfile.ZIP_STORED, b"comment"),
        stream_zip({name: data for name, data in members.items() if name != "d/"}),
        stream_zip({"a.csv": b"a,b\n" * 300}, zip64=True),
        stream_zip({"a.csv": b"a,b\n" * 300}, zipfile.ZIP_STORED),
    ]


_SIGNATURES = [b"PK" + rest for rest in (b"\x01\x02", b"\x03\x04", b"\x05\x06", b"\x06\x06", b"\x06\x07", b"\x07\x08")]
_NUMBERS = [b"\0\0", b"\xff" * 2, b"\0" * 4, b"\xff" * 4, b"\x08\0", b"\0\x08", b"\x01\0", b"\xff\xff\xff\x7f"]
_WORDS = _SIGNATURES + _NUMBERS


def _mutated(chance: random.Random, seed: bytes) -> bytes:
    content = bytearray(seed)
    for _ in range(chance.choice((1, 1, 2, 5))):
        at = chance.randrange(len(content))
        # Half of the mutations are in headers: after a signature.
        if chance.random() < 0.5 and (places := [i for i in range(len(content) - 3) if content[i : i + 2] == b"PK"]):
            at = min(len(content) - 1, chance.choice(places) + chance.randrange(60))
        match chance.randrange(6):
            case 0:
                content[at] ^= 1 << chance.randrange(8)
            case 1:
                content[at] = chance.randrange(256)
            case 2:
                word = chance.choice(_WORDS)
                content[at : at + len(word)] = word
            case 3:
                del content[at : at + chance.choice((1, 2, 10, 200))]
            case 4:
                content[at:at] = chance.choice(_WORDS)
            case 5:
                other = chance.randrange(len(content))
                content[at:at] = content[other : other + chance.randrange(100)]
        if not content:
            content = bytearray(b"P")
    return bytes(content)


@pytest.mark.parametrize("file_format", ["csv", "csv.gz", "archive"])
def test_a_mutated_archive_is_unpacked_or_raises_an_error_of_this_package(server: FileServer, file_format: str) -> None:
    chance = random.Random(os.environ.get("CONNECTIF_FUZZ_SEED", f"{file_format} {server.faults.ranges}"))
    seeds = _seeds()
    refused = 0
    for _ in range(FUZZ_CASES):
        server.content = _mutated(chance, chance.choice(seeds))
        names: list[str] = []
        try:
            with RemoteFile(server.renew, policy=FAST_RETRIES) as file:
                archive = open_archive(file, file_format=file_format, file_name="x", max_uncompressed_bytes=1 << 20)
                for member in archive:
                    names.append(member.name)
                    data = b"".join(member.chunks())
                    assert file_format != "csv" or len(data) <= 1 << 20
        except FileError:
            refused += 1
        except Exception as error:
            raise AssertionError(f"{type(error).__name__} for the archive {server.content!r}") from error
        assert not any("/" in name or "\\" in name or name.startswith((".", "_connectif")) for name in names)
    assert refused > 5
