# SPDX-License-Identifier: Apache-2.0
"""A store that fails half-way: the task fails, the folder is unchanged, and a retry succeeds when the store works."""

from __future__ import annotations

import contextlib
import errno
import os
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from fsspec.implementations.memory import MemoryFile, MemoryFileSystem

from airflow_provider_connectif.files.errors import DestinationError
from airflow_provider_connectif.files.folder.manifest import MANIFEST_NAME
from airflow_provider_connectif.files.stores import local
from airflow_provider_connectif.files.stores.base import Store
from tests.faults import Faults, run_proxy
from tests.files.exports import MIB, Archive, Member, contents, deliver_to, digests, export, snapshot, without_lease
from tests.stores import AZURE_ACCOUNT, Place, filesystem

pytestmark = pytest.mark.usefixtures("small_parts")

# For each point a pattern of requests, and which of the matching ones fails. Of two files, the first has three parts.
POINTS: dict[str, dict[str, tuple[str, int]]] = {
    "s3": {
        "first part": (r"^PUT .*partNumber=", 1),
        "middle part": (r"^PUT .*partNumber=", 2),
        "last part": (r"^PUT .*partNumber=", 4),
        "first publication": (r"^POST .*uploadId=", 1),
        "last publication": (r"^POST .*uploadId=", 2),
        "manifest": (rf"^PUT .*{MANIFEST_NAME}", 1),
    },
    "azure": {
        "first part": (r"^PUT .*comp=block[&|]", 1),
        "middle part": (r"^PUT .*comp=block[&|]", 2),
        "last part": (r"^PUT .*comp=block[&|]", 4),
        "first publication": (r"^PUT .*comp=blocklist", 1),
        "last publication": (r"^PUT .*comp=blocklist", 2),
        "manifest": (rf"^PUT .*{MANIFEST_NAME}", 1),
    },
    "gcs": {
        "first part": (r"^POST .*upload_id=.*\|bytes \d+-\d+/\*", 1),
        "middle part": (r"^POST .*upload_id=.*\|bytes \d+-\d+/\*", 2),
        "last part": (r"^POST .*upload_id=.*\|bytes \d+-\d+/\*", 3),
        "first publication": (r"^POST .*upload_id=.*\|bytes .*/\d+", 1),
        "last publication": (r"^POST .*upload_id=.*\|bytes .*/\d+", 2),
        "manifest": (rf"^POST .*uploadType=multipart.*{MANIFEST_NAME}", 1),
    },
}


@dataclass
class Faulty:
    """A folder, and a way to make its store fail at a given point."""

    place: Place
    faults: Faults
    fail_at: Callable[[str], None]


@pytest.fixture(params=["local", "s3", "azure", "gcs", "memory"])
def faulty(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Faulty]:
    kind = request.param
    place: Place = request.getfixturevalue(f"{kind}_store")
    faults = place.server.faults if place.server else Faults()
    if kind in ("local", "memory"):
        yield Faulty(place, faults, lambda point: _break_calls(monkeypatch, faults, kind, point))
        return

    def fail_at(point: str) -> None:
        pattern, nth = POINTS[kind][point]
        faults.fail(pattern, nth=nth)

    if kind == "gcs":
        yield Faulty(place, faults, fail_at)
        return
    with behind_proxy(place, faults) as behind:
        yield Faulty(behind, faults, fail_at)


@contextlib.contextmanager
def behind_proxy(place: Place, faults: Faults) -> Iterator[Place]:
    """Return the same folder, accessed through a proxy that makes requests fail."""
    if place.kind == "s3":
        with run_proxy(place.options["endpoint_url"], faults) as url:
            options = {**place.options, "endpoint_url": url}
            yield Place("s3", place.uri, filesystem("s3", options), place.path, options)
        return
    credentials, upstream = place.options["connection_string"].split("BlobEndpoint=")
    with run_proxy(upstream, faults) as url:
        options = {"connection_string": f"{credentials}BlobEndpoint={url}/{AZURE_ACCOUNT};"}
        yield Place("azure", place.uri, filesystem("azure", options), place.path, options)


