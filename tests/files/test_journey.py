# SPDX-License-Identifier: Apache-2.0
"""From a misbehaving file server to a real store: the same bytes are stored, or the task fails and shows nothing."""

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
from airflow_provider_connectif.files.folder.manifest import MANIFEST_NAME, Manifest
from airflow_provider_connectif.files.tables.parquet import ParquetConverter, parquet_name
from airflow_provider_connectif.files.unpack.archive import Archive, open_archive
from tests.files.archives import make_zip
from tests.files.exports import MIB, deliver_to, export, snapshot
from tests.files.file_server import Faults, FileServer, serve_file
from tests.files.remote_files import FAST_RETRIES
from tests.stores import Place

pytestmark = [pytest.mark.usefixtures("small_parts"), pytest.mark.slow]

KINDS = ["local", "s3", "azure"]


def build_archive(number: int, size: int = 6 * MIB) -> bytes:
    """Return an archive of two members, always the same for the same number, and half as large as its content."""
    text = random.Random(number).randbytes(size // 2).hex("\n", 50).encode()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in (("contacts.csv", text), ("contacts-products.csv", text[: size // 4])):
            archive.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), data, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def expected(content: bytes, file_format: str) -> dict[str, str]:
    """Return the SHA-256 of each file that must be stored, by name."""
    if file_format == "archive":
        return {"export.zip": hashlib.sha256(content).hexdigest()}
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    if file_format == "parquet":
        files = {parquet_name(name): _converted(name, data) for name, data in files.items()}
    return {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}


def _converted(name: str, data: bytes) -> bytes:
    return b"".join(ParquetConverter(file=name).convert([data]))


def store_export(place: Place, source: FileServer, file_format: str, **options: Any) -> dict[str, Any]:
    """Store the export that the server serves."""

    def open_export() -> Archive:
        remote = RemoteFile(source.renew, **({"policy": FAST_RETRIES} | options))
        return open_archive(remote, file_format=file_format, file_name="export")  # type: ignore[arg-type]

    return deliver_to(place, {"id": "journey"}, open_export, file_format=file_format)


def stored_digests(place: Place) -> dict[str, str]:
    """Return the SHA-256 of each visible object except the manifest, by name."""
    objects = snapshot(place)
    objects.pop(MANIFEST_NAME, None)
    return {name: hashlib.sha256(data).hexdigest() for name, data in objects.items()}


@dataclass
class Trouble:
    """A misbehaving file server from which an export is stored nevertheless.

    :param faults: creates its faults; a new object for each test
    :param happened: returns whether it did misbehave
    """

    faults: Callable[[], Faults]
    happened: Callable[[FileServer], bool]
    options: dict[str, Any] = field(default_factory=dict)


