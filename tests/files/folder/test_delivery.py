# SPDX-License-Identifier: Apache-2.0
"""Promise 3: a manifest says when a folder is complete, and a run that finds it downloads nothing again."""

from __future__ import annotations

import hashlib
import json
import threading

import pytest

from airflow_provider_connectif.files.errors import (
    ArchiveCorrupt,
    ArchiveUnsupported,
    DestinationError,
    FolderConflict,
    ManifestUnreadable,
    RemoteFileChanged,
)
from airflow_provider_connectif.files.folder import delivery as module
from airflow_provider_connectif.files.folder.manifest import MANIFEST_NAME, Manifest
from airflow_provider_connectif.files.stores.base import Store
from airflow_provider_connectif.files.stores.resolve import resolve_store
from tests.files.exports import MIB, Archive, Member, contents, digests, export, snapshot, store, writer
from tests.stores import Place

pytestmark = pytest.mark.usefixtures("small_parts")


def written(**changes: object) -> bytes:
    """A manifest as it is in a folder, but for the changes."""
    whole = json.loads(Manifest({"id": "1"}, "csv", (), writer(), "2027-01-01T00:00:00+00:00").to_bytes())
    return json.dumps({**whole, **changes}).encode()


def manifest(place: Place) -> dict:
    return json.loads(place.read(MANIFEST_NAME))


def test_the_folder_holds_the_exports_files_and_the_manifest_and_nothing_else(place: Place) -> None:
    described, archive = export()
    store(place, described, archive)
    found = snapshot(place)
    del found[MANIFEST_NAME]
    assert found == contents(archive)
    assert place.unfinished() == 0


