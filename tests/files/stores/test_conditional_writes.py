# SPDX-License-Identifier: Apache-2.0
"""Writes and deletions under a condition: of many concurrent ones, exactly one succeeds."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from airflow_provider_connectif.files.stores.base import Store
from airflow_provider_connectif.files.stores.errors import VersionConflict
from tests.stores import Place


def race(action: Callable[[int], object], writers: int = 8) -> list[int]:
    """Call ``action`` with different numbers at the same time; return those of the calls without a conflict."""
    won: list[int] = []
    barrier = threading.Barrier(writers)

    def run(number: int) -> None:
        barrier.wait()
        try:
            action(number)
        except VersionConflict:
            return
        won.append(number)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return won


def put(store: Store, data: bytes) -> str:
    version = store.put("lease", data)
    assert version is not None
    return version


def test_these_stores_honour_conditions(conditional_place: Place) -> None:
    assert conditional_place.store().conditional_writes
    assert conditional_place.names() == set()


@pytest.mark.parametrize("kind", ["s3", "memory"])
def test_elsewhere_a_condition_is_an_error_and_not_ignored(kind: str, request: pytest.FixtureRequest) -> None:
    place: Place = request.getfixturevalue(f"{kind}_store")
    store = place.store()
    assert not store.conditional_writes
    assert place.names() == set()
    calls: list[Callable[[], object]] = [
        lambda: store.put("lease", b"1", if_absent=True),
        lambda: store.put("lease", b"1", if_version="1"),
        lambda: store.read_versioned("lease"),
        lambda: store.delete_version("lease", "1"),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="does not support conditional writes"):
            call()
    assert place.names() == set()


def test_one_of_many_concurrent_creators_wins(conditional_place: Place) -> None:
    store = conditional_place.store()
    won = race(lambda number: store.put("lease", b"%d" % number, if_absent=True))
    assert len(won) == 1
    assert conditional_place.read("lease") == b"%d" % won[0]
    assert conditional_place.names() == {"lease"}


def test_one_of_many_concurrent_replacements_of_a_version_wins(conditional_place: Place) -> None:
    store = conditional_place.store()
    version = put(store, b"old")
    won = race(lambda number: store.put("lease", b"%d" % number, if_version=version))
    assert len(won) == 1
    assert conditional_place.read("lease") == b"%d" % won[0]
    assert conditional_place.names() == {"lease"}


def test_a_deletion_and_a_replacement_of_one_version_exclude_each_other(conditional_place: Place) -> None:
    store = conditional_place.store()
    version = put(store, b"old")

    def act(number: int) -> None:
        if number:
            store.put("lease", b"new", if_version=version)
        else:
            store.delete_version("lease", version)

    won = race(act, 2)
    # A deletion after the replacement is a conflict; a replacement after the deletion is one, too.
    assert len(won) == 1
    assert conditional_place.names() == ({"lease"} if won == [1] else set())


def test_the_version_read_is_the_one_that_was_written(conditional_place: Place) -> None:
    store = conditional_place.store()
    first = store.put("lease", b"1", if_absent=True)
    assert store.read_versioned("lease") == (b"1", first)
    assert first is not None
    second = store.put("lease", b"2", if_version=first)
    assert second != first
    assert store.read_versioned("lease") == (b"2", second)


def test_what_does_not_exist_has_no_version(conditional_place: Place) -> None:
    store = conditional_place.store()
    version = put(store, b"1")
    store.delete("lease")
    assert store.read_versioned("lease") is None
    with pytest.raises(VersionConflict):
        store.put("lease", b"2", if_version=version)
    with pytest.raises(VersionConflict):
        store.delete_version("lease", version)
    assert conditional_place.names() == set()


def test_another_version_is_neither_replaced_nor_deleted(conditional_place: Place) -> None:
    store = conditional_place.store()
    version = put(store, b"1")
    put(store, b"2")
    with pytest.raises(VersionConflict):
        store.put("lease", b"3", if_version=version)
    with pytest.raises(VersionConflict):
        store.delete_version("lease", version)
    assert conditional_place.read("lease") == b"2"
