# SPDX-License-Identifier: Apache-2.0
"""Azure Storage, by Azurite."""

from __future__ import annotations

import pytest

from airflow_provider_connectif.files.errors import DestinationError
from airflow_provider_connectif.files.stores.event_loop import run_in_loop
from tests.files.stores.objects import without_budget
from tests.stores import Place

pytestmark = pytest.mark.usefixtures("small_parts")


def test_a_writer_whose_blocks_were_discarded_for_different_content_fails_with_the_reason(azure_store: Place) -> None:
    one, other = (without_budget(azure_store.store()).stage("a.csv") for _ in range(2))
    one.write(b"one")
    other.write(b"other")
    one.complete()
    other.complete()
    one.publish()
    with pytest.raises(DestinationError, match=r"Another writer stored a\.csv with different content"):
        other.publish()
    assert azure_store.read("a.csv") == b"one"


def test_each_blob_records_its_sha256(azure_store: Place) -> None:
    with azure_store.store().stage("a.csv") as staged:
        staged.write(b"data")
        staged.complete()
        staged.publish()
    info = azure_store.fs.info(f"{azure_store.path}/a.csv", refresh=True)
    assert info["metadata"]["connectif_sha256"] == staged.sha256


def make_snapshot(place: Place, name: str) -> None:
    container, _, path = place.path.partition("/")
    run_in_loop(place.fs.loop, place.fs.service_client.get_blob_client(container, f"{path}/{name}").create_snapshot)


def snapshots(place: Place) -> int:
    container, _, path = place.path.partition("/")

    async def count() -> int:
        async with place.fs.service_client.get_container_client(container) as client:
            return len([blob async for blob in client.list_blobs(path, include=["snapshots"]) if blob.snapshot])

    return run_in_loop(place.fs.loop, count)


def test_the_snapshots_of_a_blob_are_not_deleted(azure_store: Place) -> None:
    store = azure_store.store()
    store.put("old.csv", b"old")
    make_snapshot(azure_store, "old.csv")
    with pytest.raises(DestinationError, match=r"old\.csv has snapshots, .* delete them; .* Then run the task again"):
        store.delete("old.csv")
    assert snapshots(azure_store) == 1
    store.put("old.csv", b"new")
    assert snapshots(azure_store) == 1
    assert azure_store.names() == {"old.csv"}


def test_the_snapshots_of_the_providers_own_hidden_blobs_are_deleted_with_them(azure_store: Place) -> None:
    store = azure_store.store()
    version = store.put(".connectif_lease.json", b"{}")
    assert version is not None
    make_snapshot(azure_store, ".connectif_lease.json")
    store.delete_version(".connectif_lease.json", version)
    assert azure_store.names() == set()
    assert snapshots(azure_store) == 0
