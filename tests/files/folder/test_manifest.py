# SPDX-License-Identifier: Apache-2.0
"""The manifest says when a folder is complete, and what it contains (promise 3)."""

from __future__ import annotations

import dataclasses
import hashlib
import json

import pytest

from airflow_provider_connectif.files.errors import FolderConflict, ManifestUnreadable
from airflow_provider_connectif.files.folder.manifest import MANIFEST_NAME, Manifest, StoredFile
from tests.files.exports import MIB, Archive, Member, contents, deliver_to, export, snapshot, writer
from tests.stores import Place


def written(**changes: object) -> bytes:
    """Return a manifest as it is stored, with some fields changed."""
    whole = json.loads(Manifest({"id": "1"}, "csv", (), writer(), "2027-01-01T00:00:00+00:00").to_bytes())
    return json.dumps({**whole, **changes}).encode()


def manifest(place: Place) -> dict:
    return json.loads(place.read(MANIFEST_NAME))


def test_the_manifest_contains_the_export_the_format_the_files_and_the_writer(memory_store: Place) -> None:
    described, archive = export()
    deliver_to(memory_store, described, archive, clock=lambda: 1_800_000_000.0)
    assert manifest(memory_store) == {
        "version": 1,
        "export": described,
        "file_format": "csv",
        "files": [
            {"path": name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            for name, data in contents(archive).items()
        ],
        "writer": writer(),
        "written_at": "2027-01-15T08:00:00+00:00",
    }


def test_the_types_of_columns_are_in_the_manifest_if_there_are_any(memory_store: Place) -> None:
    described, archive = export()
    types = {"total": "decimal(18,2)"}
    deliver_to(memory_store, described, archive, file_format="parquet", column_types=types)
    assert manifest(memory_store)["column_types"] == types
    assert Manifest.from_bytes(memory_store.read(MANIFEST_NAME)).column_types == types
    deliver_to(memory_store, described, archive, file_format="parquet", column_types=types)
    assert archive.opened == 1
    deliver_to(memory_store, described, archive, file_format="parquet")
    assert archive.opened == 2
    assert "column_types" not in manifest(memory_store)
    assert Manifest.from_bytes(memory_store.read(MANIFEST_NAME)).column_types == {}


def test_another_task_of_the_run_may_not_store_the_same_export_with_other_types(memory_store: Place) -> None:
    described, archive = export()
    deliver_to(memory_store, described, archive, file_format="parquet", column_types={"a": "int64"})
    other = writer(task_id="other")
    with pytest.raises(FolderConflict, match="Task store of the same run"):
        deliver_to(memory_store, described, archive, file_format="parquet", column_types={"a": "date"}, by=other)
    deliver_to(memory_store, described, archive, file_format="parquet", column_types={"a": "int64"}, by=other)
    assert archive.opened == 1


def test_the_manifest_never_contains_the_url_of_the_exports_file(memory_store: Place) -> None:
    described, archive = export()
    deliver_to(memory_store, {**described, "fileUrl": "https://files.example/x?sig=abc"}, archive)
    assert b"example" not in memory_store.read(MANIFEST_NAME)


@pytest.mark.parametrize("kind", ["s3", "azure", "gcs"])
def test_a_file_overwritten_with_one_of_the_same_size_is_noticed_by_its_etag(
    request: pytest.FixtureRequest, kind: str
) -> None:
    place: Place = request.getfixturevalue(f"{kind}_store")
    described, archive = export()
    deliver_to(place, described, archive)
    place.write("activities-1.csv", b"x" * 1000)
    deliver_to(place, described, archive)
    assert place.read("activities-1.csv") == contents(archive)["activities-1.csv"]


def test_a_checksum_computed_while_reading_is_used_in_the_manifest(place: Place) -> None:
    member = Member("activities-1.zip", b"PK" * MIB)
    member.sha256 = lambda: "5" * 64
    deliver_to(place, {"id": "1"}, Archive(member, Member("other.csv", b"a,b\n")), file_format="archive")
    checksums = {each["path"]: each["sha256"] for each in manifest(place)["files"]}
    assert checksums == {"activities-1.zip": "5" * 64, "other.csv": hashlib.sha256(b"a,b\n").hexdigest()}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not json",
        b"[]",
        b'{"version": 1}',
        b'{"version": 2, "export": {"id": "1"}}',
        written(files=[{"path": "../../etc/passwd", "bytes": 1, "sha256": "x"}]),
        written(replaces=["a/b"]),
        written(replaces=[MANIFEST_NAME]),
        written(export={}),
        written(files=[{"path": "a.csv", "bytes": 1, "sha256": "x", "rows": -1}]),
        written(files=[{"path": "a.csv", "bytes": 1, "sha256": "x", "columns": 1}]),
    ],
)
def test_an_invalid_manifest_is_an_error_and_nothing_is_touched(memory_store: Place, content: bytes) -> None:
    memory_store.write(MANIFEST_NAME, content)
    described, archive = export()
    with pytest.raises(ManifestUnreadable, match="another destination") as caught:
        deliver_to(memory_store, described, archive)
    assert caught.value.final
    assert archive.opened == 0
    assert snapshot(memory_store) == {MANIFEST_NAME: content}


def test_a_manifest_is_read_as_it_was_written() -> None:
    one = Manifest({"id": "1", "é": [1]}, "csv", (), writer(), "2027-01-01T00:00:00+00:00", ("a.csv",))
    file = StoredFile("a.csv", 5, "0" * 64, etag="x", rows=0, columns=("día", ""), part="")
    one = dataclasses.replace(one, files=(file, StoredFile("b.zip", 5, "0" * 64)))
    assert Manifest.from_bytes(one.to_bytes()) == one
    assert Manifest.from_bytes(one.to_bytes()).to_bytes() == one.to_bytes()
