# SPDX-License-Identifier: Apache-2.0
"""A process may be killed at any time: the next run repairs whatever it left (promise 3)."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_provider_connectif.files.errors import ArchiveCorrupt
from airflow_provider_connectif.files.folder.manifest import MANIFEST_NAME
from tests.files.exports import MIB, Archive, Member, contents, deliver_to, digests, export, snapshot, writer
from tests.files.folder.killed import POINTS
from tests.stores import Place

pytestmark = pytest.mark.slow

DAY = 24 * 3600.0

# Every point on the fastest store; on the others, the points at which they differ.
CASES = [("local", point) for point in POINTS] + [
    (kind, point)
    for kind in ("s3", "azure", "gcs")
    for point in ("while uploading", "between two objects", "before the deletion")
]


def kill_at(place: Place, point: str, number: int) -> None:
    """Deliver the export with this number in a process that is killed at this point."""
    arguments = {"place": place.describe(), "point": point, "export": number}
    died = subprocess.run(
        [sys.executable, "-m", "tests.files.folder.killed", json.dumps(arguments)],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        timeout=120,
    )
    assert died.returncode == -signal.SIGKILL, died.stderr.decode()


@pytest.mark.parametrize(("kind", "point"), CASES)
def test_after_a_kill_every_visible_object_is_complete_and_a_retry_leaves_exactly_the_new_export(
    request: pytest.FixtureRequest, kind: str, point: str
) -> None:
    place: Place = request.getfixturevalue(f"{kind}_store")
    deliver_to(place, *export(1))
    kill_at(place, point, 2)
    described, archive = export(2, 3 * MIB)
    whole = {**contents(archive), **contents(export(1)[1])}
    for name in place.names() & set(whole):
        assert digests({name: place.read(name)}) == digests({name: whole[name]})
    deliver_to(place, described, archive)
    found = snapshot(place)
    del found[MANIFEST_NAME]
    assert digests(found) == digests(contents(archive))


@pytest.mark.parametrize(("kind", "point"), CASES)
def test_after_a_kill_the_next_run_leaves_exactly_its_own_export(
    request: pytest.FixtureRequest, kind: str, point: str
) -> None:
    place: Place = request.getfixturevalue(f"{kind}_store")
    deliver_to(place, *export(1))
    kill_at(place, point, 2)
    described, archive = export(3)
    deliver_to(place, described, archive, by=writer(run_id="in a week"), clock=place.clock(7 * DAY))
    assert place.names() == {*contents(archive), MANIFEST_NAME}


def test_a_kill_before_anything_is_published_leaves_the_old_export_unchanged(local_store: Place) -> None:
    deliver_to(local_store, *export(1))
    before = snapshot(local_store)
    kill_at(local_store, "before publishing", 2)
    found = snapshot(local_store)
    assert {name: found[name] for name in before} == before
    assert all(name.startswith(".connectif") for name in set(found) - set(before))


def test_a_retry_deletes_the_unfinished_files_of_the_killed_try(local_store: Place) -> None:
    kill_at(local_store, "while uploading", 2)
    assert local_store.unfinished_uploads() == 2
    deliver_to(local_store, *export(2, 3 * MIB))
    assert local_store.unfinished_uploads() == 0


def test_a_retry_that_fails_deletes_them_too(local_store: Place) -> None:
    kill_at(local_store, "while uploading", 2)
    with pytest.raises(ArchiveCorrupt):
        deliver_to(local_store, {"id": "2"}, Archive(Member("a.csv", b"1", ArchiveCorrupt("broken"))))
    assert local_store.names() == set()


def test_a_retry_downloads_nothing_if_the_manifest_was_written_before_the_kill(local_store: Place) -> None:
    deliver_to(local_store, *export(1))
    kill_at(local_store, "before the deletion", 2)
    described, archive = export(2, 3 * MIB)
    deliver_to(local_store, described, archive)
    assert archive.opened == 0
