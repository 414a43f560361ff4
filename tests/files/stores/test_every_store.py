# SPDX-License-Identifier: Apache-2.0
"""What holds for every store: an object appears as a whole or not at all (promise 2)."""

from __future__ import annotations

import hashlib

import pytest

from tests.files.remote_files import package_threads
from tests.files.stores.objects import MIB, digest, in_chunks, random_bytes, upload
from tests.stores import Place, filesystem

pytestmark = pytest.mark.usefixtures("small_parts")


@pytest.mark.parametrize("size", [0, 1, MIB, 2 * MIB, 5 * MIB // 2 + 7])
def test_an_object_is_stored_unchanged_and_its_size_and_checksum_are_known(place: Place, size: int) -> None:
    data = random_bytes(size)
    with place.store().stage("a.csv") as staged:
        for chunk in in_chunks(data, 300_007):
            staged.write(chunk)
        staged.complete()
        staged.publish()
    assert digest(place.read("a.csv")) == digest(data)
    assert staged.bytes == size
    assert staged.sha256 == hashlib.sha256(data).hexdigest()
    assert place.names() == {"a.csv"}
    assert place.unfinished_uploads() == 0


def test_no_thread_remains_after_an_object_is_completed_or_discarded(place: Place) -> None:
    store = place.store()
    for complete in (True, False):
        with store.stage("a.csv") as staged:
            staged.write(random_bytes(3 * MIB))
            if complete:
                staged.complete()
                assert not package_threads()
                staged.publish()
        assert not package_threads()


def test_nothing_is_visible_until_the_object_is_published(place: Place) -> None:
    store = place.store()
    with store.stage("a.csv") as staged:
        staged.write(random_bytes(3 * MIB))
        assert "a.csv" not in place.names()
        staged.complete()
        assert "a.csv" not in place.names()
        assert store.info("a.csv") is None
        staged.publish()
    assert "a.csv" in place.names()


def test_an_existing_object_is_unchanged_until_the_new_one_is_published(place: Place) -> None:
    store = place.store()
    upload(store, "a.csv", b"old")
    with store.stage("a.csv") as staged:
        staged.write(random_bytes(3 * MIB // 2))
        staged.complete()
        assert place.read("a.csv") == b"old"
        staged.publish()
    assert digest(place.read("a.csv")) == digest(random_bytes(3 * MIB // 2))


@pytest.mark.parametrize("size", [0, 10, 3 * MIB])
def test_an_exception_during_writing_leaves_nothing_behind(place: Place, size: int) -> None:
    store = place.store()

    def produce() -> None:
        with store.stage("a.csv") as staged:
            staged.write(random_bytes(size))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        produce()
    assert place.names() == set()
    assert place.unfinished_uploads() == 0


@pytest.mark.parametrize("size", [0, 10, 3 * MIB])
def test_a_completed_object_that_is_discarded_leaves_nothing_behind(place: Place, size: int) -> None:
    staged = place.store().stage("a.csv")
    staged.write(random_bytes(size))
    staged.complete()
    staged.discard()
    staged.discard()
    assert place.names() == set()
    assert place.unfinished_uploads() == 0


def test_an_interrupt_during_writing_leaves_nothing_behind(place: Place) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    staged = place.store().stage("a.csv")
    staged.write(random_bytes(3 * MIB // 2))
    staged._write = interrupted  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        staged.write(b"more")
    assert place.names() == set()
    assert place.unfinished_uploads() == 0


def test_the_etag_after_publishing_is_the_one_that_the_store_returns_later(place: Place) -> None:
    store = place.store()
    with store.stage("a.csv") as staged:
        staged.write(random_bytes(3 * MIB // 2))
        staged.complete()
        staged.publish()
    found = store.info("a.csv")
    assert found is not None
    assert found.etag == staged.etag
    assert (found.etag is None) == (place.kind in ("local", "memory"))


def test_small_objects_count_together_and_an_object_that_is_not_small_any_more_is_sent(place: Place) -> None:
    store = place.store()
    free = store.budget.has
    staged = [store.stage(f"{number}.csv") for number in range(5)]
    for _ in range(3):
        for each in staged:
            each.write(random_bytes(MIB // 16))
    for each in staged:
        each.complete()
        each.publish()
        assert digest(place.read(each.name)) == digest(random_bytes(MIB // 16) * 3)
    assert free(MIB // 2), "published objects hold no memory"
    assert place.names() == {f"{number}.csv" for number in range(5)}


def test_a_discarded_object_cannot_be_written_and_an_incomplete_one_cannot_be_published(place: Place) -> None:
    store = place.store()
    staged = store.stage("a.csv")
    staged.discard()
    with pytest.raises(ValueError, match=r"a\.csv is discarded"):
        staged.write(b"more")
    with pytest.raises(ValueError, match="but must be complete"):
        store.stage("b.csv").publish()


def test_two_concurrent_writers_of_one_object_leave_it_complete(place: Place) -> None:
    data = random_bytes(3 * MIB)
    one, other = (place.store().stage("a.csv") for _ in range(2))
    for chunk in in_chunks(data):
        one.write(chunk)
        other.write(chunk)
    one.complete()
    other.complete()
    one.publish()
    assert digest(place.read("a.csv")) == digest(data)
    other.publish()
    assert digest(place.read("a.csv")) == digest(data)
    assert place.names() == {"a.csv"}
    assert place.unfinished_uploads() == 0


def test_a_small_object_is_put_read_listed_and_deleted(place: Place) -> None:
    store = place.store()
    assert store.read("m.json") is None
    assert store.info("m.json") is None
    assert store.find("m") == []
    store.put("m.json", b"{}")
    store.put("m.json", b"{...}")
    store.put("other.json", b"")
    assert store.read("m.json") == b"{...}"
    assert [(found.name, found.size) for found in store.find("m")] == [("m.json", 5)]
    store.delete("m.json")
    store.delete("never-there")
    assert place.names() == {"other.json"}


def test_objects_that_others_write_are_found_although_the_filesystem_caches(place: Place) -> None:
    store = place.store()
    store.put("a", b"1")
    assert [found.name for found in store.find("")] == ["a"]
    place.with_filesystem(filesystem(place.kind, place.options)).store().put("b", b"22")
    assert sorted(found.name for found in store.find("")) == ["a", "b"]
    assert store.info("b") is not None
    assert store.read("b") == b"22"
