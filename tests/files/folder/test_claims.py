# SPDX-License-Identifier: Apache-2.0
"""The guard of promise 3 for task instances that work on one folder at the same moment."""

from __future__ import annotations

import json
import threading
import time

import pytest

from airflow_provider_connectif.files.errors import ArchiveCorrupt, FolderConflict
from airflow_provider_connectif.files.folder.claims import CLAIM_DEAD_AFTER, Claim
from airflow_provider_connectif.files.folder.manifest import MANIFEST_NAME
from airflow_provider_connectif.files.stores.resolve import resolve_store
from tests.files.exports import Archive, Member, contents, export, store, writer
from tests.stores import Place

HOUR = 3600.0


def claim_of(place: Place, later: float = 0.0, **changes: object) -> Claim:
    folder = resolve_store(place.fs, place.path)
    return Claim(folder, writer(**changes), clock=lambda: time.time() + later, sleep=lambda seconds: None)


def test_of_eight_mapped_instances_at_one_moment_one_stores_and_seven_fail(place: Place) -> None:
    ready = threading.Barrier(8)
    results: dict[int, object] = {}

    def run(index: int) -> None:
        described, archive = export(index + 1)
        ready.wait(30)
        try:
            results[index] = store(place, described, archive, by=writer(map_index=index), sleep=time.sleep)
        except Exception as error:
            results[index] = error

    threads = [threading.Thread(target=run, args=(index,)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    stored = [index for index, result in results.items() if isinstance(result, dict)]
    assert len(stored) == 1, results
    assert all(isinstance(results[index], FolderConflict) for index in range(8) if index != stored[0]), results
    assert all("{export_id}" in str(results[index]) for index in range(8) if index != stored[0])
    files = contents(export(stored[0] + 1)[1])
    assert place.names() == {*files, MANIFEST_NAME}
    assert {name: place.read(name) for name in files} == files


def test_a_claim_of_the_same_task_instance_is_no_obstacle(place: Place) -> None:
    claim_of(place, map_index=2).take()
    claim_of(place, map_index=2).take()


def test_a_claim_of_another_instance_of_the_run_refuses_with_its_name_and_the_mend(place: Place) -> None:
    claim_of(place, map_index=2).take()
    with pytest.raises(FolderConflict, match=r"Task store\[2\] of the same run .* put \{export_id\}"):
        claim_of(place, map_index=3).take()
    claim_of(place, map_index=2).confirm()


def test_a_claim_of_another_run_is_no_obstacle(place: Place) -> None:
    claim_of(place, map_index=2).take()
    claim_of(place, run_id="tuesday", map_index=3).take()


def test_a_claim_that_was_given_back_is_no_obstacle(place: Place) -> None:
    first = claim_of(place, map_index=2)
    first.take()
    first.release()
    claim_of(place, map_index=3).take()


def test_a_claim_of_a_process_dead_for_a_day_is_no_obstacle(place: Place) -> None:
    claim_of(place, map_index=2).take()
    claim_of(place, map_index=3, later=CLAIM_DEAD_AFTER + HOUR).take()


def test_a_claim_is_given_back_when_the_task_fails(place: Place) -> None:
    with pytest.raises(ArchiveCorrupt):
        store(place, {"id": "1"}, Archive(Member("a.csv", b"1", ArchiveCorrupt("broken"))))
    assert place.names() == set()


def test_where_claims_are_ordered_by_time_the_earlier_wins_even_when_both_have_been_written(
    s3_store: Place,
) -> None:
    first, second = claim_of(s3_store, map_index=7), claim_of(s3_store, map_index=3)
    first.take()
    time.sleep(1.1)
    s3_store.write(second._name, json.dumps({"writer": writer(map_index=3)}).encode())
    first.confirm()
    with pytest.raises(FolderConflict):
        second.confirm()
    assert s3_store.names() == {first._name}


def test_a_claim_is_good_only_when_it_has_stood_longer_than_the_stores_clock_ticks(s3_store: Place) -> None:
    slept: list[float] = []
    folder = resolve_store(s3_store.fs, s3_store.path)
    claim = Claim(folder, writer(), clock=lambda: 1_800_000_000.0, sleep=slept.append)
    claim.take()
    claim.confirm()
    assert slept == [2.0]


def test_a_note_of_objects_of_another_run_counts_only_when_it_is_old(memory_store: Place) -> None:
    other = claim_of(memory_store, run_id="sunday")
    other.take()
    other.announce([("a.csv", 1)])
    young, old = claim_of(memory_store), claim_of(memory_store, later=2 * HOUR)
    young.take()
    assert young.abandoned == {}
    old.take()
    assert old.abandoned == {"a.csv": 1}


def test_an_abandoned_object_is_deleted_only_if_it_has_the_size_of_the_note(memory_store: Place) -> None:
    other = claim_of(memory_store)
    other.take()
    other.announce([("a.csv", 1), ("b.csv", 1), ("../c.csv", 1), (MANIFEST_NAME, 1)])
    memory_store.write("a.csv", b"1")
    memory_store.write("b.csv", b"of somebody else")
    described, archive = export()
    store(memory_store, described, archive)
    assert memory_store.names() == {*contents(archive), MANIFEST_NAME, "b.csv"}
