# SPDX-License-Identifier: Apache-2.0
"""No byte is lost on the way to a store: what is sent again is sent from its first byte, and lengths are compared."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from fsspec.implementations.memory import MemoryFile

from airflow_provider_connectif.files.errors import DestinationError
from airflow_provider_connectif.files.stores.base import Store
from tests.faults import Faults
from tests.files.stores.objects import MIB, digest, in_chunks, random_bytes, upload
from tests.stores import Place

pytestmark = pytest.mark.usefixtures("small_parts")

DATA = random_bytes(5 * MIB // 2)

#: The requests that send the second part of an object.
SECOND_PART = {"s3": r"^PUT .*partNumber=2", "azure": r"^PUT .*comp=block[&|]", "gcs": r"\|bytes 1048576-\d+/"}

# Without retries of botocore, each one is a retry of s3fs.
NO_BOTOCORE_RETRIES = {"config_kwargs": {"retries": {"max_attempts": 0}}}


@pytest.fixture(params=["s3", "moto", "azure", "gcs"])
def faulty(request: pytest.FixtureRequest) -> Iterator[tuple[Place, Faults]]:
    """Each store with a server, and the faults of its requests."""
    place: Place = request.getfixturevalue(f"{request.param}_store")
    if place.server:
        yield place, place.server.faults
        return
    faults = Faults()
    options: dict[str, Any] = NO_BOTOCORE_RETRIES if place.kind == "s3" else {}
    with place.behind_proxy(faults, **options) as behind:
        if place.kind == "azure":
            _do_not_wait_between_attempts(behind)
        yield behind, faults


def _do_not_wait_between_attempts(place: Place) -> None:
    for policy in place.fs.service_client._pipeline._impl_policies:
        for name in ("initial_backoff", "increment_base", "random_jitter_range"):
            if hasattr(policy, name):
                setattr(policy, name, 0)


@pytest.mark.parametrize("fault", ["slow down", "lose response"])
def test_a_part_that_is_sent_again_is_sent_from_its_first_byte(faulty: tuple[Place, Faults], fault: Any) -> None:
    place, faults = faulty
    if place.kind == "gcs" and fault == "lose response":
        pytest.skip("the stand-in rejects a chunk that it already has")
    faults.fail(SECOND_PART[place.kind], fault=fault, once=True)
    upload(place.store(), "a.csv", DATA)
    assert faults.hits == 1
    assert digest(place.read("a.csv")) == digest(DATA)


def fails_before_it_is_published(store: Store, place: Place) -> str:
    """Upload ``DATA``; return the message of the error that :meth:`Staged.complete` raises."""
    store.put("a.csv", b"old")
    staged = store.stage("a.csv")
    for chunk in in_chunks(DATA):
        staged.write(chunk)
    with pytest.raises(DestinationError) as caught:
        staged.complete()
    assert not caught.value.final
    assert not staged.outcome_unknown
    assert place.read("a.csv") == b"old"
    assert place.unfinished_uploads() == 0
    return str(caught.value)


def test_a_part_that_s3_has_received_incompletely_is_noticed(moto_store: Place) -> None:
    faults = Faults()
    faults.fail(SECOND_PART["s3"], fault="truncate")
    with moto_store.behind_proxy(faults) as place:
        message = fails_before_it_is_published(place.store(), place)
    assert message.startswith("2,621,440 bytes of a.csv were sent, but the store has 2,097,152")


def test_a_block_that_azure_has_received_incompletely_is_noticed(
    azure_store: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Not by the proxy: the signature of a request includes its length.
    from azure.storage.blob.aio import BlobClient

    real = BlobClient.stage_block

    async def stage_half(self: Any, block: str, data: bytes) -> Any:
        return await real(self, block, data[: len(data) // 2])

    monkeypatch.setattr(BlobClient, "stage_block", stage_half)
    assert "but the store has 1,310,720" in fails_before_it_is_published(azure_store.store(), azure_store)


def test_what_google_has_not_kept_of_a_chunk_is_sent_again(gcs_store: Place) -> None:
    assert gcs_store.server is not None
    gcs_store.server.faults.fail(SECOND_PART["gcs"], fault="truncate", once=True)
    upload(gcs_store.store(), "a.csv", DATA)
    assert gcs_store.server.faults.hits == 1
    assert digest(gcs_store.read("a.csv")) == digest(DATA)


def test_google_does_not_show_an_object_that_it_has_received_damaged(gcs_store: Place) -> None:
    assert gcs_store.server is not None
    staged = gcs_store.store().stage("a.csv")
    for chunk in in_chunks(DATA):
        staged.write(chunk)
    staged.complete()
    (received,) = (content for _, content in gcs_store.server.uploads.values())
    received[0] ^= 1
    with pytest.raises(DestinationError, match="does not match the checksum"):
        staged.publish()
    assert gcs_store.names() == set()


def test_a_local_file_that_lost_its_end_is_noticed(local_store: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.fsync

    def lose_the_end(fd: int) -> None:
        os.truncate(fd, min(os.fstat(fd).st_size, MIB))
        real(fd)

    store = local_store.store()
    store.put("a.csv", b"old")
    monkeypatch.setattr(os, "fsync", lose_the_end)
    assert "but the store has 1,048,576" in fails_before_it_is_published(store, local_store)


def test_a_file_of_any_filesystem_that_lost_its_end_is_noticed(
    memory_store: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose_the_end(file: MemoryFile) -> None:
        file.truncate(MIB)

    store = memory_store.store()
    store.put("a.csv", b"old")
    monkeypatch.setattr(MemoryFile, "close", lose_the_end)
    assert "but the store has 1,048,576" in fails_before_it_is_published(store, memory_store)