def _break_calls(patch: pytest.MonkeyPatch, faults: Faults, kind: str, point: str) -> None:
    """Make the calls fail that a point consists of, where there is no server."""
    target, nth = {
        "first part": ("write", 1),
        "middle part": ("write", 2),
        "last part": ("write", 3),
        "first publication": ("publish", 1),
        "last publication": ("publish", 2),
        "manifest": ("manifest", 1),
    }[point]
    count = 0

    def breakable(what: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal count
            name = str(args[-1])
            hit = (
                (what == "write" and len(args[-1]) >= MIB)
                if target == "write"
                else (what == "move" and (MANIFEST_NAME in name if target == "manifest" else ".csv" in name))
            )
            if hit and faults.rule:
                count += 1
                if count >= nth:
                    faults.hits += 1
                    raise OSError(errno.ENOSPC, "No space left on device")
            return real(*args, **kwargs)

        return call

    faults.fail("")
    if kind == "local":
        patch.setattr(local.os, "write", breakable("write", os.write))
        patch.setattr(local.os, "replace", breakable("move", os.replace))
    else:
        patch.setattr(MemoryFile, "write", breakable("write", MemoryFile.write), raising=False)
        patch.setattr(MemoryFileSystem, "mv", breakable("move", MemoryFileSystem.mv))


def large_export() -> tuple[dict[str, Any], Archive]:
    random_bytes = random.Random(7).randbytes(5 * MIB // 2)
    return {"id": "large"}, Archive(Member("large.csv", random_bytes), Member("small.csv", random_bytes[:MIB]))


@pytest.mark.parametrize(
    "point", ["first part", "middle part", "last part", "first publication", "last publication", "manifest"]
)
def test_a_failing_store_leaves_the_folder_unchanged_and_a_retry_succeeds(faulty: Faulty, point: str) -> None:
    place = faulty.place
    deliver_to(place, *export(1))
    before = snapshot(place)
    described, archive = large_export()
    faulty.fail_at(point)
    with pytest.raises(DestinationError) as caught:
        deliver_to(place, described, archive)
    assert faulty.faults.hits
    assert not caught.value.final
    faulty.faults.clear()
    assert without_lease(snapshot(place)) == before
    assert place.unfinished_uploads() == 0
    deliver_to(place, described, archive)
    assert place.names() == {*contents(archive), MANIFEST_NAME}
    found = snapshot(place)
    del found[MANIFEST_NAME]
    assert digests(found) == digests(contents(archive))


@pytest.mark.parametrize("kind", ["s3", "azure"])
@pytest.mark.parametrize("point", ["first publication", "manifest"])
def test_a_lost_response_to_a_request_that_succeeded_is_not_a_failure(
    request: pytest.FixtureRequest, kind: str, point: str
) -> None:
    place: Place = request.getfixturevalue(f"{kind}_store")
    faults = Faults()
    with behind_proxy(place, faults) as behind:
        pattern, nth = POINTS[kind][point]
        faults.fail(pattern, nth=nth, fault="lose response", once=True)
        described, archive = export(1, 2 * MIB)
        deliver_to(behind, described, archive)
    assert faults.hits == 1
    assert place.names() == {*contents(archive), MANIFEST_NAME}
    assert digests({"": place.read("activities-1.csv")}) == digests({"": contents(archive)["activities-1.csv"]})


def test_objects_that_cannot_be_deleted_after_a_failure_are_deleted_by_the_next_run(
    memory_store: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    described, archive = export(2)
    real_put, real_delete = Store.put, Store.delete

    def fail_to_write_manifest(self: Store, name: str, *args: Any, **kw: Any) -> None:
        if name == MANIFEST_NAME:
            monkeypatch.setattr(Store, "delete", fail_to_delete)
            raise DestinationError("no more")
        real_put(self, name, *args, **kw)

    def fail_to_delete(self: Store, name: str) -> None:
        raise DestinationError("no more")

    monkeypatch.setattr(Store, "put", fail_to_write_manifest)
    with pytest.raises(DestinationError):
        deliver_to(memory_store, described, archive)
    monkeypatch.setattr(Store, "put", real_put)
    monkeypatch.setattr(Store, "delete", real_delete)
    assert set(contents(archive)) < memory_store.names()
    third, archive = export(3)
    deliver_to(memory_store, third, archive)
    assert memory_store.names() == {*contents(archive), MANIFEST_NAME}
