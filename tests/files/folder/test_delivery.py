# SPDX-License-Identifier: Apache-2.0
"""Delivery of exports to a folder: what is replaced, kept and rejected (promise 3)."""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
from typing import Any

import pytest

from airflow_provider_connectif.files.errors import (
    ArchiveCorrupt,
    ArchiveUnsupported,
    DestinationError,
    FolderConflict,
    RemoteFileChanged,
)
from airflow_provider_connectif.files.folder.manifest import MANIFEST_NAME
from airflow_provider_connectif.files.stores.base import Store
from airflow_provider_connectif.files.stores.staged import Staged
from airflow_provider_connectif.files.tables.contents import Contents
from airflow_provider_connectif.files.tables.errors import SchemaChanged
from tests.files.exports import (
    MIB,
    Archive,
    Member,
    contents,
    deliver_to,
    digests,
    export,
    impatient_timing,
    snapshot,
    writer,
)
from tests.stores import Place

pytestmark = pytest.mark.usefixtures("small_parts")


def manifest(place: Place) -> dict:
    return json.loads(place.read(MANIFEST_NAME))


def test_the_folder_holds_the_files_of_the_export_and_the_manifest_and_nothing_else(place: Place) -> None:
    described, archive = export()
    deliver_to(place, described, archive)
    found = snapshot(place)
    del found[MANIFEST_NAME]
    assert found == contents(archive)
    assert place.unfinished_uploads() == 0


def test_the_result_contains_the_export_the_folder_each_file_and_the_manifest(place: Place) -> None:
    described, archive = export()
    assert deliver_to(place, described, archive) == {
        "export_id": described["id"],
        "destination": place.uri,
        "files": [
            {
                "path": f"{place.uri}/{name}",
                "bytes": len(data),
                "sha256": hashlib.sha256(data).hexdigest(),
                "rows": None,
                "columns": None,
                "part": None,
            }
            for name, data in contents(archive).items()
        ],
        "manifest": f"{place.uri}/{MANIFEST_NAME}",
        "unchanged": False,
        "schema_changes": [],
    }


def test_rows_columns_and_part_are_in_the_manifest_and_the_result_of_each_later_run(place: Place) -> None:
    described, archive = export()
    for member, rows in zip(archive.members, (12, None), strict=True):
        member.contents = Contents(rows, ("id", "día") if rows else None)
    first = deliver_to(place, described, archive)
    assert [(file["rows"], file["columns"], file["part"]) for file in first["files"]] == [
        (12, ["id", "día"], ""),
        (None, None, "products"),
    ]
    files = manifest(place)["files"]
    assert (files[0]["rows"], files[0]["columns"], files[0]["part"]) == (12, ["id", "día"], "")
    assert "rows" not in files[1]
    assert deliver_to(place, described, archive) == first
    assert deliver_to(place, {"id": "other"}, archive, if_exists="skip") == first
    assert archive.opened == 1


def test_a_manifest_without_rows_and_columns_stays_valid(memory_store: Place) -> None:
    described, archive = export()
    for member in archive.members:
        member.contents = Contents(1, ("id",))
    deliver_to(memory_store, described, archive)
    content = manifest(memory_store)
    for file in content["files"]:
        for name in ("rows", "columns", "part"):
            del file[name]
    memory_store.write(MANIFEST_NAME, json.dumps(content).encode())
    result = deliver_to(memory_store, described, archive)
    assert [(file["rows"], file["columns"], file["part"]) for file in result["files"]] == [(None, None, None)] * 2
    assert archive.opened == 1


def test_the_same_export_is_not_downloaded_again_and_has_the_same_result(place: Place) -> None:
    described, archive = export()
    first = deliver_to(place, described, archive)
    before = snapshot(place)
    assert deliver_to(place, described, archive) == first
    assert archive.opened == 1
    assert snapshot(place) == before


