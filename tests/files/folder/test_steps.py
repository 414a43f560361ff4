# SPDX-License-Identifier: Apache-2.0
"""A delivery is killed, or fails, at every single request to the store; and several take turns at each request.

After all have ended and one more has run, the visible objects of ours are exactly those of the manifest (promise 3).
"""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from airflow_provider_connectif.files.errors import FileError, FolderConflict
from airflow_provider_connectif.files.folder.delivery import deliver
from airflow_provider_connectif.files.folder.lease import Timing
from airflow_provider_connectif.files.folder.manifest import MANIFEST_NAME
from tests.files.exports import Archive, Clock, Member, contents, writer
from tests.files.folder.simulated import Bucket, FailsAt, Hook, Killed, KilledAt, Turns

FOREIGN = {"theirs.csv": b"not ours", "report-9.csv": b"not ours either"}


def export(number: int, names: str = "own") -> tuple[dict[str, Any], Archive]:
    """Return an export with two files; with ``names="same"``, those of all exports have the same names."""
    suffix = "" if names == "same" else f"-{number}"
    members = [Member(f"{name}{suffix}.csv", f"{name} of {number}".encode() * number) for name in ("a", "b")]
    return {"id": str(number)}, Archive(*members)


def store(
    bucket: Bucket,
    described: tuple[dict[str, Any], Archive],
    *,
    by: Mapping[str, Any],
    hook: Hook | None = None,
    timing: Timing | None = None,
    if_exists: str = "replace",
) -> dict[str, Any]:
    if timing is None:
        assert isinstance(bucket.clock, Clock)
        timing = Timing(monotonic=bucket.clock, sleep=bucket.clock.sleep)
    return deliver(
        described[1],
        bucket.store(hook),
        uri="s3://lake/today",
        export=described[0],
        file_format="csv",
        writer=by,
        if_exists=if_exists,  # type: ignore[arg-type]
        timing=timing,
    )


def check(bucket: Bucket, *, settled: bool = True) -> str | None:
    """Make sure that the objects are those of the manifest; return the id of the export that it describes."""
    assert {name: bucket.objects[name][0] for name in FOREIGN} == FOREIGN
    ours = {name for name in bucket.objects if not name.startswith(".connectif") and name not in FOREIGN}
    if not ours:
        return None
    manifest = json.loads(bucket.objects[MANIFEST_NAME][0])
    listed = {file["path"]: file for file in manifest["files"]}
    if settled:
        assert "replaces" not in manifest
    assert ours - set(manifest.get("replaces", ())) == {*listed, MANIFEST_NAME}, bucket.names()
    number = int(manifest["export"]["id"])
    expected = contents(export(number, "same" if "a.csv" in listed else "own")[1])
    assert {name: bucket.objects[name][0] for name in listed} == expected
    return str(manifest["export"]["id"])


STORES: dict[str, Callable[[], Bucket]] = {
    "conditions": Bucket,
    "conditions without ETags": lambda: Bucket(etags=False),
    "no conditions": lambda: Bucket(conditional=False),
    "no conditions, no ETags": lambda: Bucket(conditional=False, etags=False),
}
BEFORE = {"empty": None, "other names": "own", "same names": "same"}
NEXT = {
    "a retry": ({}, 2),
    "the same task with another export": ({}, 3),
    "another run": ({"run_id": "tuesday"}, 3),
    "another DAG with the same export": ({"dag_id": "warehouse"}, 2),
}