def test_the_result_names_the_export_the_folder_each_file_and_the_manifest(place: Place) -> None:
    described, archive = export()
    assert store(place, described, archive) == {
        "export_id": described["id"],
        "destination": place.uri,
        "files": [
            {"path": f"{place.uri}/{name}", "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            for name, data in contents(archive).items()
        ],
        "manifest": f"{place.uri}/{MANIFEST_NAME}",
    }


def test_the_manifest_tells_the_export_the_format_the_files_and_the_writer(memory_store: Place) -> None:
    described, archive = export()
    store(memory_store, described, archive, clock=lambda: 1_800_000_000.0)
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


def test_the_manifest_never_holds_the_address_of_the_exports_file(memory_store: Place) -> None:
    described, archive = export()
    store(memory_store, {**described, "fileUrl": "https://files.example/x?sig=abc"}, archive)
    assert b"example" not in memory_store.read(MANIFEST_NAME)


def test_the_same_export_again_is_not_downloaded_and_has_the_same_result(place: Place) -> None:
    described, archive = export()
    first = store(place, described, archive)
    before = snapshot(place)
    assert store(place, described, archive) == first
    assert archive.opened == 1
    assert snapshot(place) == before


@pytest.mark.parametrize("harm", ["missing", "another size"])
def test_the_same_export_is_downloaded_again_when_a_file_is_not_what_the_manifest_says(place: Place, harm: str) -> None:
    described, archive = export()
    store(place, described, archive)
    if harm == "missing":
        resolve_store(place.fs, place.path).delete(["activities-1.csv"])
    else:
        place.write("activities-1.csv", b"short")
    store(place, described, archive)
    assert archive.opened == 2
    assert place.read("activities-1.csv") == contents(archive)["activities-1.csv"]


@pytest.mark.parametrize("kind", ["s3", "azure", "gcs"])
def test_a_file_overwritten_by_another_of_the_same_size_is_noticed_by_its_etag(
    request: pytest.FixtureRequest, kind: str
) -> None:
    place: Place = request.getfixturevalue(f"{kind}_store")
    described, archive = export()
    store(place, described, archive)
    place.write("activities-1.csv", b"x" * 1000)
    store(place, described, archive)
    assert place.read("activities-1.csv") == contents(archive)["activities-1.csv"]


def test_another_format_of_the_same_export_replaces_it(memory_store: Place) -> None:
    described, archive = export()
    store(memory_store, described, archive)
    zipped = Archive(Member("activities-1.zip", b"PK"))
    store(memory_store, described, zipped, file_format="archive")
    assert memory_store.names() == {"activities-1.zip", MANIFEST_NAME}


def test_a_checksum_that_was_taken_by_the_reading_is_the_manifests(place: Place) -> None:
    member = Member("activities-1.zip", b"PK" * MIB)
    member.sha256 = lambda: "5" * 64
    store(place, {"id": "1"}, Archive(member, Member("other.csv", b"a,b\n")), file_format="archive")
    told = {each["path"]: each["sha256"] for each in manifest(place)["files"]}
    assert told == {"activities-1.zip": "5" * 64, "other.csv": hashlib.sha256(b"a,b\n").hexdigest()}


def test_a_new_export_replaces_what_the_old_manifest_lists_and_only_that(place: Place) -> None:
    place.write("theirs.csv", b"not ours")
    store(place, *export(1))
    second, archive = export(2)
    store(place, second, archive)
    found = snapshot(place)
    assert found.pop("theirs.csv") == b"not ours"
    assert json.loads(found.pop(MANIFEST_NAME))["export"] == second
    assert found == contents(archive)
    assert "replaces" not in manifest(place)


def test_a_new_object_with_the_name_of_an_old_one_takes_its_place(place: Place) -> None:
    store(place, *export(1))
    archive = Archive(Member("activities-1.csv", b"new"))
    store(place, {"id": "2"}, archive)
    assert place.names() == {"activities-1.csv", MANIFEST_NAME}
    assert place.read("activities-1.csv") == b"new"


def test_an_object_that_no_manifest_lists_is_replaced_where_a_new_one_has_its_name(place: Place) -> None:
    place.write("activities-1.csv", b"left by a killed run")
    described, archive = export()
    store(place, described, archive)
    assert place.read("activities-1.csv") == contents(archive)["activities-1.csv"]


def test_the_old_objects_are_deleted_only_after_the_new_manifest_names_them(
    memory_store: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(memory_store, *export(1))
    steps = []
    real_put, real_delete = Store.put, Store.delete

    def put(self: Store, name: str, data: bytes, **kw: bool) -> None:
        if name == MANIFEST_NAME:
            steps.append(("manifest", set(json.loads(data).get("replaces", []))))
            assert {"activities-2.csv", "activities-2-products.csv"} <= memory_store.names()
        real_put(self, name, data, **kw)

    def delete(self: Store, names: list[str]) -> None:
        names = list(names)
        if any(not name.startswith(".") for name in names):
            steps.append(("delete", set(names)))
        real_delete(self, names)

    monkeypatch.setattr(Store, "put", put)
    monkeypatch.setattr(Store, "delete", delete)
    store(memory_store, *export(2))
    old = {"activities-1.csv", "activities-1-products.csv"}
    assert steps == [("manifest", old), ("delete", old), ("manifest", set())]


def test_what_a_killed_run_left_to_be_replaced_is_deleted_by_the_next_though_nothing_is_downloaded(
    place: Place,
) -> None:
    described, archive = export(2)
    store(place, described, archive)
    place.write("activities-1.csv", b"old")
    place.write(MANIFEST_NAME, json.dumps({**manifest(place), "replaces": ["activities-1.csv"]}).encode())
    store(place, described, archive)
    assert archive.opened == 1
    assert "activities-1.csv" not in place.names()
    assert "replaces" not in manifest(place)


def test_skip_leaves_a_whole_export_whichever_and_returns_its_result(memory_store: Place) -> None:
    first = store(memory_store, *export(1))
    described, archive = export(2)
    assert store(memory_store, described, archive, if_exists="skip") == first
    assert archive.opened == 0


def test_skip_stores_where_the_export_there_is_not_whole(memory_store: Place) -> None:
    store(memory_store, *export(1))
    memory_store.write("activities-1.csv", b"short")
    described, archive = export(2)
    store(memory_store, described, archive, if_exists="skip")
    assert set(contents(archive)) | {MANIFEST_NAME} == memory_store.names()


def test_error_refuses_another_export_and_says_what_to_do(memory_store: Place) -> None:
    store(memory_store, *export(1))
    before = snapshot(memory_store)
    described, archive = export(2)
    with pytest.raises(FolderConflict, match="Use if_exists='replace', or another destination") as caught:
        store(memory_store, described, archive, if_exists="error")
    assert caught.value.final
    assert archive.opened == 0
    assert snapshot(memory_store) == before


def test_error_is_fine_with_the_same_export(memory_store: Place) -> None:
    described, archive = export(1)
    first = store(memory_store, described, archive, if_exists="error")
    assert store(memory_store, described, archive, if_exists="error") == first


def test_an_unknown_if_exists_is_refused_with_the_words_that_are_known(memory_store: Place) -> None:
    with pytest.raises(ValueError, match="'replace', 'skip' or 'error', not 'overwrite'"):
        store(memory_store, *export(1), if_exists="overwrite")


@pytest.mark.parametrize("if_exists", ["replace", "skip", "error"])
@pytest.mark.parametrize("other", [{"task_id": "store_too"}, {"map_index": 3}])
def test_another_task_instance_of_the_same_run_fails_and_the_error_names_the_mend(
    memory_store: Place, other: dict, if_exists: str
) -> None:
    store(memory_store, *export(1))
    before = snapshot(memory_store)
    with pytest.raises(FolderConflict, match=r"put \{export_id\}") as caught:
        store(memory_store, *export(2), by=writer(**other), if_exists=if_exists)
    assert caught.value.final
    assert snapshot(memory_store) == before


def test_another_run_may_replace_what_this_one_stored(memory_store: Place) -> None:
    store(memory_store, *export(1))
    store(memory_store, *export(2), by=writer(run_id="tuesday", map_index=3))
    assert "activities-2.csv" in memory_store.names()


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
    ],
)
def test_a_manifest_that_cannot_be_understood_is_an_error_and_nothing_is_touched(
    memory_store: Place, content: bytes
) -> None:
    memory_store.write(MANIFEST_NAME, content)
    described, archive = export()
    with pytest.raises(ManifestUnreadable, match="another destination") as caught:
        store(memory_store, described, archive)
    assert caught.value.final
    assert archive.opened == 0
    assert snapshot(memory_store) == {MANIFEST_NAME: content}


