# SPDX-License-Identifier: Apache-2.0
"""The media types of objects."""

from __future__ import annotations

import pytest

from airflow_provider_connectif.files.stores.content_types import content_type
from tests.files.stores.objects import MIB, random_bytes, upload
from tests.stores import Place


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.csv", "text/csv; charset=utf-8"),
        ("A.CSV", "text/csv; charset=utf-8"),
        ("a.csv.gz", "application/gzip"),
        ("a.zip", "application/zip"),
        ("_connectif_export.json", "application/json"),
        ("a.parquet", "application/vnd.apache.parquet"),
        ("a.bin", "application/octet-stream"),
        ("README", "application/octet-stream"),
    ],
)
def test_the_type_follows_from_the_extension(name: str, expected: str) -> None:
    assert content_type(name) == expected


def stored_type(place: Place, name: str) -> str:
    """Return the media type that the store has for an object."""
    place.fs.invalidate_cache()
    if place.kind == "s3":
        bucket, key, _ = place.fs.split_path(f"{place.path}/{name}")
        return str(place.fs.call_s3("head_object", Bucket=bucket, Key=key)["ContentType"])
    info = place.fs.info(f"{place.path}/{name}")
    return str(info["contentType"] if place.kind == "gcs" else info["content_settings"]["content_type"])


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("kind", ["moto", "azure", "gcs"])
@pytest.mark.parametrize("size", [10, 2 * MIB])
def test_objects_have_their_type_at_the_store(request: pytest.FixtureRequest, kind: str, size: int) -> None:
    place: Place = request.getfixturevalue(f"{kind}_store")
    upload(place.store(), "a.csv", random_bytes(size))
    place.store().put("m.json", b"{}")
    assert stored_type(place, "a.csv") == "text/csv; charset=utf-8"
    assert stored_type(place, "m.json") == "application/json"
