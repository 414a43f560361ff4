# SPDX-License-Identifier: Apache-2.0
"""Claims keep two task instances of one run from writing to one folder (promise 3)."""

from __future__ import annotations

import json
import threading
import time

import pytest

from airflow_provider_connectif.files.errors import ArchiveCorrupt, FolderConflict
from airflow_provider_connectif.files.folder.claims import EXPIRES_AFTER, SETTLE_SECONDS, Claim
from airflow_provider_connectif.files.folder.manifest import MANIFEST_NAME
from tests.files.exports import Archive, Member, contents, deliver_to, export, writer
from tests.stores import Place

MINUTE = 60.0


def claim_of(place: Place, later: float = 0.0, **changes: object) -> Claim:
    """Return a claim whose clock shows the store's own time, plus some seconds."""
    return Claim(place.store(), writer(**changes), clock=place.clock(later), sleep=lambda seconds: None)


def test_of_eight_concurrent_mapped_instances_one_stores_its_export_and_seven_fail(place: Place) -> None:
    ready = threading.Barrier(8)
    results: dict[int, object] = {}

    def run(index: int) -> None:
        described, archive = export(index + 1)
        ready.wait(30)
        try:
            results[index] = deliver_to(place, described, archive, by=writer(map_index=index), sleep=time.sleep)
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


def test_a_claim_of_the_same_task_instance_does_not_block(place: Place) -> None:
    claim_of(place, map_index=2).acquire()
    claim_of(place, map_index=2).acquire()


def test_a_claim_of_another_instance_of_the_run_fails_with_its_name_and_the_remedy(place: Place) -> None:
    claim_of(place, map_index=2).acquire()
    with pytest.raises(FolderConflict, match=r"Task store\[2\] of the same run .* put \{export_id\}"):
        claim_of(place, map_index=3).acquire()
    claim_of(place, map_index=2).confirm()


def test_a_claim_of_another_run_does_not_block(place: Place) -> None:
    claim_of(place, map_index=2).acquire()
    claim_of(place, run_id="tuesday", map_index=3).acquire()


def test_a_released_claim_does_not_block(place: Place) -> None:
    first = claim_of(place, map_index=2)
    first.acquire()
    first.release()
    claim_of(place, map_index=3).acquire()


def test_a_claim_does_not_block_after_a_day(place: Place) -> None:
    claim_of(place, map_index=2).acquire()
    with pytest.raises(FolderConflict):
        claim_of(place, map_index=3, later=EXPIRES_AFTER - MINUTE).acquire()
    claim_of(place, map_index=3, later=EXPIRES_AFTER + MINUTE).acquire()


def test_expired_claims_of_other_runs_are_deleted_with_the_own_claim(place: Place) -> None:
    claim_of(place, run_id="sunday").acquire()
    claim = claim_of(place, later=EXPIRES_AFTER + MINUTE)
    claim.acquire()
    claim.release()
    assert place.names() == set()


def test_a_claim_is_released_when_the_task_fails(place: Place) -> None:
    with pytest.raises(ArchiveCorrupt):
        deliver_to(place, {"id": "1"}, Archive(Member("a.csv", b"1", ArchiveCorrupt("broken"))))
    assert place.names() == set()


def test_where_claims_are_ordered_by_time_the_earlier_one_wins_even_if_both_exist(s3_store: Place) -> None:
    first, second = claim_of(s3_store, map_index=7), claim_of(s3_store, map_index=3)
    first.acquire()
    acquired_at = s3_store.clock()()
    while s3_store.clock()() == acquired_at:  # until the store's clock has ticked
        s3_store.write(second.name, json.dumps({"writer": writer(map_index=3)}).encode())
    first.confirm()
    with pytest.raises(FolderConflict):
        second.confirm()
    assert s3_store.names() == {first.name}


def test_a_claim_counts_only_after_more_than_a_tick_of_the_stores_clock(s3_store: Place) -> None:
    slept: list[float] = []
    claim = Claim(s3_store.store(), writer(), clock=lambda: 1_800_000_000.0, sleep=slept.append)
    claim.acquire()
    claim.confirm()
    assert slept == [2.0]
    assert SETTLE_SECONDS == 2.0