def test_a_manifest_reads_as_it_was_written() -> None:
    one = Manifest({"id": "1", "é": [1]}, "csv", (), writer(), "2027-01-01T00:00:00+00:00", ("a.csv",))
    assert Manifest.from_bytes(one.to_bytes()) == one
    assert Manifest.from_bytes(one.to_bytes()).to_bytes() == one.to_bytes()


@pytest.mark.parametrize("where", ["in the first file", "in the second file", "at the end"])
def test_an_archive_that_turns_out_corrupt_leaves_the_folder_as_it_was(place: Place, where: str) -> None:
    store(place, *export(1))
    before = snapshot(place)
    broken = ArchiveCorrupt("the CRC is wrong")
    archive = Archive(
        Member("a.csv", bytes(5 * MIB // 2), broken if where == "in the first file" else None),
        Member("b.csv", b"b", broken if where == "in the second file" else None),
        error=broken if where == "at the end" else None,
    )
    with pytest.raises(ArchiveCorrupt):
        store(place, {"id": "2"}, archive)
    assert snapshot(place) == before
    assert place.unfinished() == 0


def test_a_file_that_changes_while_it_is_read_is_read_anew_once(memory_store: Place) -> None:
    changed = Archive(Member("a.csv", b"1", RemoteFileChanged("changed")))
    with pytest.raises(RemoteFileChanged):
        store(memory_store, {"id": "1"}, changed)
    assert changed.opened == 2
    good, calls = Archive(Member("a.csv", b"good")), iter([changed, None])
    store(memory_store, {"id": "1"}, lambda: (next(calls) or good)())
    assert memory_store.names() == {"a.csv", MANIFEST_NAME}


@pytest.mark.parametrize("name", [MANIFEST_NAME, ".connectif_claim.x.json", "a.csv"])
def test_two_files_of_one_name_or_with_a_name_of_ours_are_refused(memory_store: Place, name: str) -> None:
    with pytest.raises(ArchiveUnsupported):
        store(memory_store, {"id": "1"}, Archive(Member("a.csv", b"1"), Member(name, b"2")))
    assert memory_store.names() == set()


def test_progress_tells_the_name_the_bytes_so_far_and_the_size(memory_store: Place) -> None:
    told = []
    archive = Archive(Member("a.csv", bytes(2 * MIB + 5)))
    store(memory_store, {"id": "1"}, archive, on_progress=lambda *progress: told.append(progress))
    size = 2 * MIB + 5
    assert told == [("a.csv", MIB, size), ("a.csv", 2 * MIB, size), ("a.csv", size, size)]


def test_two_processes_of_one_task_at_once_both_succeed_and_the_folder_is_whole(strict_place: Place) -> None:
    store(strict_place, *export(1))
    described, archive = export(2, 5 * MIB // 2)
    ready = threading.Barrier(2)
    results: list[object] = []

    def meet() -> object:
        members = archive()
        ready.wait(30)
        return members

    def run() -> None:
        try:
            results.append(store(strict_place, described, meet))
        except Exception as error:
            results.append(error)

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert results[0] == results[1] == store(strict_place, described, archive)
    found = snapshot(strict_place)
    del found[MANIFEST_NAME]
    assert digests(found) == digests(contents(archive))
    assert strict_place.unfinished() == 0


def test_a_process_whose_work_another_has_done_meanwhile_returns_that(memory_store: Place) -> None:
    described, archive = export()

    def overtaken() -> object:
        store(memory_store, described, archive)
        return archive()

    assert store(memory_store, described, overtaken) == store(memory_store, described, archive)
    assert memory_store.names() == {*contents(archive), MANIFEST_NAME}


def test_objects_that_vanish_right_after_they_were_stored_are_an_error(
    memory_store: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = module.write_manifest

    def vandal(folder: Store, written: Manifest) -> None:
        real(folder, written)
        folder.delete(["activities-1.csv"])

    monkeypatch.setattr(module, "write_manifest", vandal)
    with pytest.raises(DestinationError, match="missing in the folder"):
        store(memory_store, *export())
