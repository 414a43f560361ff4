# SPDX-License-Identifier: Apache-2.0
"""A task is interrupted at any time (``execution_timeout``, Ctrl+C): no one waits for its lease afterwards."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Callable
from contextlib import nullcontext, suppress
from types import FrameType, ModuleType
from typing import Any

import pytest

from airflow_provider_connectif.files.folder import delivery, lease, lease_claims, lease_object
from airflow_provider_connectif.files.folder.lease import Timing
from airflow_provider_connectif.files.folder.leases import create_lease
from airflow_provider_connectif.files.folder.manifest import MANIFEST_NAME
from airflow_provider_connectif.files.stores import local
from tests.faults import Faults, Interrupt, Request
from tests.files.exports import Clock, contents, deliver_to, export, writer
from tests.files.folder.simulated import Bucket
from tests.files.folder.test_lease import NOTE, held_by, lease_of
from tests.files.folder.test_steps import check, prepare, store
from tests.files.folder.test_steps import export as small_export
from tests.stores import Place

#: By default, each line in these modules is a point at which the interrupt may come.
MODULES = (delivery, lease, lease_claims, lease_object)

#: The time that a dead holder would be waited for is 90 seconds.
AT_ONCE = 10.0


class InterruptedAtLine:
    """Raises an exception at a line of the modules above, in this thread.

    :param nth: the number of that line, counting each time that any is reached
    :param modules: other modules
    """

    def __init__(self, nth: int, *modules: ModuleType) -> None:
        self._files = {module.__file__ for module in modules or MODULES}
        self._nth = nth
        self._count = 0
        self.line = ""

    def __enter__(self) -> InterruptedAtLine:
        self._before = sys.gettrace()
        sys.settrace(self._trace)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(self._before)

    def _trace(self, frame: FrameType, event: str, _: Any) -> Callable[..., Any] | None:
        if frame.f_code.co_filename not in self._files:
            return None
        if event == "line":
            self._count += 1
            if self._count == self._nth:
                self.line = f"{frame.f_code.co_name}:{frame.f_lineno}"
                raise Interrupt
        return self._trace


def leave_nothing(bucket: Bucket) -> None:
    return


def leave_a_released_lease_with_a_note(bucket: Bucket) -> None:
    held_by(bucket, run_id="sunday").release(NOTE)


def leave_a_lease_of_the_same_task(bucket: Bucket) -> None:
    held_by(bucket).announce(NOTE)


BEFORE = [leave_nothing, leave_a_released_lease_with_a_note, leave_a_lease_of_the_same_task]


@pytest.mark.parametrize("before", BEFORE)
@pytest.mark.parametrize("kind", ["conditions", "no conditions"])
def test_after_an_interrupt_at_any_line_no_one_waits_and_the_next_run_leaves_exactly_its_export(
    kind: str, before: Callable[[Bucket], None]
) -> None:
    for nth in itertools.count(1):
        bucket = prepare(kind, None)
        before(bucket)
        if before is not leave_nothing:
            bucket.write("a.csv", b"abc")  # what the note says: it is to be deleted
        clock = bucket.clock
        leases = {name: bucket.objects[name] for name in bucket.names() if name.startswith(".connectif")}
        assert isinstance(clock, Clock)
        with InterruptedAtLine(nth) as interrupt, suppress(Interrupt):
            store(bucket, small_export(2), by=writer())
        if not interrupt.line:
            assert nth > 100
            return
        clock.sleep(2)  # more than a tick of the store's clock
        started, found = clock(), bucket.objects.copy()
        store(bucket, small_export(3), by=writer(run_id="tuesday"))
        # A dead process of this task may still have to be waited for.
        if before is not leave_a_lease_of_the_same_task or not leases.items() <= found.items():
            assert clock() - started < AT_ONCE, interrupt.line
        assert check(bucket) == "3", interrupt.line
        assert not [name for name in bucket.names() if name.startswith(".connectif")], interrupt.line


@pytest.mark.parametrize("kind", ["conditions", "no conditions"])
def test_a_lease_that_was_not_acquired_because_of_an_interrupt_is_left_to_its_holder(kind: str) -> None:
    for nth in itertools.count(1):
        bucket = Bucket(conditional=kind == "conditions")
        held_by(bucket).announce(NOTE)
        bucket.clock.sleep(2)  # type: ignore[attr-defined]
        before = bucket.objects.copy()
        waiting = lease_of(bucket, run_id="tuesday")
        waiting._timing = Timing(monotonic=bucket.clock, sleep=lambda _: (_ for _ in ()).throw(Interrupt()))
        with InterruptedAtLine(nth) as interrupt, pytest.raises(Interrupt):
            waiting.acquire()
        waiting.release({})  # as its caller does after an exception
        assert bucket.objects == before, interrupt.line
        if not interrupt.line:
            return


RELEASED = pytest.mark.parametrize("released", [False, True], ids=["free", "released"])


@pytest.mark.slow
@RELEASED
def test_after_an_interrupt_at_any_line_no_one_waits_in_a_local_folder(
    local_store: Place, released: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)

    def interrupted(nth: int, deliver: Callable[[Place], Any]) -> bool:
        with InterruptedAtLine(nth, lease_object, local) as interrupt:
            deliver(local_store)
        return bool(interrupt.line)

    _check_that_the_next_writer_starts_at_once(local_store, released, interrupted)


@pytest.mark.slow
@RELEASED
@pytest.mark.parametrize("kind", ["s3", "moto", "azure", "gcs"])
def test_after_an_interrupt_during_any_request_for_the_lease_the_next_writer_starts_at_once(
    request: pytest.FixtureRequest, kind: str, released: bool, interrupt: Callable[[], None]
) -> None:
    """The store performs the request."""
    place: Place = request.getfixturevalue(f"{kind}_store")
    faults = place.server.faults if place.server else Faults()

    def interrupted(nth: int, deliver: Callable[[Place], Any]) -> bool:
        count = 0

        def interrupt_at(request: Request) -> None:
            nonlocal count
            count += b".connectif_" in request.path.encode() + request.body[:1000]
            if count == nth:
                count += 1
                interrupt()

        faults.rule = interrupt_at
        with nullcontext(place) if place.server else place.behind_proxy(faults) as faulty:
            deliver(faulty)
        faults.clear()
        return count > nth

    _check_that_the_next_writer_starts_at_once(place, released, interrupted)


def _check_that_the_next_writer_starts_at_once(
    place: Place, released: bool, interrupted: Callable[[int, Callable[[Place], Any]], bool]
) -> None:
    for nth in itertools.count(1):
        clock = Clock()
        timing = Timing(monotonic=clock, sleep=clock.sleep)
        if released:
            dead = create_lease(place.store(), writer(run_id="sunday"), {}, timing)
            dead.acquire()
            dead.release(NOTE)

        def deliver(to: Place, timing: Timing = timing) -> None:
            with suppress(Interrupt):
                deliver_to(to, *export(2), timing=timing)

        if not interrupted(nth, deliver):
            assert nth > 2
            return
        clock.sleep(2)
        started = clock()
        described, archive = export(3 + nth % 2)
        deliver_to(place, described, archive, by=writer(run_id="tuesday"), timing=timing)
        assert clock() - started < AT_ONCE, nth
        assert place.names() == {*contents(archive), MANIFEST_NAME}, nth