def prepare(kind: str, before: str | None) -> Bucket:
    bucket = STORES[kind]()
    for name, data in FOREIGN.items():
        bucket.write(name, data)
    if before:
        store(bucket, export(1, before), by=writer(run_id="sunday"))
    return bucket


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("before", BEFORE)
@pytest.mark.parametrize("kind", STORES)
@pytest.mark.parametrize("following", NEXT)
def test_after_a_kill_at_any_request_the_next_run_leaves_exactly_its_export(
    following: str, kind: str, before: str, after: bool
) -> None:
    names = BEFORE[before] or "own"
    changes, number = NEXT[following]
    for nth in itertools.count(1):
        bucket = prepare(kind, BEFORE[before])
        hook = KilledAt(nth, after=after)
        with contextlib.suppress(Killed):
            store(bucket, export(2, names), by=writer(), hook=hook)
        if not hook.request:
            assert nth > 8
            return
        bucket.clock.sleep(2)  # type: ignore[attr-defined]  # more than a tick of the store's clock
        store(bucket, export(number, names), by=writer(**changes))
        assert check(bucket) == str(number), hook.request
        assert not [name for name in bucket.names() if name.startswith(".connectif")], hook.request


@pytest.mark.parametrize("after", [False, True], ids=["rejected", "lost response"])
@pytest.mark.parametrize("before", BEFORE)
@pytest.mark.parametrize("kind", STORES)
def test_after_a_failure_of_any_request_the_folder_is_consistent_at_once_and_a_retry_stores_the_export(
    kind: str, before: str, after: bool
) -> None:
    names = BEFORE[before] or "own"
    for nth in itertools.count(1):
        bucket = prepare(kind, BEFORE[before])
        hook = FailsAt(nth, after=after)
        failures: list[FileError] = []
        try:
            store(bucket, export(2, names), by=writer(), hook=hook)
        except FileError as error:
            failures.append(error)
        if not hook.request:
            return
        failed = bool(failures)
        assert not any(error.final for error in failures)
        if names == "own" or not failed:
            check(bucket, settled=not failed)
        store(bucket, export(2, names), by=writer())
        assert check(bucket) == "2", hook.request
        assert not [name for name in bucket.names() if name.startswith(".connectif")], hook.request


WRITERS = {
    "two runs": [({}, 2), ({"run_id": "tuesday"}, 3)],
    "three runs": [({}, 2), ({"run_id": "tuesday"}, 3), ({"run_id": "wednesday"}, 4)],
    "two DAGs with the same export": [({}, 2), ({"dag_id": "warehouse"}, 2)],
    "two instances of one run": [({"map_index": 0}, 2), ({"map_index": 1}, 3)],
    "two processes of one task": [({}, 2), ({}, 2)],
    "two attempts with different exports, and another run": [({}, 2), ({}, 3), ({"run_id": "tuesday"}, 4)],
}


@pytest.mark.parametrize("if_exists", ["replace", "error"])
@pytest.mark.parametrize("kind", STORES)
@pytest.mark.parametrize("writers", WRITERS)
def test_writers_that_overlap_in_any_order_leave_exactly_one_export(writers: str, kind: str, if_exists: str) -> None:
    for seed in range(60):
        turns = Turns(seed)
        bucket = prepare(kind, "own" if if_exists == "replace" and seed % 2 else None)
        bucket.clock = turns.clock

        def run(number: int, changes: dict, turns: Turns = turns, bucket: Bucket = bucket) -> Any:
            by, described = writer(**changes), export(number)
            return store(bucket, described, by=by, hook=turns.hook, timing=turns.timing(), if_exists=if_exists)

        results = turns.run(
            [lambda number=number, changes=changes: run(number, changes) for changes, number in WRITERS[writers]]
        )
        stored = {result["export_id"] for result in results.values() if isinstance(result, dict)}
        failed = [result for result in results.values() if not isinstance(result, dict)]
        assert all(isinstance(error, FileError) for error in failed), (seed, failed)
        assert check(bucket) in stored, (seed, turns.log)
        assert not [name for name in bucket.names() if name.startswith(".connectif")], (seed, turns.log)
        if if_exists == "error" or writers == "two instances of one run":
            assert len(stored) == 1, (seed, turns.log)
            assert all(isinstance(error, FolderConflict) for error in failed), (seed, failed)
        else:
            assert not failed, (seed, failed)
