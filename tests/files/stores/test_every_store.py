# SPDX-License-Identifier: Apache-2.0
"""Promise 2: an object appears whole or not at all; on every kind of store."""

from __future__ import annotations

import base64
import fcntl
import hashlib
import os
import random
import threading
import time
import traceback
import zlib
from typing import Any

import pytest

from airflow_provider_connectif.files.errors import DestinationError
from airflow_provider_connectif.files.stores import local
from airflow_provider_connectif.files.stores.base import Store
from airflow_provider_connectif.files.stores.resolve import resolve_store
from airflow_provider_connectif.files.stores.s3 import S3Store
from airflow_provider_connectif.files.stores.temporary_names import PREFIX, SUFFIX
from tests.files.remote_files import package_threads
from tests.stores import Place

MIB = 1024 * 1024

pytestmark = pytest.mark.usefixtures("small_parts")


def some_bytes(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


def in_chunks(data: bytes, size: int = MIB) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


def digest(data: bytes) -> str:
    """To compare large contents by: pytest's explanation of a difference between those takes minutes."""
    return hashlib.sha256(data).hexdigest()


def store(folder: Store, name: str, data: bytes) -> str:
    with folder.stage(name) as staged:
        for chunk in in_chunks(data):
            staged.write(chunk)
        staged.complete()
        staged.publish()
    return staged.sha256


@pytest.mark.parametrize("size", [0, 1, MIB, 2 * MIB, 5 * MIB // 2 + 7])
def test_an_object_arrives_byte_for_byte_with_its_size_and_checksum(place: Place, size: int) -> None:
    data = some_bytes(size)
    folder = resolve_store(place.fs, place.path)
    with folder.stage("a.csv") as staged:
        for chunk in in_chunks(data, 300_007):
            staged.write(chunk)
        staged.complete()
        staged.publish()
    assert digest(place.read("a.csv")) == digest(data)
    assert staged.bytes == size
    assert staged.sha256 == hashlib.sha256(data).hexdigest()
    assert place.names() == {"a.csv"}
    assert place.unfinished() == 0


def test_no_thread_stays_when_an_object_is_complete_or_given_up(place: Place) -> None:
    folder = resolve_store(place.fs, place.path)
    for complete in (True, False):
        with folder.stage("a.csv") as staged:
            staged.write(some_bytes(3 * MIB))
            if complete:
                staged.complete()
                assert not package_threads()
                staged.publish()
        assert not package_threads()


def test_nothing_is_to_be_seen_under_the_name_until_it_is_published(place: Place) -> None:
    folder = resolve_store(place.fs, place.path)
    with folder.stage("a.csv") as staged:
        staged.write(some_bytes(3 * MIB))
        assert "a.csv" not in place.names()
        staged.complete()
        assert "a.csv" not in place.names()
        assert folder.info("a.csv") is None
        staged.publish()
    assert "a.csv" in place.names()


def test_an_object_that_was_there_is_to_be_seen_unchanged_until_the_new_one_is_published(place: Place) -> None:
    folder = resolve_store(place.fs, place.path)
    store(folder, "a.csv", b"old")
    with folder.stage("a.csv") as staged:
        staged.write(some_bytes(3 * MIB // 2))
        staged.complete()
        assert place.read("a.csv") == b"old"
        staged.publish()
    assert digest(place.read("a.csv")) == digest(some_bytes(3 * MIB // 2))


@pytest.mark.parametrize("size", [0, 10, 3 * MIB])
def test_an_exception_while_writing_leaves_nothing_behind(place: Place, size: int) -> None:
    folder = resolve_store(place.fs, place.path)

    def produce() -> None:
        with folder.stage("a.csv") as staged:
            staged.write(some_bytes(size))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        produce()
    assert place.names() == set()
    assert place.unfinished() == 0


@pytest.mark.parametrize("size", [0, 10, 3 * MIB])
def test_a_completed_object_that_is_discarded_leaves_nothing_behind(place: Place, size: int) -> None:
    folder = resolve_store(place.fs, place.path)
    staged = folder.stage("a.csv")
    staged.write(some_bytes(size))
    staged.complete()
    staged.discard()
    staged.discard()
    assert place.names() == set()
    assert place.unfinished() == 0


def test_an_interrupt_while_writing_leaves_nothing_behind(place: Place) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    staged = resolve_store(place.fs, place.path).stage("a.csv")
    staged.write(some_bytes(3 * MIB // 2))
    staged._write = interrupted  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        staged.write(b"more")
    assert place.names() == set()
    assert place.unfinished() == 0


def test_the_etag_told_after_publishing_is_the_one_that_the_store_tells_later(place: Place) -> None:
    folder = resolve_store(place.fs, place.path)
    with folder.stage("a.csv") as staged:
        staged.write(some_bytes(3 * MIB // 2))
        staged.complete()
        staged.publish()
    found = folder.info("a.csv")
    assert found is not None
    assert found.etag == staged.etag
    assert (found.etag is None) == (place.kind in ("local", "memory"))


def test_what_is_discarded_or_published_takes_no_more_bytes(place: Place) -> None:
    folder = resolve_store(place.fs, place.path)
    staged = folder.stage("a.csv")
    staged.discard()
    with pytest.raises(ValueError, match=r"a\.csv is discarded"):
        staged.write(b"more")
    with pytest.raises(ValueError, match="but must be complete"):
        folder.stage("b.csv").publish()


def test_two_writers_of_one_object_at_once_leave_it_whole(place: Place) -> None:
    data = some_bytes(3 * MIB)
    one, other = (resolve_store(place.fs, place.path).stage("a.csv") for _ in range(2))
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
    assert place.unfinished() == 0


def test_a_writer_whose_blocks_azure_dropped_for_other_content_says_so(azure_store: Place) -> None:
    one, other = (resolve_store(azure_store.fs, azure_store.path).stage("a.csv") for _ in range(2))
    one.write(b"one")
    other.write(b"other")
    one.complete()
    other.complete()
    one.publish()
    with pytest.raises(DestinationError, match=r"Another writer stored a\.csv with different content"):
        other.publish()
    assert azure_store.read("a.csv") == b"one"


def test_a_small_object_is_put_read_listed_and_deleted(place: Place) -> None:
    folder = resolve_store(place.fs, place.path)
    assert folder.read("m.json") is None
    assert folder.info("m.json") is None
    assert folder.find("m") == []
    folder.put("m.json", b"{}")
    folder.put("m.json", b"{...}")
    folder.put("other.json", b"")
    assert folder.read("m.json") == b"{...}"
    assert [(found.name, found.size) for found in folder.find("m")] == [("m.json", 5)]
    folder.delete(["m.json", "never-there"])
    assert place.names() == {"other.json"}


def test_what_others_write_is_seen_though_the_filesystem_caches(place: Place) -> None:
    folder = resolve_store(place.fs, place.path)
    folder.put("a", b"1")
    assert [found.name for found in folder.find("")] == ["a"]
    from tests.stores import filesystem

    resolve_store(filesystem(place.kind, place.options), place.path).put("b", b"22")
    assert sorted(found.name for found in folder.find("")) == ["a", "b"]
    assert folder.info("b") is not None
    assert folder.read("b") == b"22"


def test_of_many_who_create_an_object_at_once_one_succeeds(strict_place: Place) -> None:
    folder = resolve_store(strict_place.fs, strict_place.path)
    if not folder.exclusive_put:
        assert strict_place.kind == "s3"  # rclone ignores the condition, silently
        return
    won = []

    def create(number: int) -> None:
        try:
            folder.put("claim", b"%d" % number, exclusive=True)
        except FileExistsError:
            return
        won.append(number)

    threads = [threading.Thread(target=create, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert strict_place.read("claim") == b"%d" % won[0]


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [(None, True), ("https://s3.eu-west-1.amazonaws.com", True), ("https://minio.example.com", False)],
)
def test_only_amazons_own_s3_is_trusted_to_create_exclusively(endpoint: str | None, expected: bool) -> None:
    import s3fs

    fs = s3fs.S3FileSystem(anon=True, endpoint_url=endpoint, skip_instance_cache=True)
    assert S3Store(fs, "lake/x").exclusive_put is expected


@pytest.mark.parametrize("name", ["", "a/b", "..", "/etc/passwd"])
def test_a_name_that_leaves_the_folder_is_refused(memory_store: Place, name: str) -> None:
    with pytest.raises(ValueError, match="is not a plain name"):
        resolve_store(memory_store.fs, memory_store.path).stage(name)


def test_a_folder_may_be_the_bucket_itself(s3_store: Place) -> None:
    bucket = s3_store.path.split("/")[0]
    folder = resolve_store(s3_store.fs, f"s3://{bucket}/")
    store(folder, "a.csv", b"data")
    assert [found.name for found in folder.find("")] == ["a.csv"]
    assert s3_store.fs.cat_file(f"{bucket}/a.csv") == b"data"


def test_the_sweep_takes_what_a_dead_process_left_and_leaves_what_a_living_one_writes(local_store: Place) -> None:
    folder = resolve_store(local_store.fs, local_store.path)
    living = folder.stage("b.csv")
    living.write(b"going on")
    dead = f"{local_store.path}/{PREFIX}{local._machine()}-0123456789abcdef{SUFFIX}"
    with open(dead, "wb") as file:
        file.write(b"half")
    folder.delete_abandoned_uploads([])
    assert not os.path.exists(dead)
    living.complete()
    living.publish()
    assert local_store.read("b.csv") == b"going on"


def test_the_sweep_leaves_what_another_machine_may_be_writing_for_a_day(local_store: Place) -> None:
    os.makedirs(local_store.path)
    foreign = f"{local_store.path}/{PREFIX}another-0123456789abcdef{SUFFIX}"
    with open(foreign, "wb"):
        pass
    resolve_store(local_store.fs, local_store.path).delete_abandoned_uploads([])
    assert os.path.exists(foreign)
    resolve_store(local_store.fs, local_store.path, clock=lambda: time.time() + 25 * 3600).delete_abandoned_uploads([])
    assert not os.path.exists(foreign)


def test_the_sweep_touches_no_file_that_is_not_ours(local_store: Place) -> None:
    for name in (".hidden", "a.part", ".connectif_claim.x.json", "data.csv"):
        local_store.write(name, b"theirs")
    resolve_store(local_store.fs, local_store.path, clock=lambda: time.time() + 1e6).delete_abandoned_uploads(
        ["data.csv"]
    )
    assert local_store.names() == {".hidden", "a.part", ".connectif_claim.x.json", "data.csv"}


def test_without_locks_a_file_is_written_all_the_same(local_store: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    store(resolve_store(local_store.fs, local_store.path), "a.csv", b"data")
    assert local_store.read("a.csv") == b"data"


def test_the_sweep_aborts_uploads_of_these_names_that_are_a_day_old(s3_store: Place) -> None:
    folder = resolve_store(s3_store.fs, s3_store.path)
    for name in ("a.csv", "of-somebody-else.csv"):
        folder.stage(name).write(b"never finished")
    folder.delete_abandoned_uploads(["a.csv"])
    assert s3_store.unfinished() == 2
    resolve_store(s3_store.fs, s3_store.path, clock=lambda: time.time() + 25 * 3600).delete_abandoned_uploads(["a.csv"])
    assert s3_store.unfinished() == 1


def test_a_published_file_has_the_rights_that_any_new_file_has(local_store: Place) -> None:
    store(resolve_store(local_store.fs, local_store.path), "a.csv", b"data")
    local_store.write("plain", b"")
    rights = [os.stat(f"{local_store.path}/{name}").st_mode & 0o777 for name in ("a.csv", "plain")]
    assert rights[0] == rights[1]


def test_an_error_of_the_store_does_not_quote_the_query_of_an_address(
    memory_store: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise OSError("cannot reach 'https://store.example/lake/a.csv?sv=2024&sig=abcdef123456'")

    folder = resolve_store(memory_store.fs, memory_store.path)
    monkeypatch.setattr(type(memory_store.fs), "cat_file", fails)
    with pytest.raises(DestinationError, match=r"reading a\.csv: OSError: cannot reach") as caught:
        folder.read("a.csv")
    assert "abcdef" not in "".join(traceback.format_exception(caught.value))


# Checksums of parts on S3


def sent_parts(place: Place, monkeypatch: pytest.MonkeyPatch, data: bytes) -> list[tuple[bytes, str | None]]:
    """Store ``data``, and return each part that was sent, with its checksum header."""
    sent: list[tuple[bytes, str | None]] = []

    def note(request: Any, **_: Any) -> None:
        body = request.body
        content = body.read() if hasattr(body, "read") else bytes(body)
        if hasattr(body, "seek"):
            body.seek(0)
        sent.append((content, request.headers.get("x-amz-checksum-crc32")))

    place.fs.connect()
    place.fs.s3.meta.events.register("before-sign.s3.UploadPart", note)
    try:
        store(resolve_store(place.fs, place.path), "a.csv", data)
    finally:
        place.fs.s3.meta.events.unregister("before-sign.s3.UploadPart", note)
    return sent


def test_each_part_goes_to_s3_with_its_crc(s3_store: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    data = some_bytes(5 * MIB // 2)
    sent = sent_parts(s3_store, monkeypatch, data)
    assert len(sent) == 3
    for content, told in sent:
        assert told is not None
        assert base64.b64decode(told) == zlib.crc32(content).to_bytes(4, "big")


def test_no_crc_goes_to_a_store_whose_connection_is_told_to_send_none(
    s3_store: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3_store.fs.connect()
    monkeypatch.setattr(s3_store.fs.s3.meta.config, "request_checksum_calculation", "when_required", raising=False)
    assert [told for _, told in sent_parts(s3_store, monkeypatch, some_bytes(MIB))] == [None]
