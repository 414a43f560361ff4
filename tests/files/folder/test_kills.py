# SPDX-License-Identifier: Apache-2.0
"""Promise 3: a process killed at any moment harms nothing that the next run does not mend."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from airflow_provider_connectif.files.folder.manifest import MANIFEST_NAME
from tests.files.exports import MIB, contents, digests, export, snapshot, store, writer
from tests.files.folder.killed import POINTS
from tests.stores import Place

DAY = 24 * 3600.0

# Every point where it costs least, and those that differ by the store on the others.
CASES = [("local", point) for point in POINTS] + [
    (kind, point)
    for kind in ("s3", "azure", "gcs")
    for point in ("while uploading", "between two objects", "before the deletion")
]


def kill_at(place: Place, point: str, number: int) -> None:
    """Deliver the export of this number in a process that is killed at the point."""
    told = {**vars(place), "fs": None, "server": None, "point": point, "export": number}
    died = subprocess.run(
        [sys.executable, "-m", "tests.files.folder.killed", json.dumps(told)],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        timeout=120,
    )
    assert died.returncode == -signal.SIGKILL, died.stderr.decode()


@pytest.mark.parametrize(("kind", "point"), CASES)
def test_after_a_kill_what_is_visible_is_whole_and_a_retry_ends_whole_with_no_strays(
    request: pytest.FixtureRequest, kind: str, point: str
) -> None:
    place: Place = request.getfixturevalue(f"{kind}_store")
    store(place, *export(1))
    kill_at(place, point, 2)
    described, archive = export(2, 3 * MIB)
    whole = {**contents(archive), **contents(export(1)[1])}
    for name in place.names() & set(whole):
        assert digests({name: place.read(name)}) == digests({name: whole[name]})
    store(place, described, archive)
    found = snapshot(place)
    del found[MANIFEST_NAME]
    assert digests(found) == digests(contents(archive))


@pytest.mark.parametrize(("kind", "point"), CASES)
def test_after_a_kill_the_next_run_of_another_export_ends_whole_with_no_strays(
    request: pytest.FixtureRequest, kind: str, point: str
) -> None:
    place: Place = request.getfixturevalue(f"{kind}_store")
    store(place, *export(1))
    kill_at(place, point, 2)
    described, archive = export(3)
    store(place, described, archive, by=writer(run_id="in a week"), clock=lambda: time.time() + 7 * DAY)
    assert place.names() == {*contents(archive), MANIFEST_NAME}


def test_a_kill_before_anything_was_published_leaves_the_old_export_as_it_was(local_store: Place) -> None:
    store(local_store, *export(1))
    before = snapshot(local_store)
    kill_at(local_store, "before publishing", 2)
    found = snapshot(local_store)
    assert {name: found[name] for name in before} == before
    assert all(name.startswith(".connectif") for name in set(found) - set(before))


def test_a_retry_takes_away_the_unfinished_files_of_the_try_that_was_killed(local_store: Place) -> None:
    kill_at(local_store, "while uploading", 2)
    assert local_store.unfinished() == 2
    store(local_store, *export(2, 3 * MIB))
    assert local_store.unfinished() == 0


def test_a_retry_downloads_nothing_when_the_manifest_was_written_before_the_kill(local_store: Place) -> None:
    store(local_store, *export(1))
    kill_at(local_store, "before the deletion", 2)
    described, archive = export(2, 3 * MIB)
    store(local_store, described, archive)
    assert archive.opened == 0
