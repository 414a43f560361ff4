# SPDX-License-Identifier: Apache-2.0
"""Any archive comes out byte for byte, and any damage to one ends in an error of ours."""

from __future__ import annotations

import os
import random
import time
import zipfile
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_connectif.files.download.remote_file import RemoteFile
from airflow_provider_connectif.files.errors import FileError
from airflow_provider_connectif.files.unpack.archive import open_archive
from tests.files.archives import streamed, zipped
from tests.files.file_server import Faults, FileServer, serve_file
from tests.files.remote_files import FAST_RETRIES, read_members

#: Seconds that the fuzzer takes.
FUZZING = float(os.environ.get("CONNECTIF_FUZZ_SECONDS", "8"))

_NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40) | st.sampled_from(
    ["a.csv", "A.CSV", "b/a.csv", "../a.csv", "_connectif_manifest.json", "año!.csv", "con.csv", "C:\\a.csv", "a-2.csv"]
)
_CONTENTS = st.binary(max_size=3000) | st.builds(
    lambda row, times: row * times, st.binary(max_size=50), st.integers(0, 5000)
)


@pytest.fixture(scope="module", params=[True, False], ids=["ranges", "no ranges"])
def store(request: pytest.FixtureRequest) -> Iterator[FileServer]:
    with serve_file(b"", Faults(ranges=request.param)) as running:
        yield running


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    # `zipfile` itself cuts a name at its first NUL, and says that a name that ends with a slash is a folder.
    members=st.dictionaries(
        _NAMES.filter(lambda name: "\0" not in name and not name.endswith("/")), _CONTENTS, max_size=6
    ),
    method=st.sampled_from([zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED]),
    writer=st.sampled_from(["file", "stream", "stream64"]),
    file_format=st.sampled_from(["csv", "csv.gz", "archive"]),
    comment=st.binary(max_size=60),
)
def test_whatever_zipfile_or_a_streaming_writer_makes_comes_out_byte_for_byte_under_safe_distinct_names(
    store: FileServer, members: dict[str, bytes], method: int, writer: str, file_format: str, comment: bytes
) -> None:
    if writer == "file":
        store.content = zipped(members, method, comment)
    else:
        store.content = streamed(members, method, zip64=writer == "stream64")
    with RemoteFile(store.renew, policy=FAST_RETRIES) as file:
        found = read_members(file, file_format)
    if file_format == "archive":
        assert found == {"export.zip": store.content}
        return
    # In the order in which they lie in the archive.
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
        zipped(members),
        zipped(members, zipfile.ZIP_STORED, b"comment"),
        streamed({name: data for name, data in members.items() if name != "d/"}),
        streamed({"a.csv": b"a,b\n" * 300}, zip64=True),
        streamed({"a.csv": b"a,b\n" * 300}, zipfile.ZIP_STORED),
    ]


_SIGNATURES = [b"PK" + rest for rest in (b"\x01\x02", b"\x03\x04", b"\x05\x06", b"\x06\x06", b"\x06\x07", b"\x07\x08")]
_NUMBERS = [b"\0\0", b"\xff" * 2, b"\0" * 4, b"\xff" * 4, b"\x08\0", b"\0\x08", b"\x01\0", b"\xff\xff\xff\x7f"]
_WORDS = _SIGNATURES + _NUMBERS


def _mutated(chance: random.Random, seed: bytes) -> bytes:
    made = bytearray(seed)
    for _ in range(chance.choice((1, 1, 2, 5))):
        at = chance.randrange(len(made))
        # Half of the time where the headers are: around a signature.
        if chance.random() < 0.5 and (places := [i for i in range(len(made) - 3) if made[i : i + 2] == b"PK"]):
            at = min(len(made) - 1, chance.choice(places) + chance.randrange(60))
        match chance.randrange(6):
            case 0:
                made[at] ^= 1 << chance.randrange(8)
            case 1:
                made[at] = chance.randrange(256)
            case 2:
                word = chance.choice(_WORDS)
                made[at : at + len(word)] = word
            case 3:
                del made[at : at + chance.choice((1, 2, 10, 200))]
            case 4:
                made[at:at] = chance.choice(_WORDS)
            case 5:
                other = chance.randrange(len(made))
                made[at:at] = made[other : other + chance.randrange(100)]
        if not made:
            made = bytearray(b"P")
    return bytes(made)


@pytest.mark.parametrize("file_format", ["csv", "csv.gz", "archive"])
def test_a_mutated_archive_comes_out_or_ends_in_an_error_of_ours(store: FileServer, file_format: str) -> None:
    chance = random.Random(os.environ.get("CONNECTIF_FUZZ_SEED", f"{file_format} {store.faults.ranges}"))
    seeds = _seeds()
    deadline = time.monotonic() + FUZZING / 6
    refused = 0
    while time.monotonic() < deadline:
        which = chance.randrange(len(seeds))
        store.content = _mutated(chance, seeds[which])
        names: list[str] = []
        try:
            with RemoteFile(store.renew, policy=FAST_RETRIES) as file:
                archive = open_archive(file, file_format=file_format, file_name="x", max_uncompressed_bytes=1 << 20)
                for member in archive:
                    names.append(member.name)
                    data = b"".join(member.chunks())
                    assert file_format != "csv" or len(data) <= 1 << 20
        except FileError:
            refused += 1
        except Exception as error:
            raise AssertionError(f"{type(error).__name__} for the archive {store.content!r}") from error
        assert not any("/" in name or "\\" in name or name.startswith((".", "_connectif")) for name in names)
    assert refused > 5
