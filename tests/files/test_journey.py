# SPDX-License-Identifier: Apache-2.0
"""From a store that misbehaves to a real one, over real sockets: the same bytes, or an error and nothing to be seen."""

from __future__ import annotations

import hashlib
import io
import random
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from airflow_provider_connectif.files.download.remote_file import RemoteFile
from airflow_provider_connectif.files.errors import FileError
from airflow_provider_connectif.files.folder.manifest import MANIFEST_NAME
from airflow_provider_connectif.files.unpack.archive import Archive, open_archive
from tests.files.exports import MIB, deliver_to, export, snapshot
from tests.files.file_server import Faults, FileServer, serve_file
from tests.files.remote_files import FAST_RETRIES
from tests.stores import Place

pytestmark = pytest.mark.usefixtures("small_parts")

KINDS = ["local", "s3", "azure"]


def made(number: int, size: int = 6 * MIB) -> bytes:
    """An archive of two members, the same each time for the same number, half as large as its content."""
    text = random.Random(number).randbytes(size // 2).hex().encode()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in (("contacts.csv", text), ("contacts-products.csv", text[: size // 4])):
            archive.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), data, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def expected(content: bytes, file_format: str) -> dict[str, str]:
    """SHA-256 by name of what must come out."""
    if file_format == "archive":
        return {"export.zip": hashlib.sha256(content).hexdigest()}
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: hashlib.sha256(archive.read(name)).hexdigest() for name in archive.namelist()}


def bring(place: Place, source: FileServer, file_format: str, **options: Any) -> dict[str, Any]:
    """Store the export that a source serves."""

    def opened() -> Archive:
        remote = RemoteFile(source.renew, **({"policy": FAST_RETRIES} | options))
        return open_archive(remote, file_format=file_format, file_name="export")  # type: ignore[arg-type]

    return deliver_to(place, {"id": "journey"}, opened, file_format=file_format)


def found(place: Place) -> dict[str, str]:
    """SHA-256 by name of all that is to be seen, the manifest apart."""
    seen = snapshot(place)
    seen.pop(MANIFEST_NAME, None)
    return {name: hashlib.sha256(data).hexdigest() for name, data in seen.items()}


@dataclass
class Trouble:
    """A misbehaving store that an export survives.

    :param faults: makes its faults; a new object for each test.
    :param happened: whether it did misbehave.
    """

    faults: Callable[[], Faults]
    happened: Callable[[FileServer], bool]
    options: dict[str, Any] = field(default_factory=dict)