@pytest.mark.parametrize("harm", ["missing", "another size"])
def test_the_same_export_is_downloaded_again_if_a_file_differs_from_the_manifest(place: Place, harm: str) -> None:
    described, archive = export()
    deliver_to(place, described, archive)
    if harm == "missing":
        place.store().delete("activities-1.csv")
    else:
        place.write("activities-1.csv", b"short")
    deliver_to(place, described, archive)
    assert archive.opened == 2
    assert place.read("activities-1.csv") == contents(archive)["activities-1.csv"]


def test_another_format_of_the_same_export_replaces_it(memory_store: Place) -> None:
    described, archive = export()
    deliver_to(memory_store, described, archive)
    zipped = Archive(Member("activities-1.zip", b"PK"))
    deliver_to(memory_store, described, zipped, file_format="archive")
    assert memory_store.names() == {"activities-1.zip", MANIFEST_NAME}


def test_a_new_export_replaces_the_objects_of_the_old_manifest_and_no_others(place: Place) -> None:
    place.write("theirs.csv", b"not ours")
    deliver_to(place, *export(1))
    second, archive = export(2)
    deliver_to(place, second, archive)
    found = snapshot(place)
    assert found.pop("theirs.csv") == b"not ours"
    assert json.loads(found.pop(MANIFEST_NAME))["export"] == second
    assert found == contents(archive)
    assert "replaces" not in manifest(place)


def test_a_new_object_replaces_an_old_one_of_the_same_name(place: Place) -> None:
    deliver_to(place, *export(1))
    archive = Archive(Member("activities-1.csv", b"new"))
    deliver_to(place, {"id": "2"}, archive)
    assert place.names() == {"activities-1.csv", MANIFEST_NAME}
    assert place.read("activities-1.csv") == b"new"


def test_an_object_that_no_manifest_lists_is_replaced_if_a_new_one_has_its_name(place: Place) -> None:
    place.write("activities-1.csv", b"left by a killed run")
    described, archive = export()
    deliver_to(place, described, archive)
    assert place.read("activities-1.csv") == contents(archive)["activities-1.csv"]


