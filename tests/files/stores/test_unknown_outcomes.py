# SPDX-License-Identifier: Apache-2.0
"""A failed attempt to publish counts as neither done nor undone."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_connectif.files.errors import DestinationError
from airflow_provider_connectif.files.stores.staged import Staged
from tests.faults import Faults, Interrupt, Request
from tests.files.stores.objects import MIB, digest, in_chunks, random_bytes
from tests.stores import Place

pytestmark = pytest.mark.usefixtures("small_parts")

#: The requests that make an object visible: of a large one, and of a small one.
PUBLISHING = {
    "s3": (r"^POST .*uploadId=", r"^PUT .*a\.csv"),
    "azure": (r"^PUT .*comp=blocklist", r"^PUT .*a\.csv"),
    "gcs": (r"\|bytes .*/\d+$", r"uploadType=multipart"),
}

LARGE, SMALL = 5 * MIB // 2, 1000


@pytest.fixture(params=["s3", "moto", "azure", "gcs"])
def faulty(request: pytest.FixtureRequest) -> Iterator[tuple[Place, Faults]]:
    """Each store with a server, and the faults of its requests."""
    place: Place = request.getfixturevalue(f"{request.param}_store")
    if place.server:
        yield place, place.server.faults
        return
    faults = Faults()
    with place.behind_proxy(faults) as behind:
        yield behind, faults


def complete(place: Place, size: int) -> Staged:
    staged = place.store().stage("a.csv")
    for chunk in in_chunks(random_bytes(size)):
        staged.write(chunk)
    staged.complete()
    assert not staged.outcome_unknown
    return staged


@pytest.mark.parametrize("size", [LARGE, SMALL])
def test_a_request_that_goes_on_after_an_interrupt_has_ended_when_publish_raises(
    faulty: tuple[Place, Faults], size: int, interrupt: Callable[[], None]
) -> None:
    place, faults = faulty
    staged = complete(place, size)
    faults.fail(PUBLISHING[place.kind][size == SMALL], once=True)
    matches = faults.rule
    assert matches is not None

    def interrupt_at(request: Request) -> None:
        if matches(request):
            interrupt()

    faults.rule = interrupt_at
    with pytest.raises(Interrupt):
        staged.publish()
    assert faults.hits == 1
    assert staged.outcome_unknown
    # The object was published in spite of the interrupt, and nothing is left to be done.
    faults.clear()
    assert digest(place.read("a.csv")) == digest(random_bytes(size))
    staged.discard()
    assert place.names() == {"a.csv"}
    assert place.unfinished_uploads() == 0


@pytest.mark.parametrize("size", [LARGE, SMALL])
def test_the_outcome_is_unknown_after_a_refused_request(faulty: tuple[Place, Faults], size: int) -> None:
    place, faults = faulty
    staged = complete(place, size)
    faults.fail(PUBLISHING[place.kind][size == SMALL])
    with pytest.raises(DestinationError):
        staged.publish()
    faults.clear()
    assert staged.outcome_unknown
    assert place.names() == set()
    assert place.unfinished_uploads() == 0


def test_an_object_that_cannot_be_looked_up_after_publishing_is_not_forgotten(moto_store: Place) -> None:
    faults = Faults()
    with moto_store.behind_proxy(faults) as place:
        staged = complete(place, LARGE)
        faults.fail("^HEAD")
        with pytest.raises(DestinationError, match=r"publishing a\.csv"):
            staged.publish()
    assert staged.outcome_unknown
    assert moto_store.names() == {"a.csv"}


def test_a_local_file_may_be_visible_although_publishing_it_failed(
    local_store: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.replace

    def replace(*paths: Any) -> None:
        real(*paths)
        raise Interrupt

    staged = complete(local_store, SMALL)
    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(Interrupt):
        staged.publish()
    assert staged.outcome_unknown
    assert local_store.names() == {"a.csv"}


def test_a_move_that_goes_on_after_an_interrupt_has_ended_when_publish_raises(
    memory_store: Place, monkeypatch: pytest.MonkeyPatch, interrupt: Callable[[], None]
) -> None:
    real = MemoryFileSystem.mv

    def move(*args: Any) -> None:
        interrupt()
        real(*args)

    staged = complete(memory_store, SMALL)
    monkeypatch.setattr(MemoryFileSystem, "mv", move)
    with pytest.raises(Interrupt):
        staged.publish()
    assert staged.outcome_unknown
    assert memory_store.names() == {"a.csv"}
