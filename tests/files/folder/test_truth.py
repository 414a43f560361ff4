# SPDX-License-Identifier: Apache-2.0
"""What belongs to whom: files of others, other spellings, cleared runs, unknown outcomes (promises 3 and 7)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_connectif.files.errors import ArchiveEmpty, DestinationError, FileError, FolderConflict
from airflow_provider_connectif.files.folder import lease_object
from airflow_provider_connectif.files.folder.delivery import deliver, find_delivered
from airflow_provider_connectif.files.folder.manifest import MANIFEST_NAME
from airflow_provider_connectif.files.stores.staged import Staged
from tests.files.exports import (
    Archive,
    Clock,
    Member,
    contents,
    deliver_to,
    export,
    simulated_timing,
    snapshot,
    without_lease,
    writer,
)
from tests.files.folder.simulated import Bucket, Turns
from tests.stores import Place


class Interrupted(BaseException):
    """What ``execution_timeout`` raises: not an ``Exception``."""


@pytest.mark.parametrize("if_exists", ["error", "skip"])
class TestFilesOfOthers:
    def test_are_not_overwritten_and_the_error_contains_the_remedy(self, place: Place, if_exists: str) -> None:
        place.write("activities-1.csv", b"theirs")
        with pytest.raises(FolderConflict, match=r"a file activities-1.csv, .* use if_exists='replace', or") as caught:
            deliver_to(place, *export(1), if_exists=if_exists)
        assert caught.value.final
        assert snapshot(place) == {"activities-1.csv": b"theirs"}
        assert place.unfinished_uploads() == 0

    def test_survive_a_manifest_that_cannot_be_written(
        self, place: Place, if_exists: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        place.write("theirs.csv", b"theirs")
        _fail_to_write_the_manifest(monkeypatch)
        with pytest.raises(DestinationError):
            deliver_to(place, *export(1), if_exists=if_exists)
        assert without_lease(snapshot(place)) == {"theirs.csv": b"theirs"}

    def test_with_another_spelling_are_not_overwritten_where_the_store_ignores_case(self, if_exists: str) -> None:
        bucket = Bucket(etags=False, ignores_case=True)
        bucket.write("Activities-1.CSV", b"theirs")
        with pytest.raises(FolderConflict, match="did not store there"):
            _deliver(bucket, export(1), if_exists=if_exists)
        assert bucket.objects["Activities-1.CSV"][0] == b"theirs"


def test_a_file_of_someone_else_that_was_not_overwritten_yet_survives_a_failure(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.write("activities-1-products.csv", b"theirs")

    _fail_to_publish(monkeypatch)
    with pytest.raises(DestinationError, match="no response"):
        deliver_to(place, *export(1))
    assert without_lease(snapshot(place)) == {"activities-1-products.csv": b"theirs"}


class TestAnotherSpelling:
    def test_of_an_old_name_is_the_new_object_where_the_store_ignores_case(self) -> None:
        bucket = Bucket(etags=False, ignores_case=True)
        _deliver(bucket, ({"id": "1"}, Archive(Member("report.csv", b"old"))))
        _deliver(bucket, ({"id": "2"}, Archive(Member("Report.csv", b"new content"))))
        assert [data for name, (data, _, _) in bucket.objects.items() if name != MANIFEST_NAME] == [b"new content"]
        archive = Archive(Member("Report.csv", b"new content"))
        _deliver(bucket, ({"id": "2"}, archive))
        assert archive.opened == 0

    def test_is_another_object_elsewhere_and_the_old_one_is_deleted(self, place: Place) -> None:
        deliver_to(place, {"id": "1"}, Archive(Member("report.csv", b"old")))
        deliver_to(place, {"id": "2"}, Archive(Member("Report.csv", b"new")))
        assert place.names() == {"Report.csv", MANIFEST_NAME}


@pytest.mark.parametrize("if_exists", ["replace", "skip", "error"])
class TestTheSameRun:
    def test_the_same_export_is_success_for_any_task_instance(self, place: Place, if_exists: str) -> None:
        described, archive = export(1)
        first = deliver_to(place, described, archive, by=writer(map_index=1))
        again = deliver_to(place, described, archive, by=writer(map_index=2), if_exists=if_exists)
        assert again == {**first, "unchanged": True}
        found = find_delivered(
            place.store(),
            uri=place.uri,
            writer=writer(map_index=2),
            export_id=described["id"],
            timing=simulated_timing(),
        )
        assert found == {**first, "unchanged": True}
        assert archive.opened == 1

    def test_after_it_was_cleared_what_other_instances_stored_is_not_a_mistake_of_the_author(
        self, memory_store: Place, if_exists: str
    ) -> None:
        deliver_to(memory_store, *export(1), by=writer(map_index=1, clear_number=0))
        cleared = writer(map_index=2, clear_number=1)
        if if_exists == "error":
            with pytest.raises(FolderConflict, match="The folder holds export"):
                deliver_to(memory_store, *export(2), by=cleared, if_exists=if_exists)
            return
        result = deliver_to(memory_store, *export(2), by=cleared, if_exists=if_exists)
        assert result["export_id"] == export(2 if if_exists == "replace" else 1)[0]["id"]

    def test_before_it_is_cleared_another_export_is(self, memory_store: Place, if_exists: str) -> None:
        deliver_to(memory_store, *export(1), by=writer(map_index=1, clear_number=1))
        with pytest.raises(FolderConflict, match=r"put \{export_id\}"):
            deliver_to(memory_store, *export(2), by=writer(map_index=2, clear_number=1), if_exists=if_exists)


class TestAFolderThatWasEmptyWhenItWasLookedAt:
    """Before the export was created: meanwhile, another task may have stored one."""

    @pytest.mark.parametrize("if_exists", ["replace", "skip", "error"])
    def test_and_holds_the_same_export_is_left_as_it_is(self, place: Place, if_exists: str) -> None:
        first = deliver_to(place, *export(1), by=writer(run_id="sunday"))
        before = snapshot(place)
        assert deliver_to(place, *export(1), if_exists=if_exists, look_first=False) == {**first, "unchanged": True}
        assert snapshot(place) == before
        assert place.unfinished_uploads() == 0

    def test_and_holds_another_export_is_not_replaced_unless_that_is_wanted(self, place: Place) -> None:
        first = deliver_to(place, *export(1), by=writer(run_id="sunday"))
        before = snapshot(place)
        assert deliver_to(place, *export(2), if_exists="skip", look_first=False) == {**first, "unchanged": True}
        with pytest.raises(FolderConflict, match="if_exists is 'error'"):
            deliver_to(place, *export(2), if_exists="error", look_first=False)
        with pytest.raises(FolderConflict, match="of the same run"):
            deliver_to(place, *export(2), by=writer(run_id="sunday", map_index=1), look_first=False)
        assert snapshot(place) == before
        assert deliver_to(place, *export(2), look_first=False)["export_id"] == export(2)[0]["id"]
        assert place.names() == {*contents(export(2)[1]), MANIFEST_NAME}


def test_an_archive_without_files_replaces_nothing_and_may_be_retried(place: Place) -> None:
    deliver_to(place, *export(1))
    before = snapshot(place)
    with pytest.raises(ArchiveEmpty, match="contains no files, so nothing was stored or replaced") as caught:
        deliver_to(place, {"id": "2"}, Archive())
    assert not caught.value.final
    assert snapshot(place) == before


class TestUnknownOutcomes:
    @pytest.mark.parametrize("error", [DestinationError("no response"), Interrupted()], ids=["failure", "interrupt"])
    def test_an_object_that_was_published_although_an_error_was_raised_is_deleted_again(
        self, place: Place, monkeypatch: pytest.MonkeyPatch, error: BaseException
    ) -> None:
        deliver_to(place, *export(1))
        before = snapshot(place)
        real = Staged.publish

        def publish(self: Staged) -> None:
            real(self)
            if self.name == "activities-2-products.csv":
                self._state = "unknown"
                raise error

        with monkeypatch.context() as patch:
            patch.setattr(Staged, "publish", publish)
            with pytest.raises(type(error)):
                deliver_to(place, *export(2))
        assert without_lease(snapshot(place)) == before
        deliver_to(place, *export(2), by=writer(run_id="tuesday"))
        assert place.names() == {*contents(export(2)[1]), MANIFEST_NAME}

    def test_an_object_that_becomes_visible_after_the_task_has_failed_is_deleted_by_the_next_run(
        self, place: Place, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        deliver_to(place, *export(1))

        with monkeypatch.context() as patch:
            _fail_to_publish(patch)
            with pytest.raises(DestinationError):
                deliver_to(place, *export(2))
        place.write("activities-2.csv", contents(export(2)[1])["activities-2.csv"])
        archive = export(1)[1]
        deliver_to(place, export(1)[0], archive, by=writer(run_id="tuesday"))
        assert archive.opened == 0
        assert place.names() == {*contents(archive), MANIFEST_NAME}


@pytest.mark.parametrize("seed", range(40))
def test_a_writer_that_is_suspended_until_it_seems_dead_leaves_nothing_behind(seed: int) -> None:
    """Not where the store ignores conditions."""
    turns = Turns(seed)
    bucket = Bucket(clock=turns.clock)
    names = ["own", "own"]

    def run(number: int) -> Any:
        def hook(request: str, perform: Callable[[], Any]) -> Any:
            if number == 1 and turns.random.random() < 0.15:
                turns.sleep(200)
            return turns.hook(request, perform)

        return _deliver(bucket, export(number), by=writer(run_id=f"run {number}"), hook=hook, timing=turns.timing())

    results = turns.run([lambda number=number: run(number) for number in range(1, len(names) + 1)])
    assert all(isinstance(result, (dict, FileError)) for result in results.values()), results
    # One more run, which may have nothing to store.
    _deliver(bucket, export(3), by=writer(run_id="last"), timing=turns.timing())
    assert bucket.names() == {*contents(export(3)[1]), MANIFEST_NAME}, turns.log


def test_the_manifest_is_not_overwritten_if_something_else_has_changed_it(monkeypatch: pytest.MonkeyPatch) -> None:
    bucket = Bucket()
    _deliver(bucket, export(1))

    def hook(request: str, perform: Callable[[], Any]) -> Any:
        if request == "PUBLISH activities-2.csv":
            bucket.write(MANIFEST_NAME, json.dumps({"not": "ours"}).encode())
        return perform()

    with pytest.raises(FileError) as caught:
        _deliver(bucket, export(2), hook=hook)
    assert "manifest" in str(caught.value)
    assert bucket.objects[MANIFEST_NAME][0] == b'{"not": "ours"}'


def _fail_to_publish(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the publication of an export's files fail, with an unknown outcome."""
    real = Staged.publish

    def publish(self: Staged) -> None:
        if not self.name.endswith(".csv"):  # in a local folder, the lease is staged too
            return real(self)
        self.discard()
        self._state = "unknown"
        raise DestinationError("no response")

    monkeypatch.setattr(Staged, "publish", publish)


def _fail_to_write_the_manifest(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow_provider_connectif.files.stores.base import Store

    real = Store.put

    def put(self: Store, name: str, data: bytes, **conditions: Any) -> str | None:
        if name == MANIFEST_NAME:
            raise DestinationError("the store fails")
        return real(self, name, data, **conditions)

    monkeypatch.setattr(Store, "put", put)


def _deliver(bucket: Bucket, described: tuple[dict[str, Any], Archive], **arguments: Any) -> dict[str, Any]:
    if "timing" not in arguments:
        assert isinstance(bucket.clock, Clock)
        arguments["timing"] = simulated_timing()
    arguments.setdefault("by", writer())
    return deliver(
        described[1],
        bucket.store(arguments.pop("hook", None)),
        uri="file:///lake",
        export=described[0],
        file_format="csv",
        writer=arguments.pop("by"),
        **arguments,
    )


def test_the_lease_has_a_name_that_no_file_of_an_export_gets() -> None:
    from airflow_provider_connectif.files.object_names import is_reserved_name

    assert is_reserved_name(lease_object.NAME)