def test_old_objects_are_deleted_only_after_the_new_manifest_lists_them(
    memory_store: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver_to(memory_store, *export(1))
    steps = []
    real_put, real_delete = Store.put, Store.delete

    def put(self: Store, name: str, data: bytes, **kw: Any) -> str | None:
        if name == MANIFEST_NAME:
            steps.append(("manifest", set(json.loads(data).get("replaces", []))))
            assert {"activities-2.csv", "activities-2-products.csv"} <= memory_store.names()
        return real_put(self, name, data, **kw)

    def delete(self: Store, name: str) -> None:
        if not name.startswith("."):
            steps.append(("delete", {name}))
        real_delete(self, name)

    monkeypatch.setattr(Store, "put", put)
    monkeypatch.setattr(Store, "delete", delete)
    deliver_to(memory_store, *export(2))
    old = {"activities-1.csv", "activities-1-products.csv"}
    assert [step for step, _ in steps] == ["manifest", "delete", "delete", "manifest"]
    assert steps[0][1] == steps[1][1] | steps[2][1] == old
    assert steps[3][1] == set()


def test_objects_that_a_killed_run_did_not_delete_are_deleted_by_the_next_even_without_a_download(
    place: Place,
) -> None:
    described, archive = export(2)
    deliver_to(place, described, archive)
    place.write("activities-1.csv", b"old")
    place.write(MANIFEST_NAME, json.dumps({**manifest(place), "replaces": ["activities-1.csv"]}).encode())
    deliver_to(place, described, archive)
    assert archive.opened == 1
    assert "activities-1.csv" not in place.names()
    assert "replaces" not in manifest(place)


def test_skip_keeps_any_complete_export_and_returns_its_result(memory_store: Place) -> None:
    first = deliver_to(memory_store, *export(1))
    described, archive = export(2)
    assert deliver_to(memory_store, described, archive, if_exists="skip") == first
    assert archive.opened == 0


def test_skip_stores_the_export_if_the_one_in_the_folder_is_incomplete(memory_store: Place) -> None:
    deliver_to(memory_store, *export(1))
    memory_store.write("activities-1.csv", b"short")
    described, archive = export(2)
    deliver_to(memory_store, described, archive, if_exists="skip")
    assert set(contents(archive)) | {MANIFEST_NAME} == memory_store.names()


def test_error_rejects_another_export_and_says_what_to_do(memory_store: Place) -> None:
    deliver_to(memory_store, *export(1))
    before = snapshot(memory_store)
    described, archive = export(2)
    with pytest.raises(FolderConflict, match="Use if_exists='replace', or another destination") as caught:
        deliver_to(memory_store, described, archive, if_exists="error")
    assert caught.value.final
    assert archive.opened == 0
    assert snapshot(memory_store) == before


def test_error_accepts_the_same_export(memory_store: Place) -> None:
    described, archive = export(1)
    first = deliver_to(memory_store, described, archive, if_exists="error")
    assert deliver_to(memory_store, described, archive, if_exists="error") == first


@pytest.mark.parametrize("if_exists", ["replace", "skip", "error"])
@pytest.mark.parametrize("other", [{"task_id": "store_too"}, {"map_index": 3}])
def test_another_task_instance_of_the_same_run_fails_and_the_error_contains_the_remedy(
    memory_store: Place, other: dict, if_exists: str
) -> None:
    deliver_to(memory_store, *export(1))
    before = snapshot(memory_store)
    with pytest.raises(FolderConflict, match=r"put \{export_id\}") as caught:
        deliver_to(memory_store, *export(2), by=writer(**other), if_exists=if_exists)
    assert caught.value.final
    assert snapshot(memory_store) == before


def test_another_run_may_replace_what_this_one_stored(memory_store: Place) -> None:
    deliver_to(memory_store, *export(1))
    deliver_to(memory_store, *export(2), by=writer(run_id="tuesday", map_index=3))
    assert "activities-2.csv" in memory_store.names()


@pytest.mark.parametrize("where", ["in the first file", "in the second file", "at the end"])
def test_a_corrupt_archive_leaves_the_folder_unchanged(place: Place, where: str) -> None:
    deliver_to(place, *export(1))
    before = snapshot(place)
    broken = ArchiveCorrupt("the CRC is wrong")
    archive = Archive(
        Member("a.csv", bytes(5 * MIB // 2), broken if where == "in the first file" else None),
        Member("b.csv", b"b", broken if where == "in the second file" else None),
        error=broken if where == "at the end" else None,
    )
    with pytest.raises(ArchiveCorrupt):
        deliver_to(place, {"id": "2"}, archive)
    assert snapshot(place) == before
    assert place.unfinished_uploads() == 0


def test_a_refusal_of_the_columns_leaves_the_folder_unchanged_and_free(place: Place) -> None:
    def refuse(described: Any, columns: Any) -> list[Any]:
        assert (described["id"], columns) == (f"{2:024x}", {"": ("id", "día")})
        raise SchemaChanged("added 'día'")

    deliver_to(place, *export(1))
    before = snapshot(place)
    described, archive = export(2)
    archive.members[0].contents = Contents(1, ("id", "día"))
    with pytest.raises(SchemaChanged):
        deliver_to(place, described, archive, check_columns=refuse, by=writer(run_id="tuesday"))
    assert snapshot(place) == before
    assert place.unfinished_uploads() == 0
    result = deliver_to(place, described, archive, check_columns=lambda *_: [], by=writer(run_id="wednesday"))
    assert result["export_id"] == described["id"]


def test_the_columns_are_compared_before_anything_is_visible_and_in_each_later_run(place: Place) -> None:
    seen: list[Any] = []

    def compare(described: Any, columns: Any) -> list[Any]:
        seen.append((described["id"], columns, MANIFEST_NAME in place.names()))
        return [{"part": "", "added": ["día"]}]

    described, archive = export()
    archive.members[0].contents = Contents(1, ("id", "día"))
    for _ in range(2):
        result = deliver_to(place, described, archive, check_columns=compare)
        assert result["schema_changes"] == [{"part": "", "added": ["día"]}]
    assert seen == [(described["id"], {"": ("id", "día")}, visible) for visible in (False, True, True)]


def test_a_file_that_changes_while_it_is_read_is_read_again_once(memory_store: Place) -> None:
    changed = Archive(Member("a.csv", b"1", RemoteFileChanged("changed")))
    with pytest.raises(RemoteFileChanged):
        deliver_to(memory_store, {"id": "1"}, changed)
    assert changed.opened == 2
    good, calls = Archive(Member("a.csv", b"good")), iter([changed, None])
    deliver_to(memory_store, {"id": "1"}, lambda: (next(calls) or good)())
    assert memory_store.names() == {"a.csv", MANIFEST_NAME}


@pytest.mark.parametrize("name", [MANIFEST_NAME, ".connectif_claim.x.json", "a.csv"])
def test_duplicate_and_reserved_file_names_are_rejected(memory_store: Place, name: str) -> None:
    with pytest.raises(ArchiveUnsupported):
        deliver_to(memory_store, {"id": "1"}, Archive(Member("a.csv", b"1"), Member(name, b"2")))
    assert memory_store.names() == set()


def test_progress_reports_the_name_the_bytes_so_far_and_the_size(memory_store: Place) -> None:
    reported = []
    archive = Archive(Member("a.csv", bytes(2 * MIB + 5)))
    deliver_to(memory_store, {"id": "1"}, archive, on_progress=lambda *progress: reported.append(progress))
    size = 2 * MIB + 5
    assert reported == [("a.csv", MIB, size), ("a.csv", 2 * MIB, size), ("a.csv", size, size)]


@pytest.mark.slow
def test_two_concurrent_processes_of_one_task_both_succeed_and_the_folder_is_complete(strict_place: Place) -> None:
    deliver_to(strict_place, *export(1))
    described, archive = export(2, 5 * MIB // 2)
    ready = threading.Barrier(2)
    results: list[object] = []

    def meet() -> object:
        members = archive()
        # Where the store decides nothing, the second one may wait before it opens the archive.
        with contextlib.suppress(threading.BrokenBarrierError):
            ready.wait(2)
        return members

    def run() -> None:
        try:
            results.append(deliver_to(strict_place, described, meet, timing=impatient_timing(strict_place)))
        except Exception as error:
            results.append(error)

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert results[0] == results[1] == deliver_to(strict_place, described, archive)
    found = snapshot(strict_place)
    del found[MANIFEST_NAME]
    assert digests(found) == digests(contents(archive))
    assert strict_place.unfinished_uploads() == 0


def test_a_process_returns_the_result_of_another_one_that_finished_first(memory_store: Place) -> None:
    described, archive = export()

    def overtaken() -> object:
        deliver_to(memory_store, described, archive)
        return archive()

    assert deliver_to(memory_store, described, overtaken) == deliver_to(memory_store, described, archive)
    assert memory_store.names() == {*contents(archive), MANIFEST_NAME}


def test_objects_that_disappear_right_after_they_were_published_are_an_error_before_anything_old_is_deleted(
    memory_store: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver_to(memory_store, *export(1))
    before = snapshot(memory_store)
    real = Staged.publish

    def vandal(self: Staged) -> None:
        real(self)
        if self.name == "activities-2.csv":
            memory_store.store().delete(self.name)

    monkeypatch.setattr(Staged, "publish", vandal)
    with pytest.raises(DestinationError, match="missing in the folder"):
        deliver_to(memory_store, *export(2))
    assert snapshot(memory_store) == before