SURVIVED = {
    "fifty cuts": Trouble(lambda: Faults(cut_after=60_000, cuts=50, block=20_000), lambda s: s.faults.cuts == 0),
    "fifty resets": Trouble(
        lambda: Faults(cut_after=60_000, cuts=50, block=20_000, reset=True), lambda s: s.faults.cuts == 0
    ),
    "addresses that expire": Trouble(lambda: Faults(url_requests=2, cut_after=400_000), lambda s: s.renewals > 2),
    "no ranges": Trouble(
        lambda: Faults(ranges=False, cut_after=2 * MIB, cuts=2), lambda s: s.faults.cuts == 0 and len(s.requests) > 2
    ),
    "answers that say they are longer than they are": Trouble(
        lambda: Faults(length_error=1000), lambda s: len(s.requests) > 1
    ),
    "errors now and then": Trouble(
        lambda: Faults(statuses=[503, 0, 500, 500, 0, 503, 0], cut_after=MIB), lambda s: not s.faults.statuses
    ),
    "a store that falls silent": Trouble(
        lambda: Faults(stall_after=MIB, stalls=2), lambda s: s.faults.stalls == 0, {"timeout": (5.0, 0.4)}
    ),
    "a slow drip": Trouble(
        lambda: Faults(pause=0.01, block=30_000), lambda s: len(s.requests) < 8, {"timeout": (5.0, 1.0)}
    ),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("file_format", ["csv", "archive"])
@pytest.mark.parametrize("trouble", SURVIVED)
def test_an_export_arrives_byte_for_byte_through(
    request: pytest.FixtureRequest, trouble: str, file_format: str, kind: str
) -> None:
    place: Place = request.getfixturevalue(f"{kind}_store")
    content, told = made(1), SURVIVED[trouble]
    with serve_file(content, told.faults()) as source:
        result = bring(place, source, file_format, **told.options)
        assert told.happened(source), "the store did not misbehave"
    right = expected(content, file_format)
    assert found(place) == right
    assert {file["path"].rsplit("/", 1)[1]: file["sha256"] for file in result["files"]} == right
    assert place.unfinished_uploads() == 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("file_format", ["csv", "archive"])
@pytest.mark.parametrize("ranges", [True, False])
def test_a_file_that_changes_half_way_arrives_as_the_new_one_whole(
    request: pytest.FixtureRequest, file_format: str, ranges: bool, kind: str
) -> None:
    place: Place = request.getfixturevalue(f"{kind}_store")
    content = made(1)
    faults = Faults(ranges=ranges, cut_after=2 * MIB, cuts=1)
    with serve_file(content, faults) as source:

        def change(_: int) -> None:
            if source.bytes_sent >= MIB and source.content == content:
                source.content = made(2)

        faults.on_request = change
        bring(place, source, file_format)
        assert source.content != content
    assert found(place) == expected(made(2), file_format)
    assert place.unfinished_uploads() == 0


def _halved(content: bytes) -> bytes:
    return content[: len(content) // 2]


def _flipped(content: bytes) -> bytes:
    at = len(content) // 2
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


FATAL: dict[str, tuple[Callable[[bytes], bytes], Callable[[], Faults]]] = {
    "a length that is always too short": (bytes, lambda: Faults(length_error=-1000)),
    "a length that is too large": (bytes, lambda: Faults(total_error=1000)),
    "a length that is too large, without ranges": (bytes, lambda: Faults(ranges=False, length_error=1000)),
    "a length that is too short, without ranges": (bytes, lambda: Faults(ranges=False, length_error=-1000)),
    "an end that is missing": (_halved, Faults),
    "an end that is missing, without ranges": (_halved, lambda: Faults(ranges=False)),
    "a store that is always broken": (bytes, lambda: Faults(statuses=[0] + [500] * 1000, cut_after=MIB)),
    "addresses that are all refused": (bytes, lambda: Faults(url_requests=0)),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("file_format", ["csv", "archive"])
@pytest.mark.parametrize("trouble", FATAL)
def test_an_error_and_the_folder_as_it_was_after(
    request: pytest.FixtureRequest, trouble: str, file_format: str, kind: str
) -> None:
    place: Place = request.getfixturevalue(f"{kind}_store")
    deliver_to(place, *export(1))
    before = snapshot(place)
    spoil, faults = FATAL[trouble]
    with serve_file(spoil(made(1)), faults()) as source, pytest.raises(FileError):
        bring(place, source, file_format)
    assert snapshot(place) == before
    assert place.unfinished_uploads() == 0


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_and_nothing_to_be_seen_after_a_wrong_byte(request: pytest.FixtureRequest, kind: str) -> None:
    place: Place = request.getfixturevalue(f"{kind}_store")
    with serve_file(_flipped(made(1))) as source, pytest.raises(FileError):
        bring(place, source, "csv")
    assert snapshot(place) == {}
    assert place.unfinished_uploads() == 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_download_succeeds_with_signed_urls_that_expire_after_one_request(
    request: pytest.FixtureRequest, kind: str
) -> None:
    place: Place = request.getfixturevalue(f"{kind}_store")
    content = made(1, 8 * MIB)
    faults = Faults(url_requests=1, cut_after=len(content) // 10)
    with serve_file(content, faults) as source:
        bring(place, source, "csv.gz")
        assert source.renewals >= 5
    assert place.names() == {"contacts.csv.gz", "contacts-products.csv.gz", MANIFEST_NAME}
