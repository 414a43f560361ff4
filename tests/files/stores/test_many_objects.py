# SPDX-License-Identifier: Apache-2.0
"""Memory and open files do not grow with the number of objects (promise 4)."""

from __future__ import annotations

import gc
import resource
import tracemalloc
from collections.abc import Iterator

import pytest

from airflow_provider_connectif.files.stores.staged import Staged
from tests.files.stores.objects import MIB, without_budget
from tests.stores import Place

MEMBERS, DESCRIPTORS = 2000, 256


@pytest.fixture
def few_descriptors() -> Iterator[None]:
    """Allow this process fewer open files than it stores objects."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def complete(place: Place, names: list[str], data: bytes, chunks: int = 1) -> list[Staged]:
    store = without_budget(place.store())
    staged = []
    for name in names:
        staged.append(store.stage(name))
        for _ in range(chunks):
            staged[-1].write(data)
        staged[-1].complete()
    return staged


@pytest.mark.usefixtures("few_descriptors")
def test_2000_objects_are_stored_with_256_descriptors(local_store: Place) -> None:
    names = [f"{number}.csv" for number in range(MEMBERS)]
    for each in complete(local_store, names, b"id\n1\n"):
        each.publish()
    assert local_store.names() == set(names)


@pytest.mark.parametrize("kind", ["s3", "azure", "gcs"])
def test_a_complete_object_holds_no_memory(request: pytest.FixtureRequest, kind: str) -> None:
    place: Place = request.getfixturevalue(f"{kind}_store")
    for each in complete(place, ["first.csv"], b""):
        each.discard()
    gc.collect()
    tracemalloc.start()
    try:
        staged = complete(place, [f"{number}.csv" for number in range(4)], bytes(MIB), chunks=9)
        gc.collect()
        held = tracemalloc.get_traced_memory()[0]
        stored = sum(len(content) for _, content in place.server.uploads.values()) if place.server else 0
        stored += sum(len(content) for content, _ in place.server.objects.values()) if place.server else 0
    finally:
        tracemalloc.stop()
    assert held - stored < 4 * MIB
    for each in staged:
        each.discard()
