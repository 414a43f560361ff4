# SPDX-License-Identifier: Apache-2.0
"""Google Cloud Storage, by a stand-in for its JSON API."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from airflow_provider_connectif.files.stores.temporary_names import is_temporary
from tests.files.stores.objects import MIB, digest, random_bytes
from tests.stores import Place

pytestmark = pytest.mark.usefixtures("small_parts")


@pytest.mark.parametrize("size", [5 * MIB // 2, 5 * MIB // 2 + 7])
def test_the_upload_is_finished_only_when_the_object_is_published(gcs_store: Place, size: int) -> None:
    assert gcs_store.server is not None
    with gcs_store.store().stage("a.csv") as staged:
        staged.write(random_bytes(size))
        staged.complete()
        assert len(gcs_store.server.uploads) == 1
        assert gcs_store.server.objects == {}
        staged.publish()
    assert gcs_store.server.uploads == {}
    assert len(gcs_store.read("a.csv")) == size


def test_a_discarded_upload_is_cancelled_at_the_service(gcs_store: Place) -> None:
    assert gcs_store.server is not None
    staged = gcs_store.store().stage("a.csv")
    staged.write(random_bytes(3 * MIB))
    staged.complete()
    assert len(gcs_store.server.uploads) == 1
    staged.discard()
    assert gcs_store.server.uploads == {}


def test_objects_beyond_the_budget_are_finished_under_hidden_names(gcs_store: Place) -> None:
    assert gcs_store.server is not None
    store = gcs_store.store()
    # Each keeps up to 256 KiB, and all together 512 KiB.
    names = [f"{number}.csv" for number in range(5)]
    staged = [store.stage(name) for name in names]
    for each in staged:
        each.write(random_bytes(MIB + 100))
        each.complete()
    assert len(gcs_store.server.uploads) == 2
    assert len(gcs_store.names()) == 3
    assert all(is_temporary(name) for name in gcs_store.names())
    staged.pop().discard()
    for each in staged:
        each.publish()
        assert each.etag
    assert gcs_store.names() == set(names[:4])
    assert gcs_store.server.uploads == {}
    for name in names[:4]:
        assert digest(gcs_store.read(name)) == digest(random_bytes(MIB + 100))


def test_published_and_discarded_objects_no_longer_count(gcs_store: Place) -> None:
    store = gcs_store.store()
    for number in range(6):
        with store.stage("a.csv") as staged:
            staged.write(random_bytes(MIB + 100))
            staged.complete()
            assert not any(is_temporary(name) for name in gcs_store.names())
            if number % 2:
                staged.publish()


@pytest.mark.parametrize(
    ("updated", "expected"),
    [
        ("2027-01-15T08:00:00.500Z", 1_800_000_000.5),
        (datetime(2027, 1, 15, 8, tzinfo=timezone.utc), 1_800_000_000.0),
        (None, None),
    ],
)
def test_timestamps_are_read_as_gcsfs_returns_them(updated: object, expected: float | None) -> None:
    from airflow_provider_connectif.files.stores.gcs import GCSStore

    assert GCSStore._parse("a.csv", {"size": 1, "updated": updated}).modified == expected
