# SPDX-License-Identifier: Apache-2.0
"""Stores that look up objects with the methods of fsspec."""

from __future__ import annotations

import pytest

from tests.stores import Place


@pytest.fixture(params=["gcs", "memory"])
def listed_place(request: pytest.FixtureRequest) -> Place:
    place: Place = request.getfixturevalue(f"{request.param}_store")
    return place


def test_a_folder_below_is_not_an_object(listed_place: Place) -> None:
    listed_place.write("a.csv", b"1")
    listed_place.fs.pipe_file(f"{listed_place.path}/below/b.csv", b"2")
    store = listed_place.store()
    assert [found.name for found in store.find()] == ["a.csv"]
    assert store.info("below") is None
    assert store.find("below") == []


def test_a_folder_that_does_not_exist_is_empty(listed_place: Place) -> None:
    assert listed_place.store().find() == []


def test_a_deletion_by_others_is_noticed(listed_place: Place) -> None:
    store = listed_place.store()
    store.put("a.csv", b"1")
    assert store.info("a.csv") is not None
    listed_place.fs.rm_file(f"{listed_place.path}/a.csv")
    assert store.info("a.csv") is None
    assert store.find() == []
    store.delete("a.csv")