RECOVERABLE = {
    "fifty lost connections": Trouble(
        lambda: Faults(cut_after=60_000, cuts=50, block=20_000), lambda s: s.faults.cuts == 0
    ),
    "fifty reset connections": Trouble(
        lambda: Faults(cut_after=60_000, cuts=50, block=20_000, reset=True), lambda s: s.faults.cuts == 0
    ),
    "signed URLs that expire": Trouble(lambda: Faults(url_requests=2, cut_after=400_000), lambda s: s.renewals > 2),
    "no ranges": Trouble(
        lambda: Faults(ranges=False, cut_after=2 * MIB, cuts=2), lambda s: s.faults.cuts == 0 and len(s.requests) > 2
    ),
    "responses that claim to be longer than they are": Trouble(
        lambda: Faults(length_error=1000), lambda s: len(s.requests) > 1
    ),
    "occasional errors": Trouble(
        lambda: Faults(statuses=[503, 0, 500, 500, 0, 503, 0], cut_after=MIB), lambda s: not s.faults.statuses
    ),
    "a server that stops sending": Trouble(
        lambda: Faults(stall_after=MIB, stalls=2), lambda s: s.faults.stalls == 0, {"timeout": (5.0, 0.4)}
    ),
    "a slow server": Trouble(
        lambda: Faults(pause=0.01, block=30_000), lambda s: len(s.requests) < 8, {"timeout": (5.0, 1.0)}
    ),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("file_format", ["csv", "parquet", "archive"])
@pytest.mark.parametrize("trouble", RECOVERABLE)
def test_an_export_is_stored_unchanged_despite(
    request: pytest.FixtureRequest, trouble: str, file_format: str, kind: str
) -> None:
    place: Place = request.getfixturevalue(f"{kind}_store")
    content, case = build_archive(1), RECOVERABLE[trouble]
    with serve_file(content, case.faults()) as source:
        result = store_export(place, source, file_format, **case.options)
        assert case.happened(source), "the server did not misbehave"
    correct = expected(content, file_format)
    assert stored_digests(place) == correct
    assert {file["path"].rsplit("/", 1)[1]: file["sha256"] for file in result["files"]} == correct
    assert place.unfinished_uploads() == 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("file_format", ["csv", "parquet", "archive"])
@pytest.mark.parametrize("ranges", [True, False])
def test_a_file_that_changes_during_the_download_is_stored_in_its_new_version(
    request: pytest.FixtureRequest, file_format: str, ranges: bool, kind: str
) -> None:
    place: Place = request.getfixturevalue(f"{kind}_store")
    content = build_archive(1)
    faults = Faults(ranges=ranges, cut_after=2 * MIB, cuts=1)
    with serve_file(content, faults) as source:

        def change(_: int) -> None:
            if source.bytes_sent >= MIB and source.content == content:
                source.content = build_archive(2)

        faults.on_request = change
        store_export(place, source, file_format)
        assert source.content != content
    assert stored_digests(place) == expected(build_archive(2), file_format)
    assert place.unfinished_uploads() == 0


def _halved(content: bytes) -> bytes:
    return content[: len(content) // 2]


def _flipped(content: bytes) -> bytes:
    at = len(content) // 2
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


FATAL: dict[str, tuple[Callable[[bytes], bytes], Callable[[], Faults]]] = {
    "a length that is always too small": (bytes, lambda: Faults(length_error=-1000)),
    "a length that is too large": (bytes, lambda: Faults(total_error=1000)),
    "a length that is too large, without ranges": (bytes, lambda: Faults(ranges=False, length_error=1000)),
    "a length that is too small, without ranges": (bytes, lambda: Faults(ranges=False, length_error=-1000)),
    "a missing end": (_halved, Faults),
    "a missing end, without ranges": (_halved, lambda: Faults(ranges=False)),
    "a server that always fails": (bytes, lambda: Faults(statuses=[0] + [500] * 1000, cut_after=MIB)),
    "signed URLs that are all rejected": (bytes, lambda: Faults(url_requests=0)),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("file_format", ["csv", "parquet", "archive"])
@pytest.mark.parametrize("trouble", FATAL)
def test_the_task_fails_and_the_folder_is_unchanged_after(
    request: pytest.FixtureRequest, trouble: str, file_format: str, kind: str
) -> None:
    place: Place = request.getfixturevalue(f"{kind}_store")
    deliver_to(place, *export(1))
    before = snapshot(place)
    damage, faults = FATAL[trouble]
    with serve_file(damage(build_archive(1)), faults()) as source, pytest.raises(FileError):
        store_export(place, source, file_format)
    assert snapshot(place) == before
    assert place.unfinished_uploads() == 0


@pytest.mark.parametrize("kind", KINDS)
def test_the_task_fails_and_nothing_is_visible_after_a_wrong_byte(request: pytest.FixtureRequest, kind: str) -> None:
    place: Place = request.getfixturevalue(f"{kind}_store")
    with serve_file(_flipped(build_archive(1))) as source, pytest.raises(FileError):
        store_export(place, source, "csv")
    assert snapshot(place) == {}
    assert place.unfinished_uploads() == 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_download_succeeds_with_signed_urls_that_expire_after_one_request(
    request: pytest.FixtureRequest, kind: str
) -> None:
    place: Place = request.getfixturevalue(f"{kind}_store")
    content = build_archive(1, 8 * MIB)
    faults = Faults(url_requests=1, cut_after=len(content) // 10)
    with serve_file(content, faults) as source:
        store_export(place, source, "csv.gz")
        assert source.renewals >= 5
    assert place.names() == {"contacts.csv.gz", "contacts-products.csv.gz", MANIFEST_NAME}


def test_the_manifest_names_the_members_that_were_left_out(local_store: Place) -> None:
    with serve_file(make_zip({"a.csv": b"1,2\n", "__MACOSX/._a.csv": b"junk", ".DS_Store": b"junk"})) as source:
        store_export(local_store, source, "csv")
    assert local_store.names() == {"a.csv", MANIFEST_NAME}
    manifest = Manifest.from_bytes(local_store.read(MANIFEST_NAME))
    assert manifest.skipped == ("__MACOSX/._a.csv", ".DS_Store")
    assert Manifest.from_bytes(manifest.to_bytes()) == manifest
