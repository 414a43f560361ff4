# SPDX-License-Identifier: Apache-2.0
"""The lease: one writer holds a folder, others wait, and a dead holder is recognised (promise 3)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from airflow_provider_connectif.files.errors import (
    ArchiveCorrupt,
    DestinationError,
    FolderBusy,
    FolderConflict,
    FolderTaken,
)
from airflow_provider_connectif.files.folder import lease_object
from airflow_provider_connectif.files.folder.lease import Lease, Timing
from airflow_provider_connectif.files.folder.leases import create_lease
from airflow_provider_connectif.files.folder.manifest import MANIFEST_NAME
from airflow_provider_connectif.files.folder.notes import Announced
from tests.faults import Faults
from tests.files.exports import Archive, Clock, Member, contents, deliver_to, export, impatient_timing, writer
from tests.files.folder.simulated import Bucket, FailsAt, Hook
from tests.stores import Place

MINUTE = 60.0
NOTE = {"a.csv": Announced((3,), None)}


def lease_of(
    bucket: Bucket,
    hook: Hook | None = None,
    *,
    export_id: str = "1",
    wait_seconds: float = 15 * MINUTE,
    **changes: object,
) -> Lease:
    clock = bucket.clock
    assert isinstance(clock, Clock)
    timing = Timing(wait_seconds=wait_seconds, monotonic=clock, sleep=clock.sleep)
    return create_lease(bucket.store(hook), writer(**changes), {"id": export_id}, timing)


def held_by(bucket: Bucket, **changes: object) -> Lease:
    lease = lease_of(bucket, **changes)
    lease.acquire()
    lease._ended.set()  # the process is dead from here on: nothing renews the lease
    return lease


@pytest.fixture(params=[True, False], ids=["conditions", "no conditions"])
def bucket(request: pytest.FixtureRequest) -> Bucket:
    return Bucket(conditional=request.param)


def passed(bucket: Bucket, call: Callable[[], object]) -> float:
    """Return how long a call takes, on the simulated clock."""
    before = bucket.clock()
    call()
    return bucket.clock() - before


def test_a_free_folder_is_held_at_once(bucket: Bucket) -> None:
    assert passed(bucket, lambda: held_by(bucket)) == 0


def test_the_lease_is_gone_after_its_release_and_the_folder_is_free(bucket: Bucket) -> None:
    assert held_by(bucket).release({})
    assert bucket.names() == set()
    assert passed(bucket, lambda: held_by(bucket, run_id="tuesday")) == 0


def test_a_dead_holder_is_recognised_after_90_seconds_without_a_change(bucket: Bucket) -> None:
    held_by(bucket)
    bucket.clock.sleep(2)  # type: ignore[attr-defined]
    assert 90 <= passed(bucket, lambda: held_by(bucket, run_id="tuesday")) <= 100


def test_a_holder_that_renews_its_lease_is_waited_for_15_minutes_and_then_named(bucket: Bucket) -> None:
    holder = held_by(bucket, map_index=3)
    waiting = lease_of(bucket, run_id="tuesday")
    clock = bucket.clock
    assert isinstance(clock, Clock)

    def sleep(seconds: float) -> None:
        clock.sleep(seconds)
        holder.confirm()

    clock.sleep(2)
    waiting._timing = Timing(monotonic=clock, sleep=sleep)
    before = clock.now
    with pytest.raises(
        FolderBusy, match=r"task store\[3\] of DAG lake \(run monday\) is still storing export 1"
    ) as caught:
        waiting.acquire()
    assert not caught.value.final
    assert clock.now - before == 15 * MINUTE
    assert "after 15 minutes" in str(caught.value)
    assert "storing export 1 in it" in str(caught.value)
    # Nothing remains of the one that waited.
    assert len(bucket.names()) == 1


def test_the_same_task_instance_takes_over_at_once_and_the_former_holder_finds_out(bucket: Bucket) -> None:
    first = held_by(bucket)
    first.announce(NOTE)
    second = lease_of(bucket)
    assert passed(bucket, lambda: second.acquire()) == 0
    assert second.note == NOTE
    assert second.took_over
    bucket.clock.sleep(MINUTE)  # type: ignore[attr-defined]
    with pytest.raises(FolderTaken, match="taken over by") as caught:
        first.check()
    assert not caught.value.final
    assert first.release({}) is False
    assert second.release({}) is True


def test_a_lease_that_expired_and_is_gone_was_taken_over_by_a_writer_that_has_ended(bucket: Bucket) -> None:
    first = held_by(bucket)
    bucket.clock.sleep(2)  # type: ignore[attr-defined]
    assert held_by(bucket, run_id="tuesday").release({})
    assert bucket.names() == set()
    assert first.release({}) is False
    assert first.is_lost()


def test_a_writer_that_lost_its_lease_can_acquire_it_again(bucket: Bucket) -> None:
    first = held_by(bucket)
    bucket.clock.sleep(2)  # type: ignore[attr-defined]
    second = held_by(bucket, run_id="tuesday")
    assert first.is_lost()
    assert second.release({})
    assert passed(bucket, lambda: first.acquire(take_over=False)) < 5
    assert not first.is_lost()
    assert first.release({})
    assert bucket.names() == set()


def test_a_released_lease_is_taken_over_at_once_with_its_note(bucket: Bucket) -> None:
    held_by(bucket).release(NOTE)
    second = lease_of(bucket, dag_id="warehouse")
    assert passed(bucket, lambda: second.acquire()) == 0
    assert second.note == NOTE


def test_the_note_survives_until_the_one_who_took_over_replaces_it(bucket: Bucket) -> None:
    held_by(bucket).release(NOTE)
    held_by(bucket, run_id="tuesday")
    third = lease_of(bucket, run_id="tuesday")
    third.acquire()
    assert third.note == NOTE


def test_a_lease_is_confirmed_before_a_step_if_it_was_not_renewed_for_a_minute(bucket: Bucket) -> None:
    requests: list[str] = []
    lease = lease_of(bucket, lambda request, perform: (requests.append(request), perform())[1])
    lease.acquire()
    requests.clear()
    bucket.clock.sleep(MINUTE - 1)  # type: ignore[attr-defined]
    lease.check()
    assert requests == []
    bucket.clock.sleep(1)  # type: ignore[attr-defined]
    lease.check()
    assert any(request.startswith("PUT") for request in requests)


def test_a_lease_is_renewed_in_the_background() -> None:
    bucket = Bucket()
    renewed = threading.Event()

    def hook(request: str, perform: Callable[[], object]) -> object:
        if threading.current_thread() is not threading.main_thread():
            renewed.set()
        return perform()

    lease = create_lease(bucket.store(hook), writer(), {}, Timing(expire_seconds=0.04))
    lease.acquire()
    assert renewed.wait(30)
    assert lease.release({})
    assert bucket.names() == set()


def test_a_task_instance_of_the_same_run_that_stores_another_export_is_not_waited_for(bucket: Bucket) -> None:
    held_by(bucket, map_index=3)
    bucket.clock.sleep(2)  # type: ignore[attr-defined]

    def acquire() -> None:
        with pytest.raises(FolderConflict, match=r"Task store\[3\] of the same run"):
            lease_of(bucket, map_index=4, export_id="2").acquire()

    assert passed(bucket, acquire) == 0
    assert len(bucket.names()) == 1


def test_an_unreadable_lease_is_that_of_an_unknown_writer_who_may_be_alive() -> None:
    bucket = Bucket()
    bucket.write(".connectif_lease.json", b"{}")
    assert 90 <= passed(bucket, lambda: held_by(bucket)) <= 100


@pytest.mark.parametrize("nth", [1, 2, 3])
def test_a_lost_response_to_a_write_of_the_lease_does_not_make_it_another_ones(nth: int) -> None:
    """The client library repeats the request, which is then refused."""
    bucket = Bucket()
    count = 0

    def repeat(request: str, perform: Callable[[], object]) -> object:
        nonlocal count
        count += request.startswith(("PUT", "DELETE"))
        if count == nth and request.startswith(("PUT", "DELETE")):
            perform()
        return perform()

    lease = lease_of(bucket, repeat)
    lease.acquire()
    lease.announce(NOTE)
    assert lease.release({})
    assert bucket.names() == set()


def test_a_lease_whose_renewal_failed_after_it_was_performed_is_still_held() -> None:
    bucket = Bucket()
    lease = lease_of(bucket, FailsAt(2, after=True))
    lease.acquire()
    with pytest.raises(DestinationError):
        lease.announce(NOTE)
    lease.announce(NOTE)
    assert lease.release({})


@pytest.mark.parametrize("kind", ["moto", "azure"])
def test_whoever_may_not_delete_the_lease_marks_it_so_that_no_one_waits(
    request: pytest.FixtureRequest, kind: str
) -> None:
    place: Place = request.getfixturevalue(f"{kind}_store")
    clock = Clock()
    started = clock()
    faults = Faults()
    faults.fail("^DELETE ")

    def deliver(to: Place, number: int, run_id: str) -> None:
        archive = Archive(Member("activities.csv", b"%d" % number))
        timing = Timing(monotonic=clock, sleep=clock.sleep)
        deliver_to(to, {"id": str(number)}, archive, by=writer(run_id=run_id), timing=timing)

    with place.behind_proxy(faults) as refusing:
        deliver(refusing, 1, "monday")
        deliver(refusing, 2, "tuesday")
        assert faults.hits >= 2
        assert clock() == started
    deliver(place, 3, "wednesday")
    assert place.read("activities.csv") == b"3"
    assert clock() == started
    assert lease_object.NAME not in place.names()


class TestClaims:
    """Where the store decides nothing."""

    def test_a_claim_counts_only_after_more_than_a_tick_of_the_stores_clock(self) -> None:
        bucket = Bucket(conditional=False)
        lease = lease_of(bucket)
        lease.acquire()
        assert passed(bucket, lease.list_folder) == 2.0
        assert passed(bucket, lease.list_folder) == 0.0

    def test_of_two_claims_of_one_tick_one_counts_and_the_other_one_waits(self) -> None:
        bucket = Bucket(conditional=False)
        leases = [lease_of(bucket, run_id=run, wait_seconds=0) for run in ("tuesday", "wednesday")]
        later, earlier = sorted(leases, key=lambda lease: lease._content.token, reverse=True)
        later.acquire()
        earlier.acquire()
        earlier.list_folder()
        with pytest.raises(FolderBusy):
            later.list_folder()

    def test_a_claim_that_cannot_be_read_because_it_is_just_renewed_is_waited_for(self) -> None:
        """Some servers return an empty object meanwhile."""
        bucket = Bucket(conditional=False)
        held_by(bucket)
        (name,) = bucket.names()
        bucket.clock.sleep(5)  # type: ignore[attr-defined]

        def renew_before_the_listing(request: str, perform: Callable[[], object]) -> object:
            if request == "LIST":
                bucket.clock.sleep(5)  # type: ignore[attr-defined]
                bucket.write(name, b"")
            return perform()

        with pytest.raises(FolderBusy):
            lease_of(bucket, renew_before_the_listing, run_id="tuesday", wait_seconds=0).acquire()

    def test_the_time_of_the_first_write_counts_not_that_of_a_renewal(self) -> None:
        bucket = Bucket(conditional=False)
        first = held_by(bucket)
        bucket.clock.sleep(5)  # type: ignore[attr-defined]
        first.confirm()
        with pytest.raises(FolderBusy, match="monday"):
            lease_of(bucket, run_id="tuesday", wait_seconds=0).acquire()


@pytest.mark.slow
def test_eight_concurrent_runs_store_one_after_the_other_and_the_folder_holds_exactly_one_export(place: Place) -> None:
    results = _deliver_concurrently(place, lambda index: {"run_id": f"run-{index}"})
    assert all(isinstance(result, dict) for result in results.values()), results
    _check_one_of(place, range(8))


@pytest.mark.slow
def test_of_eight_concurrent_mapped_instances_one_stores_its_export_and_seven_fail(place: Place) -> None:
    results = _deliver_concurrently(place, lambda index: {"map_index": index})
    stored = [index for index, result in results.items() if isinstance(result, dict)]
    assert len(stored) == 1, results
    assert all(isinstance(results[index], FolderConflict) for index in range(8) if index != stored[0]), results
    assert all("{export_id}" in str(results[index]) for index in range(8) if index != stored[0])
    _check_one_of(place, stored)


@pytest.mark.slow
def test_of_eight_concurrent_exports_one_is_stored_if_another_one_is_an_error(place: Place) -> None:
    results = _deliver_concurrently(place, lambda index: {"dag_id": f"dag-{index}"}, if_exists="error")
    stored = [index for index, result in results.items() if isinstance(result, dict)]
    assert len(stored) == 1, results
    assert all(isinstance(results[index], FolderConflict) for index in range(8) if index != stored[0]), results
    _check_one_of(place, stored)


def test_the_lease_is_released_when_the_task_fails(place: Place) -> None:
    with pytest.raises(ArchiveCorrupt):
        deliver_to(place, {"id": "1"}, Archive(Member("a.csv", b"1", ArchiveCorrupt("broken"))))
    assert place.names() == set()


def _deliver_concurrently(
    place: Place, changes: Callable[[int], dict[str, object]], **arguments: object
) -> dict[int, object]:
    ready = threading.Barrier(8)
    results: dict[int, object] = {}
    timing = impatient_timing(place)

    def run(index: int) -> None:
        described, archive = export(index + 1)
        ready.wait(30)
        try:
            results[index] = deliver_to(
                place, described, archive, by=writer(**changes(index)), timing=timing, **arguments
            )
        except Exception as error:
            results[index] = error

    threads = [threading.Thread(target=run, args=(index,)) for index in range(8)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 120
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    assert len(results) == 8
    return results


def _check_one_of(place: Place, candidates: object) -> None:
    found = {name: place.read(name) for name in place.names()}
    del found[MANIFEST_NAME]
    assert found in [contents(export(index + 1)[1]) for index in candidates]  # type: ignore[attr-defined]
