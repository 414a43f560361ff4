# SPDX-License-Identifier: Apache-2.0
"""Google Cloud Storage, by a stand-in for its JSON API."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from tests.files.stores.objects import MIB, random_bytes
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
