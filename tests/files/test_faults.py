# SPDX-License-Identifier: Apache-2.0
"""A store that fails in the middle: an error, and the folder as it was; then, healed, success."""

from __future__ import annotations

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
from tests.faults import Fault, Faults, proxied
from tests.files.exports import MIB, Archive, Member, contents, deliver_to, digests, export, snapshot
from tests.stores import Place, filesystem

pytestmark = pytest.mark.usefixtures("small_parts")

# Requests that a point of the journey is made of, and which of them it is. Of two files, the first has three parts.
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
    """A place, and the way to make it fail at a point."""

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
    options = place.options
    upstream = options["endpoint_url"] if kind == "s3" else options["connection_string"].split("BlobEndpoint=")[1]
    with proxied(upstream, faults) as address:
        if kind == "s3":
            options = {**options, "endpoint_url": address}
        else:
            account = upstream.rstrip(";").rsplit("/", 1)[1]
            head = options["connection_string"].split("BlobEndpoint=")[0]
            options = {"connection_string": f"{head}BlobEndpoint={address}/{account};"}
        yield Faulty(Place(kind, place.uri, filesystem(kind, options), place.path, options), faults, fail_at)


def _break_calls(patch: pytest.MonkeyPatch, faults: Faults, kind: str, point: str) -> None:
    """Let the calls fail that a point is made of, where there is no server."""
    target, nth = {
        "first part": ("write", 1),
        "middle part": ("write", 2),
        "last part": ("write", 3),
        "first publication": ("publish", 1),
        "last publication": ("publish", 2),
        "manifest": ("manifest", 1),
    }[point]
    count = 0

    def broken(what: str, real: Callable[..., Any]) -> Callable[..., Any]:
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
        patch.setattr(local.os, "write", broken("write", os.write))
        patch.setattr(local.os, "replace", broken("move", os.replace))
    else:
        patch.setattr(MemoryFile, "write", broken("write", MemoryFile.write), raising=False)
        patch.setattr(MemoryFileSystem, "mv", broken("move", MemoryFileSystem.mv))


def large_export() -> tuple[dict[str, Any], Archive]:
    random_bytes = random.Random(7).randbytes(5 * MIB // 2)
    return {"id": "large"}, Archive(Member("large.csv", random_bytes), Member("small.csv", random_bytes[:MIB]))


@pytest.mark.parametrize(
    "point", ["first part", "middle part", "last part", "first publication", "last publication", "manifest"]
)
def test_a_store_that_fails_leaves_the_folder_as_it_was_and_succeeds_when_it_is_healed(
    faulty: Faulty, point: str
) -> None:
    place = faulty.place
    deliver_to(place, *export(1))
    before = snapshot(place)
    described, archive = large_export()
    faulty.fail_at(point)
    with pytest.raises(DestinationError) as caught:
        deliver_to(place, described, archive)
    assert faulty.faults.hits
    assert not caught.value.final
    faulty.faults.heal()
    assert snapshot(place) == before
    assert place.unfinished_uploads() == 0
    deliver_to(place, described, archive)
    assert place.names() == {*contents(archive), MANIFEST_NAME}
    found = snapshot(place)
    del found[MANIFEST_NAME]
    assert digests(found) == digests(contents(archive))


@pytest.mark.parametrize("kind", ["s3", "azure"])
@pytest.mark.parametrize("point", ["first publication", "manifest"])
def test_an_answer_that_is_lost_though_the_store_obeyed_is_no_failure(
    request: pytest.FixtureRequest, kind: str, point: str
) -> None:
    fault: Fault = "lose answer"
    request.node.callspec.params["faulty"] = kind
    place: Place = request.getfixturevalue(f"{kind}_store")
    options = place.options
    faults = Faults()
    upstream = options["endpoint_url"] if kind == "s3" else options["connection_string"].split("BlobEndpoint=")[1]
    with proxied(upstream, faults) as address:
        if kind == "s3":
            options = {**options, "endpoint_url": address}
        else:
            head = options["connection_string"].split("BlobEndpoint=")[0]
            options = {"connection_string": f"{head}BlobEndpoint={address}/devstoreaccount1;"}
        through = Place(kind, place.uri, filesystem(kind, options), place.path, options)
        pattern, nth = POINTS[kind][point]
        faults.fail(pattern, nth=nth, fault=fault, once=True)
        described, archive = export()
        deliver_to(through, described, archive)
    assert faults.hits == 1
    assert place.names() == {*contents(archive), MANIFEST_NAME}
    assert place.read("activities-1.csv") == contents(archive)["activities-1.csv"]


def test_a_store_that_cannot_take_back_either_leaves_it_to_the_next_run(
    memory_store: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    described, archive = export(2)
    real_put, real_delete = Store.put, Store.delete

    def fails(self: Store, name: str, *args: Any, **kw: Any) -> None:
        if name == MANIFEST_NAME:
            monkeypatch.setattr(Store, "delete", refuses)
            raise DestinationError("no more")
        real_put(self, name, *args, **kw)

    def refuses(self: Store, names: object) -> None:
        raise DestinationError("no more")

    monkeypatch.setattr(Store, "put", fails)
    with pytest.raises(DestinationError):
        deliver_to(memory_store, described, archive)
    monkeypatch.setattr(Store, "put", real_put)
    monkeypatch.setattr(Store, "delete", real_delete)
    assert set(contents(archive)) < memory_store.names()
    third, archive = export(3)
    deliver_to(memory_store, third, archive)
    assert memory_store.names() == {*contents(archive), MANIFEST_NAME}
