# SPDX-License-Identifier: Apache-2.0
"""Which store is used for a filesystem."""

from __future__ import annotations

import pytest

from airflow_provider_connectif.files.stores.resolve import resolve_store
from tests.stores import Place


def test_each_kind_of_filesystem_has_its_store(place: Place) -> None:
    expected = {
        "local": "LocalStore",
        "s3": "S3Store",
        "azure": "AzureStore",
        "gcs": "GCSStore",
        "memory": "GenericStore",
    }
    assert type(resolve_store(place.fs, place.path)).__name__ == expected[place.kind]


def test_the_path_may_have_a_protocol_and_end_with_slashes(place: Place) -> None:
    place.write("a.csv", b"1")
    store = resolve_store(place.fs, f"{place.fs.unstrip_protocol(place.path)}//")
    assert store.read("a.csv") == b"1"


@pytest.mark.parametrize("path", ["/", "file:///"])
def test_the_root_of_the_local_filesystem_is_a_folder(local_store: Place, path: str) -> None:
    assert resolve_store(local_store.fs, path).root == "/"
