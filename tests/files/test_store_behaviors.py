# SPDX-License-Identifier: Apache-2.0
"""However the vendor's store behaves, an export arrives with identical bytes, or not at all.

``CONNECTIF_BEHAVIORS`` is the number of combinations to run, ``CONNECTIF_FUZZ_SEED`` selects others.
"""

from __future__ import annotations

import dataclasses
import gzip
import io
import os
import random
import shutil
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.local import LocalFileSystem

from airflow_provider_connectif.files.download import range_reader, remote_file, source
from airflow_provider_connectif.files.download.remote_file import RemoteFile
from airflow_provider_connectif.files.errors import FileError
from airflow_provider_connectif.files.folder.manifest import MANIFEST_NAME
from airflow_provider_connectif.files.unpack.archive import Archive, open_archive
from tests.files.archives import make_zip, stream_zip
from tests.files.behaviors import Behavior, Store, pairs_of, run_store, sample_behaviors
from tests.files.exports import deliver_to
from tests.stores import Place

BEHAVIORS = int(os.environ.get("CONNECTIF_BEHAVIORS", "1200"))


def _make_file(kind: str, number: int) -> bytes:
    """Return a file of several thousand bytes, with the same size for each number."""
    rows = random.Random(number).randbytes(6000).hex().encode()
    text = b"id,email\r\n" + b"\r\n".join(rows[at : at + 60] for at in range(0, 12_000, 60))
    members = {"contacts.csv": text, "products.csv": text[:3000]}
    match kind:
        case "deflated":
            # The archive needs the same size as the other: a comment fills it up.
            content = make_zip(members)
            return make_zip(members, comment=bytes(10_000 - len(content)))
        case "stored":
            return make_zip(members, zipfile.ZIP_STORED)
        case "streamed":
            return stream_zip({"contacts.csv": text}, zipfile.ZIP_STORED)
        case "gzip":
            content = gzip.compress(text, mtime=0)
            return content[:3] + b"\x10" + content[4:10] + b"x" * (9000 - len(content)) + b"\0" + content[10:]
    return text


def _deliver(store: Store, folder: Path, file_format: str) -> dict[str, bytes]:
    """Store the export, and return the objects in the folder except the manifest."""

    def opened() -> Archive:
        remote = RemoteFile(store.renew, sleep=lambda seconds: None)
        return open_archive(remote, file_format=file_format, file_name="export")  # type: ignore[arg-type]

    place = Place("local", str(folder), LocalFileSystem(), str(folder))
    deliver_to(place, {"id": "1"}, opened, file_format=file_format)
    return _visible(folder)


_EXTENSIONS = {"csv": "csv", "gzip": "csv.gz"}


def _unpack(content: bytes, kind: str) -> dict[str, bytes]:
    if kind in _EXTENSIONS:
        return {"export.csv": gzip.decompress(content) if kind == "gzip" else content}
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _visible(folder: Path) -> dict[str, bytes]:
    found = {path.name: path.read_bytes() for path in folder.glob("*") if not path.name.startswith(".")}
    found.pop(MANIFEST_NAME, None)
    return found


@pytest.fixture
def small_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of a few thousand bytes take as many requests and blocks as large ones."""
    for module in (source, remote_file):
        monkeypatch.setattr(module, "HEAD_SIZE", 2000)
    for module in (range_reader, remote_file):
        monkeypatch.setattr(module, "BLOCK_SIZE", 2000)


PERFECT: dict[str, Any] = {
    "dead_url": "403", "expires": "never", "length": "length", "encoding": "none", "validator": "strong",
    "ranges": "yes", "breaks": "no", "change": "no", "end": "complete",
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.usefixtures("small_requests")
def test_every_behavior_leads_to_identical_bytes_or_to_an_error_and_nothing_visible(tmp_path: Path) -> None:
    seed = int(os.environ.get("CONNECTIF_FUZZ_SEED", "18"))
    files = {
        kind: (_make_file(kind, 1), _make_file(kind, 2)) for kind in ("deflated", "stored", "streamed", "csv", "gzip")
    }
    assert all(len(one) == len(other) and one != other for one, other in files.values())
    outcomes: Counter[str] = Counter()
    failures: list[str] = []
    behaviors = list(sample_behaviors(BEHAVIORS, seed))
    expected: dict[tuple[str, str, bool, int], dict[str, bytes]] = {}
    folder = tmp_path / "folder"
    with run_store() as store:

        def expect(behavior: Behavior, content: bytes) -> dict[str, bytes]:
            """Return what must come of a file: nothing if it is damaged."""
            if behavior.end == "short" and behavior.kind != "csv" and not behavior.stores_gzip_unchanged:
                return {}
            if behavior.file_format == "archive":
                return {f"export.{_EXTENSIONS.get(behavior.kind, 'zip')}": content}
            members = _unpack(content, behavior.kind)
            if behavior.file_format == "csv":
                return members
            # The compressed bytes are those that a perfect store leads to.
            shutil.rmtree(folder, ignore_errors=True)
            store.use(dataclasses.replace(behavior, **PERFECT), content, b"")
            compressed = _deliver(store, folder, "csv.gz")
            assert {name.removesuffix(".gz"): gzip.decompress(data) for name, data in compressed.items()} == members
            return compressed

        for behavior in behaviors:
            contents = files[behavior.kind]
            if behavior.end == "short":
                contents = (contents[0][:-1000], contents[1][:-1000])
            right = []
            for number, content in enumerate(contents):
                key = (behavior.kind, behavior.file_format, behavior.end == "short", number)
                if key not in expected:
                    expected[key] = expect(behavior, content)
                right.append(expected[key])
            shutil.rmtree(folder, ignore_errors=True)
            store.use(behavior, *contents)
            try:
                outcome = _deliver(store, folder, behavior.file_format)
            except FileError as error:
                outcomes[type(error).__name__] += 1
                if behavior.must_succeed:
                    failures.append(f"{behavior} failed: {error}")
                if error.final and not behavior.may_be_final:
                    failures.append(f"{behavior} failed finally: {error}")
                if _visible(folder):
                    failures.append(f"{behavior} failed with visible files {list(_visible(folder))}")
            else:
                outcomes["success"] += 1
                if not outcome or outcome not in (right if behavior.change.endswith("other file") else right[:1]):
                    failures.append(
                        f"{behavior} led to other bytes: { {name: len(data) for name, data in outcome.items()} }"
                    )
    print(f"{len(behaviors)} combinations: {dict(outcomes)}")
    assert not failures, f"{len(failures)} of {len(behaviors)}:\n" + "\n".join(failures[:10])
    occurring, possible = pairs_of(behaviors)
    assert occurring == possible or BEHAVIORS < 1000
